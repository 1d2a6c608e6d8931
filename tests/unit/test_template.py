"""Rules for the deployed resources, which hold for every existing and future function, route, queue and bucket."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import TEMPLATE

from local.template import Template
from orders.invoices import Outcome
from record_delivery.app import REPORTS

ROOT = Path(__file__).resolve().parents[2]

REQUIRED = ["SenderEmail=invoices@shop.example", "ShopName=Shop", "ShopAddress=Town"]
GIVEN = {
    "JwtIssuer": "https://issuer.example",
    "JwtAudience": "shop,till",
    "AllowedOrigins": "https://shop.example,http://localhost:8000",
    "ApiDomainName": "api.shop.example",
    "ApiCertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1",
    "SenderIdentity": "shop.example",
    "InvoiceRetentionDays": "3650",
    "Monitoring": "full",
    "InvoiceLockDays": "3650",
    "PermissionsBoundary": "arn:aws:iam::123456789012:policy/boundary",
    "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms",
}
"""Parameters that select the other branch of each condition."""

DESTRUCTIVE = re.compile("Delete|BatchWrite|PartiQL|Purge|Lifecycle", re.IGNORECASE)
TRACING = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}


class _Loader(yaml.SafeLoader):
    """Loads YAML without CloudFormation's functions, so only with literal values."""


_Loader.add_multi_constructor("!", lambda _loader, _function, _node: None)


class _Named(yaml.SafeLoader):
    """Loads YAML with a `!Ref` as the name that it refers to in `${}`, as in `!Sub`."""


def _scalars(loader: Any, function: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return f"${{{node.value}}}" if function == "Ref" else node.value
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


_Named.add_multi_constructor("!", _scalars)

DOCUMENT = yaml.load((ROOT / "template.yaml").read_text(encoding="utf-8"), _Loader)
FUNCTIONS = sorted(name for name, what in DOCUMENT["Resources"].items() if what["Type"] == "AWS::Serverless::Function")

of_each_function = pytest.mark.parametrize("function", FUNCTIONS)


@pytest.fixture(scope="module", params=["least", "most"])
def given(request: pytest.FixtureRequest) -> dict[str, str]:
    """The parameters of a deployment: only the required ones, or all."""
    return GIVEN if request.param == "most" else {}


@pytest.fixture(scope="module")
def template(given: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("deployment")
    overrides = REQUIRED + [f"{name}={value}" for name, value in given.items()]
    (folder / "samconfig.toml").write_text(f"[local.global.parameters]\nparameter_overrides = {overrides}\n")
    (folder / "template.yaml").write_bytes((ROOT / "template.yaml").read_bytes())
    return Template(folder / "template.yaml")


def properties(template: Template, function: str) -> Any:
    return template.of_type("AWS::Serverless::Function")[function]


def allowed(template: Template, role: str) -> Iterator[tuple[set[str], set[str], Any]]:
    """Yields what a role may do: actions, resources, condition."""
    for policy in template.of_type("AWS::IAM::Role")[role].get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            yield texts(statement["Action"]), texts(statement["Resource"]), statement.get("Condition")


def roles_with(template: Template, what: str) -> list[tuple[str, set[str], Any]]:
    """Returns all roles that may use a service or an action: role, resources, condition."""
    return [
        (role, resources, condition)
        for role in template.of_type("AWS::IAM::Role")
        for actions, resources, condition in allowed(template, role)
        if any(what in {action, service(action)} for action in actions)
    ]


def role_of(function: str) -> str:
    return f"{function.removesuffix('Function')}Role"


def texts(value: str | list[str]) -> set[str]:
    return {value} if isinstance(value, str) else set(value)


def service(action: str) -> str:
    return action.partition(":")[0]


# Functions


@of_each_function
def test_function_has_its_own_role(template: Template, function: str) -> None:
    # SAM ignores `Policies` if there is a role.
    assert "Policies" not in properties(template, function)
    assert properties(template, function)["Role"] == f"{role_of(function)}.Arn"
    role = template.of_type("AWS::IAM::Role")[role_of(function)]
    assert "ManagedPolicyArns" not in role
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


@of_each_function
def test_function_logs_only_to_its_own_group(template: Template, function: str) -> None:
    group = f"{function.removesuffix('Function')}Logs"
    assert properties(template, function)["LoggingConfig"]["LogGroup"] == group
    assert template.of_type("AWS::Logs::LogGroup")[group]["RetentionInDays"]
    [resources] = [where for what, where, _ in allowed(template, role_of(function)) if "logs:PutLogEvents" in what]
    assert resources == {f"{group}.Arn"}


@of_each_function
def test_function_logs_metrics_but_no_botocore_requests(template: Template, function: str) -> None:
    # Lambda treats a metric as an INFO message. At DEBUG, botocore logs its requests.
    assert template.functions[function].environment["AWS_LAMBDA_LOG_LEVEL"] == "INFO"


@of_each_function
def test_function_ends_before_its_caller_times_out(template: Template, function: str) -> None:
    # The gateway times out after 30 seconds, Lambda itself after 15 minutes.
    waiting = function in {route.function for route in template.routes}
    assert template.functions[function].timeout < (30 if waiting else 900)


OTHER_KEYS = {
    # Any order may have the request's key.
    "CreateOrderFunction": ("KEY#*",),
    # They issue documents.
    "SendInvoiceFunction": ("SERIES#*",),
    "CancelOrderFunction": ("SERIES#*",),
    # Guests' attempts are counted.
    "WithdrawFunction": ("LIMIT#*",),
}
"""Items outside of orders that a function reaches."""


@of_each_function
def test_function_reaches_only_orders_in_the_table(template: Template, function: str) -> None:
    for actions, resources, condition in allowed(template, role_of(function)):
        if {service(action) for action in actions} != {"dynamodb"}:
            continue
        if resources == {"OrdersTable.Arn"}:
            assert condition == {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["ORDER#*", *OTHER_KEYS.get(function, ())]}
            }
        elif resources <= {"OrdersTable.StreamArn", "OrdersTable.Arn/stream/*"}:
            assert function in {stream.function for stream in template.streams}
        else:
            # A condition on the table's keys would not apply to an index, which has other keys.
            assert {index.removeprefix("OrdersTable.Arn/index/") for index in resources} <= set(indexes(template))


@of_each_function
def test_only_functions_with_archive_rights_get_the_bucket_name(template: Template, function: str) -> None:
    services = {service(action) for actions, *_ in allowed(template, role_of(function)) for action in actions}
    assert ("INVOICES_BUCKET" in template.functions[function].environment) == ("s3" in services)


@of_each_function
def test_asynchronous_function_loses_no_event(template: Template, function: str) -> None:
    own = properties(template, function)
    kinds = {event["Type"] for event in own.get("Events", {}).values()}
    if not kinds:
        # A pipe invokes it.
        [pipe] = [
            pipe for pipe in template.of_type("AWS::Pipes::Pipe").values() if pipe["Enrichment"] == f"{function}.Alias"
        ]
        assert pipe["SourceParameters"]["DynamoDBStreamParameters"]["DeadLetterConfig"]
    elif "EventBridgeRule" in kinds:
        queue = own["DeadLetterQueue"]["TargetArn"]
        assert all(event["Properties"]["DeadLetterConfig"]["Arn"] == queue for event in own["Events"].values())
        assert ({"sqs:SendMessage"}, {queue}, None) in allowed(template, role_of(function))
    elif "DynamoDB" in kinds:
        for event in own["Events"].values():
            stream = event["Properties"]
            # The function reports failed records, a bad record does not block others, and retries are limited. A record
            # that is given up reaches a queue long before the stream deletes it after 24 hours.
            assert stream["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
            assert stream["BisectBatchOnFunctionError"] is True
            assert 0 < stream["MaximumRetryAttempts"] <= 10
            assert 60 * 60 <= stream["MaximumRecordAgeInSeconds"] <= 8 * 60 * 60
            given_up = stream["DestinationConfig"]["OnFailure"]
            assert given_up["Type"] == "SQS"
            assert ({"sqs:SendMessage"}, {given_up["Destination"]}, None) in allowed(template, role_of(function))
            assert stream["FilterCriteria"]["Filters"]
    else:
        # The caller repeats a request, and a schedule runs again.
        assert kinds in ({"HttpApi"}, {"Schedule"})


@of_each_function
def test_function_is_rolled_out_in_steps_and_rolled_back_on_failure(template: Template, function: str) -> None:
    shared = template.globals["Function"]
    assert shared["AutoPublishAlias"] == "live"
    rollout = shared["DeploymentPreference"]
    assert rollout["Type"] != "AllAtOnce"
    watching = [
        name
        for name, alarm in template.of_type("AWS::CloudWatch::Alarm").items()
        if ("AWS/Lambda", "Errors", {"FunctionName": function}) in watched(alarm)
    ]
    # CodeDeploy supports no more.
    assert len(rollout["Alarms"]) == len(set(rollout["Alarms"])) <= 10
    if not watching:
        # With basic monitoring, one alarm watches all functions of the account.
        assert set(rollout["Alarms"]) == {"ApiErrorsAlarm", "InternalErrorsAlarm", "NoticesLateAlarm"}
        return
    assert {*watching, "InternalErrorsAlarm"} <= set(rollout["Alarms"])
    # Each alarm watches errors of the code only, and goes off within two minutes.
    for name in rollout["Alarms"]:
        alarm = template.of_type("AWS::CloudWatch::Alarm")[name]
        periods = [each["MetricStat"]["Period"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
        assert set(periods or [alarm["Period"]]) == {60}
        assert alarm["EvaluationPeriods"] == 1


@of_each_function
def test_every_change_publishes_a_new_version(template: Template, function: str) -> None:
    assert properties(template, function)["AutoPublishAliasAllProperties"]
    for layer in template.of_type("AWS::Serverless::LayerVersion").values():
        assert layer["PublishLambdaVersion"]
    # The settings have a version number, and each function gets it.
    assert properties(template, function)["VersionDescription"] == "Settings.VersionNumber"
    assert template.functions[function].environment["SETTINGS"] == "Settings.VersionNumber"


def test_every_parameter_of_a_function_changes_the_settings_version(template: Template) -> None:
    raw = yaml.load((ROOT / "template.yaml").read_text(encoding="utf-8"), _Named)
    functions = [raw["Globals"]["Function"]] + [raw["Resources"][name]["Properties"] for name in FUNCTIONS]
    conditions = [what for name, what in raw["Conditions"].items() if f'"{name}"' in json.dumps(functions)]
    reached = set(named([functions, conditions])) & raw["Parameters"].keys()
    # The rollout strategy and the alarms that end it are not settings of the function.
    assert set(named(raw["Resources"]["Settings"])) & raw["Parameters"].keys() == reached - {"Rollout", "Monitoring"}


# Permissions


def test_permissions_are_defined_only_in_roles() -> None:
    kinds = {what["Type"] for what in DOCUMENT["Resources"].values()}
    assert not kinds & {"AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::ManagedPolicy", "AWS::IAM::UserPolicy"}


def test_the_boundary_limits_every_role(template: Template, given: dict[str, str]) -> None:
    # Also the one of CodeDeploy, which SAM would create without a boundary.
    assert template.globals["Function"]["DeploymentPreference"]["Role"] == "RolloutRole.Arn"
    roles = template.of_type("AWS::IAM::Role").values()
    assert {role.get("PermissionsBoundary") for role in roles} == {given.get("PermissionsBoundary")}


def test_no_role_has_wildcard_permissions(template: Template) -> None:
    for role in template.of_type("AWS::IAM::Role"):
        for actions, resources, _ in allowed(template, role):
            assert not [action for action in actions if "*" in action]
            if actions == TRACING:
                continue
            # Objects below one prefix, the streams of one table, the identities of mail, or exactly one resource.
            whole = [re.sub(r"/orders/\*$|/stream/\*$|(?<=:)identity/\*$", "", resource) for resource in resources]
            assert not [resource for resource in whole if "*" in resource]


def test_no_role_may_delete(template: Template) -> None:
    for role in template.of_type("AWS::IAM::Role"):
        for actions, *_ in allowed(template, role):
            assert not [action for action in actions if DESTRUCTIVE.search(action)]


def test_mail_is_sent_only_from_the_shops_address(template: Template, given: dict[str, str]) -> None:
    ses = "arn:aws:ses:us-east-1:123456789012:"
    mailing = roles_with(template, "ses")
    assert [role for role, *_ in mailing] == ["SendInvoiceRole", "NotifyCustomerRole"]
    for _, resources, condition in mailing:
        assert resources == {f"{ses}identity/*", f"{ses}configuration-set/MailConfiguration"}
        assert condition == {"StringEquals": {"ses:FromAddress": "invoices@shop.example"}}
    assert ("SenderEmailIdentity" in template.of_type("AWS::SES::EmailIdentity")) == ("SenderIdentity" not in given)


def test_documents_are_written_once(template: Template) -> None:
    writing = roles_with(template, "s3:PutObject")
    assert [role for role, *_ in writing] == ["SendInvoiceRole", "NotifyCustomerRole"]
    for _, resources, condition in writing:
        assert resources == {"InvoicesBucket.Arn/orders/*"}
        assert condition == {"Null": {"s3:if-none-match": "false"}}


# Routes


PUBLIC = ["POST /withdrawals"]
"""The routes that need no token."""


def test_every_route_but_the_public_one_requires_a_token(template: Template, given: dict[str, str]) -> None:
    assert [route.key for route in template.routes if route.jwt is None] == PUBLIC
    for route in template.routes:
        if not route.jwt:
            continue
        assert f"{route.path}/".startswith(("/orders/", "/admin/orders/")), route.key
        if given:
            assert (route.jwt.issuer, route.jwt.audience) == ("https://issuer.example", ("shop", "till"))


def test_every_get_has_a_head(template: Template) -> None:
    routes = {
        method: {(each.path, each.function, each.jwt) for each in template.routes if each.method == method}
        for method in ("GET", "HEAD")
    }
    assert routes["HEAD"] == routes["GET"]


def test_api_is_throttled(template: Template) -> None:
    for api in template.of_type("AWS::Serverless::HttpApi").values():
        assert {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= api["DefaultRouteSettings"].keys()
        # A route's own settings replace the defaults, so they have to repeat them.
        assert list(api["RouteSettings"]) == PUBLIC
        for own in api["RouteSettings"].values():
            assert own == {
                "DetailedMetricsEnabled": full(template),
                "ThrottlingRateLimit": 5,
                "ThrottlingBurstLimit": 20,
            }


def test_functions_declare_the_public_routes() -> None:
    declared = [
        route
        for function in {route.function for route in TEMPLATE.routes}
        for route in import_module(TEMPLATE.functions[function].handler.rpartition(".")[0]).app._public
    ]
    assert declared == PUBLIC


def test_pages_of_configured_origins_may_use_every_route(template: Template, given: dict[str, str]) -> None:
    cors = template.cors
    if not given:
        assert cors is None
        assert "CorsConfiguration" not in template.of_type("AWS::S3::Bucket")["InvoicesBucket"]
        return
    assert cors
    assert cors.origins == ("https://shop.example", "http://localhost:8000")
    assert set(cors.methods) == {route.method for route in template.routes}
    operations = [
        operation
        for item in json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))["paths"].values()
        for operation in item.values()
    ]
    sent = {each["name"] for one in operations for each in one.get("parameters", []) if each["in"] == "header"}
    assert set(cors.headers) == {"Authorization", "Content-Type", *sent}
    read = {name for one in operations for answer in one["responses"].values() for name in answer.get("headers", {})}
    assert set(cors.exposed) == read
    # Credentials are never allowed, so no origin's cookies are sent.
    [api] = template.of_type("AWS::Serverless::HttpApi").values()
    assert "AllowCredentials" not in api["CorsConfiguration"]
    # The origin is null after the redirect to a PDF.
    [rule] = template.of_type("AWS::S3::Bucket")["InvoicesBucket"]["CorsConfiguration"]["CorsRules"]
    assert rule == {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}


@pytest.mark.parametrize(
    ("origins", "valid"),
    [
        ("", True),
        ("https://shop.example", True),
        ("https://shop.example,http://localhost:8000,https://xn--kse-qla.example", True),
        ("*", False),
        ("https://*.shop.example", False),
        ("https://shop.example/", False),
        ("https://Shop.example", False),
        ("https://shop.example, https://b.example", False),
        ("shop.example", False),
        ("null", False),
    ],
)
def test_allowed_origins_are_exact(origins: str, valid: bool) -> None:
    pattern = DOCUMENT["Parameters"]["AllowedOrigins"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, origins)) == valid


def test_domain_is_made_only_with_a_name(template: Template, given: dict[str, str]) -> None:
    domains = template.of_type("AWS::ApiGatewayV2::DomainName")
    assert set(domains) == ({"ApiDomain"} if given else set())
    if given:
        assert domains["ApiDomain"] == {
            "DomainName": "api.shop.example",
            "DomainNameConfigurations": [
                {
                    "CertificateArn": given["ApiCertificateArn"],
                    "EndpointType": "REGIONAL",
                    "SecurityPolicy": "TLS_1_2",
                }
            ],
        }
        [mapping] = template.of_type("AWS::ApiGatewayV2::ApiMapping").values()
        assert mapping == {"ApiId": "OrdersApi", "DomainName": "ApiDomain", "Stage": "OrdersApi.Stage"}


# Retention


@pytest.mark.parametrize("kind", ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Cognito::UserPool"])
def test_irreplaceable_resources_survive_the_stack(kind: str) -> None:
    found = [what for what in DOCUMENT["Resources"].values() if what["Type"] == kind]
    assert found
    for what in found:
        assert (what["DeletionPolicy"], what["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_tables_are_safe(template: Template) -> None:
    for table in template.of_type("AWS::DynamoDB::Table").values():
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        # With the key that AWS owns: always encrypted, and free.
        assert table["SSESpecification"] == {"SSEEnabled": False}
        assert table["DeletionProtectionEnabled"]


def test_index_of_unsettled_invoices_holds_only_keys(template: Template) -> None:
    index = indexes(template)["by_unsettled"]
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["unsettled", "started"]
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}


def test_buckets_are_safe(template: Template) -> None:
    for name, bucket in template.of_type("AWS::S3::Bucket").items():
        [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        assert bucket["PublicAccessBlockConfiguration"] == {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        }
        [policy] = [each for each in template.of_type("AWS::S3::BucketPolicy").values() if each["Bucket"] == name]
        refused = {
            action: (texts(statement["Resource"]), statement.get("Condition"))
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Deny" and statement["Principal"] == "*"
            for action in texts(statement["Action"])
        }
        objects = f"{name}.Arn/*"
        assert refused == {
            "s3:*": ({f"{name}.Arn", objects}, {"Bool": {"aws:SecureTransport": "false"}}),
            "s3:DeleteObject": ({objects}, None),
            "s3:DeleteObjectVersion": ({objects}, None),
        }


def test_invoices_are_kept_for_the_configured_time(template: Template, given: dict[str, str]) -> None:
    rules = template.of_type("AWS::S3::Bucket")["InvoicesBucket"]["LifecycleConfiguration"]["Rules"]
    expiring = [rule for rule in rules if "ExpirationInDays" in rule]
    assert [rule["ExpirationInDays"] for rule in expiring] == (["3650"] if given else [])
    assert all(rule["NoncurrentVersionExpiration"] for rule in expiring)
    assert all(rule["Status"] == "Enabled" for rule in rules)


def test_logs_are_kept_for_the_configured_time(template: Template) -> None:
    assert {logs["RetentionInDays"] for logs in template.of_type("AWS::Logs::LogGroup").values()} == {"90"}


def test_queues_are_safe(template: Template) -> None:
    rules = {
        f"{function}{name}.Arn": event["Properties"].get("DeadLetterConfig", {}).get("Arn")
        for function, own in template.of_type("AWS::Serverless::Function").items()
        for name, event in own.get("Events", {}).items()
    }
    for name, queue in template.of_type("AWS::SQS::Queue").items():
        assert queue["SqsManagedSseEnabled"]
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 60 * 60
        [policy] = [each for each in template.of_type("AWS::SQS::QueuePolicy").values() if name in each["Queues"]]
        deny, *allow = sorted(policy["PolicyDocument"]["Statement"], key=lambda each: str(each["Effect"] == "Allow"))
        assert (deny["Effect"], deny["Principal"], deny["Action"], deny["Resource"], deny["Condition"]) == (
            *("Deny", "*", "sqs:*", f"{name}.Arn"),
            {"Bool": {"aws:SecureTransport": "false"}},
        )
        for statement in allow:
            # Only the rules whose dead-letter queue this is may send events to it.
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}
            assert statement["Action"] == "sqs:SendMessage"
            assert rules[statement["Condition"]["ArnEquals"]["aws:SourceArn"]] == f"{name}.Arn" == statement["Resource"]


# Delivery reports


def test_ses_reports_exactly_the_recorded_events(template: Template) -> None:
    [destination] = template.of_type("AWS::SES::ConfigurationSetEventDestination").values()
    assert destination["ConfigurationSetName"] == "MailConfiguration"
    assert destination["EventDestination"]["Enabled"]
    kinds = {kind[0].lower() + kind[1:] for kind in REPORTS}
    assert set(destination["EventDestination"]["MatchingEventTypes"]) == kinds


def test_only_reports_on_this_stacks_mail_are_recorded(template: Template) -> None:
    [event] = properties(template, "RecordDeliveryFunction")["Events"].values()
    assert event["Properties"]["Pattern"] == {
        "source": ["aws.ses"],
        "detail": {"mail": {"tags": {"ses:configuration-set": ["MailConfiguration"]}}},
    }
    for function in ("SendInvoiceFunction", "NotifyCustomerFunction"):
        assert template.functions[function].environment["CONFIGURATION_SET"] == "MailConfiguration"


# Alarms


def test_alarms_notify_the_configured_topic_and_link_the_runbook(template: Template, given: dict[str, str]) -> None:
    topics = [given["AlarmTopicArn"]] if given else []
    for name, alarm in template.of_type("AWS::CloudWatch::Alarm").items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == topics
        assert 100 < len(alarm["AlarmDescription"]) <= 1024
        assert alarm["AlarmDescription"].endswith(f" See docs/runbook.md#{name.lower()}.")


def test_runbook_has_a_section_for_exactly_each_alarm() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    alarms = [name for name, what in DOCUMENT["Resources"].items() if what["Type"] == "AWS::CloudWatch::Alarm"]
    assert sorted(re.findall(r"^### (\w+Alarm)$", runbook, re.MULTILINE)) == sorted(alarms)


def test_alarms_watch_metrics_that_functions_report(template: Template) -> None:
    code = "".join(path.read_text() for folder in ("functions", "shared") for path in (ROOT / folder).rglob("*.py"))
    reported = {f"{what}{outcome.capitalize()}" for what in ("Invoices", "Notices") for outcome in Outcome}
    for namespace, metric, dimensions in (each for alarm in alarms(template) for each in watched(alarm)):
        if namespace.startswith("AWS/"):
            continue
        assert metric in reported or f'"{metric}"' in code
        for function in template.functions.values():
            assert namespace == function.environment["POWERTOOLS_METRICS_NAMESPACE"]
            assert dimensions == {"service": function.environment["POWERTOOLS_SERVICE_NAME"]}


def test_access_log_has_no_query_string(template: Template) -> None:
    """It may contain an e-mail address."""
    logged = template.of_type("AWS::Serverless::HttpApi")["OrdersApi"]["AccessLogSettings"]["Format"]
    allowed = "requestTime|requestId|routeKey|status|responseLatency|integrationLatency|error.|authorizer.|integration"
    assert [each for each in re.findall(r"\$context\.([\w.]+)", logged) if not re.match(allowed, each)] == []


def test_alarms_watch_at_most_10_metrics(template: Template) -> None:
    assert max(len(watched(alarm)) for alarm in alarms(template)) <= 10


def test_alarms_watch_each_function_each_queue_and_the_stream(template: Template) -> None:
    metrics = [each for alarm in alarms(template) for each in watched(alarm)]
    errors = [
        dimensions for namespace, metric, dimensions in metrics if (namespace, metric) == ("AWS/Lambda", "Errors")
    ]
    assert sorted(each.get("FunctionName", "all") for each in errors) == (FUNCTIONS if full(template) else ["all"])
    for queue in template.of_type("AWS::SQS::Queue"):
        depth = ("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": f"{queue}.QueueName"})
        assert metrics.count(depth) == 1
    for function in FUNCTIONS:
        if "DynamoDB" in {event["Type"] for event in properties(template, function).get("Events", {}).values()}:
            assert ("AWS/Lambda", "IteratorAge", {"FunctionName": function}) in metrics


def test_alarms_watch_each_route(template: Template) -> None:
    [api] = template.of_type("AWS::Serverless::HttpApi")
    by_route = template.of_type("AWS::Serverless::HttpApi")[api]["DefaultRouteSettings"]["DetailedMetricsEnabled"]
    assert by_route == full(template)
    if not full(template):
        assert ("AWS/ApiGateway", "5xx", {"ApiId": api}) in [
            each for alarm in alarms(template) for each in watched(alarm)
        ]
        return
    slow = [dimensions for alarm in alarms(template) for _, metric, dimensions in watched(alarm) if metric == "Latency"]
    routes = [
        {"ApiId": api, "Stage": "$default", "Method": route.method, "Resource": route.path}
        for route in template.operations
    ]
    assert sorted(slow, key=str) == sorted(routes, key=str)
    [query] = template.of_type("AWS::CloudWatch::Alarm")["ServerErrorsAlarm"]["Metrics"]
    for part in ('SUM("5xx")', f"\"ApiId\" = '{api}'", 'GROUP BY "Method", "Resource" ORDER BY'):
        assert part in query["Expression"]


def test_basic_monitoring_fits_into_the_free_tier(template: Template) -> None:
    # 10 metrics of alarms are free in each account, then they cost 0.10 dollars each; a query is not free, nor is the
    # fourth dashboard. https://aws.amazon.com/cloudwatch/pricing/
    if not full(template):
        assert sum(len(watched(alarm)) for alarm in alarms(template)) == 10
        assert not template.of_type("AWS::CloudWatch::Dashboard")
        return
    basic = {
        "ApiErrorsAlarm",
        "FailedEventsAlarm",
        "FailedNoticesAlarm",
        "InternalErrorsAlarm",
        "InvoicesUnsettledAlarm",
    }
    basic |= {"MailUnknownAlarm", "NoticesLateAlarm", "ServerErrorsAlarm", "UnpublishedEventsAlarm"}
    assert basic < template.of_type("AWS::CloudWatch::Alarm").keys()


def test_dashboard_shows_all_alarms(template: Template) -> None:
    if not full(template):
        return
    [dashboard] = template.of_type("AWS::CloudWatch::Dashboard").values()
    [shown, *graphs] = json.loads(dashboard["DashboardBody"])["widgets"]
    assert sorted(shown["properties"]["alarms"]) == sorted(
        f"{name}.Arn" for name in template.of_type("AWS::CloudWatch::Alarm")
    )
    text = json.dumps(graphs)
    for name in [*FUNCTIONS, *(f"{queue}.QueueName" for queue in template.of_type("AWS::SQS::Queue"))]:
        assert f'"{name}"' in text
    assert all(each["properties"]["region"] == "us-east-1" for each in graphs)


# Events


def test_stream_has_at_most_two_readers(template: Template) -> None:
    functions = template.of_type("AWS::Serverless::Function").values()
    readers = [event["Properties"].get("Stream") for own in functions for event in own.get("Events", {}).values()]
    readers += [pipe["Source"] for pipe in template.of_type("AWS::Pipes::Pipe").values()]
    assert 1 <= readers.count("OrdersTable.StreamArn") <= 2


def test_pipe_publishes_the_functions_events(template: Template) -> None:
    [pipe] = template.of_type("AWS::Pipes::Pipe").values()
    assert (pipe["Source"], pipe["Enrichment"]) == ("OrdersTable.StreamArn", "PublishEventsFunction.Alias")
    assert pipe["Target"] == "EventBus.Arn"
    assert pipe["TargetParameters"] == {
        "EventBridgeEventBusParameters": {"Source": "orders", "DetailType": "$.type", "Time": "$.time"}
    }


def test_pipe_gives_up_in_time_into_a_queue(template: Template) -> None:
    [pipe] = template.of_type("AWS::Pipes::Pipe").values()
    stream = pipe["SourceParameters"]["DynamoDBStreamParameters"]
    # The most that the bus accepts at once: of a larger batch the pipe would publish nothing.
    assert stream["BatchSize"] <= 10
    assert stream["StartingPosition"] == "TRIM_HORIZON"
    assert stream["OnPartialBatchItemFailure"] == "AUTOMATIC_BISECT"
    assert stream["MaximumRetryAttempts"] > 0
    # The stream keeps a record for 24 hours.
    assert 0 < stream["MaximumRecordAgeInSeconds"] <= 12 * 60 * 60
    assert stream["DeadLetterConfig"] == {"Arn": "UnpublishedEvents.Arn"}


def test_pipe_logs_no_records(template: Template) -> None:
    [pipe] = template.of_type("AWS::Pipes::Pipe").values()
    assert pipe["LogConfiguration"] == {
        "Level": "ERROR",
        "CloudwatchLogsLogDestination": {"LogGroupArn": "EventsPipeLogs.Arn"},
    }
    logs = template.of_type("AWS::Logs::LogGroup")["EventsPipeLogs"]
    assert logs["LogGroupName"].startswith("/aws/vendedlogs/")
    assert logs["RetentionInDays"]


def test_pipe_has_only_the_rights_it_needs(template: Template) -> None:
    [pipe] = template.of_type("AWS::Pipes::Pipe").values()
    assert pipe["RoleArn"] == "EventsPipeRole.Arn"
    role = template.of_type("AWS::IAM::Role")["EventsPipeRole"]
    assert "ManagedPolicyArns" not in role
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "pipes.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    assert list(allowed(template, "EventsPipeRole")) == [
        (
            {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},
            {"OrdersTable.StreamArn"},
            None,
        ),
        ({"dynamodb:ListStreams"}, {"OrdersTable.Arn/stream/*"}, None),
        ({"lambda:InvokeFunction"}, {"PublishEventsFunction.Arn:live"}, None),
        ({"events:PutEvents"}, {"EventBus.Arn"}, None),
        ({"sqs:SendMessage"}, {"UnpublishedEvents.Arn"}, None),
    ]


def test_publish_events_function_has_no_access_to_data(template: Template) -> None:
    services = {service(action) for actions, *_ in allowed(template, "PublishEventsRole") for action in actions}
    assert services == {"logs", "xray"}


# Descriptions


@pytest.mark.parametrize("section", ["Parameters", "Outputs"])
def test_parameters_and_outputs_are_described(section: str) -> None:
    assert [name for name, what in DOCUMENT[section].items() if not what.get("Description")] == []


@of_each_function
def test_function_is_described(template: Template, function: str) -> None:
    assert properties(template, function)["Description"]


def indexes(template: Template) -> dict[str, Any]:
    [table] = template.of_type("AWS::DynamoDB::Table").values()
    return {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}


def full(template: Template) -> bool:
    """Whether the stack is deployed with Monitoring=full."""
    return "BackgroundErrorsAlarm" in template.of_type("AWS::CloudWatch::Alarm")


def alarms(template: Template) -> list[Any]:
    return list(template.of_type("AWS::CloudWatch::Alarm").values())


def watched(alarm: Any) -> list[tuple[str, str, dict[str, str]]]:
    """Returns the metrics that an alarm names: namespace, name, dimensions. Metrics of a query are not included."""
    metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", [alarm]) if "MetricStat" in each]
    return [
        (
            each["Namespace"],
            each["MetricName"],
            {dimension["Name"]: dimension["Value"] for dimension in each.get("Dimensions", [])},
        )
        for each in metrics or ([alarm] if "MetricName" in alarm else [])
    ]


def named(value: Any) -> list[str]:
    """Returns all names in `${}`, anywhere in a value."""
    return re.findall(r"\$\{([\w:]+)\}", json.dumps(value))
