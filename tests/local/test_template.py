"""The template is read as CloudFormation and SAM read it."""

from pathlib import Path

import pytest

from local import ROOT, UsageError
from local.template import Function, Jwt, Route, Stream, Template

RESOURCES = """
Parameters:
  Stage: {Type: String, Default: dev}
  Limit: {Type: Number, Default: 10}
  Issuer: {Type: String, Default: ""}
Conditions:
  Live: !Equals [!Ref Stage, live]
  NotLive: !Not [!Condition Live]
  Own: !And [!Equals [!Ref Issuer, ""], !Or [Condition: NotLive, Condition: Live]]
Mappings:
  Sizes: {us-east-1: {live: 2, dev: 1}}
Resources:
  Table: {Type: AWS::DynamoDB::Table, Properties: {KeySchema: []}}
  Extra: {Type: AWS::DynamoDB::Table, Condition: Live, Properties: {KeySchema: []}}
  Probe:
    Type: Probe
    Properties:
      parameter: !Ref Limit
      resource: !Ref Table
      region: !Ref AWS::Region
      nothing: !Ref AWS::NoValue
      list: [a, !Ref AWS::NoValue, !If [Live, x, !Ref AWS::NoValue], !If [NotLive, y, z]]
      attribute: [!GetAtt Table.Arn, {"Fn::GetAtt": [Table, StreamArn]}]
      text: !Sub "${Stage}-${Table}-${Table.Arn}-${!kept}-${AWS::AccountId}"
      more: !Sub ["${Own}/${Stage}", {Own: !Join ["-", [a, !Ref Limit]]}]
      picked: !Select [1, !Split [",", "a,b,c"]]
      mapped: !FindInMap [Sizes, !Ref AWS::Region, !Ref Stage]
      own: !If [Own, own, foreign]
"""


def write(folder: Path, template: str, samconfig: str = "") -> Path:
    (folder / "template.yaml").write_text(template)
    if samconfig:
        (folder / "samconfig.toml").write_text(samconfig)
    return folder / "template.yaml"


def test_intrinsic_functions_are_resolved(tmp_path: Path) -> None:
    assert Template(write(tmp_path, RESOURCES)).of_type("Probe")["Probe"] == {
        "parameter": "10",
        "resource": "Table",
        "region": "us-east-1",
        "list": ["a", "y"],
        "attribute": ["Table.Arn", "Table.StreamArn"],
        "text": "dev-Table-Table.Arn-${kept}-123456789012",
        "more": "a-10/dev",
        "picked": "b",
        "mapped": 1,
        "own": "own",
    }


@pytest.mark.parametrize(
    "overrides", ['["Stage=live", \'Issuer="two words"\']', "'Stage=live Issuer=\"two words\"'"], ids=["list", "text"]
)
def test_parameters_come_from_samconfig(tmp_path: Path, overrides: str) -> None:
    path = write(tmp_path, RESOURCES, f"[local.global.parameters]\nparameter_overrides = {overrides}\n")
    template = Template(path)
    probe = template.of_type("Probe")["Probe"]
    assert (probe["list"], probe["own"], probe["mapped"]) == (["a", "x", "z"], "foreign", 2)
    assert set(template.of_type("AWS::DynamoDB::Table")) == {"Table", "Extra"}


def test_resource_with_a_false_condition_is_left_out(tmp_path: Path) -> None:
    assert set(Template(write(tmp_path, RESOURCES)).of_type("AWS::DynamoDB::Table")) == {"Table"}


API = """
Globals:
  HttpApi:
    Auth:
      DefaultAuthorizer: Jwt
      Authorizers: {Jwt: {JwtConfiguration: {issuer: https://a.example, audience: one}, AuthorizationScopes: [s]}}
  Function:
    CodeUri: code/
    MemorySize: 512
    Layers: [!Ref Layer, "arn:aws:lambda:us-east-1:123456789012:layer:other:1"]
    LoggingConfig: {LogFormat: JSON, ApplicationLogLevel: WARN}
    Environment: {Variables: {A: 1, B: true, C: c}}
Resources:
  Layer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer/}}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      Handler: x.y
      Timeout: 7
      LoggingConfig: {LogGroup: g}
      Environment: {Variables: {C: other}}
      Events:
        Get: {Type: HttpApi, Properties: {Path: /a, Method: get}}
        Any: {Type: HttpApi}
        Open: {Type: HttpApi, Properties: {Path: /b, Method: x-amazon-apigateway-any-method, Auth: {Authorizer: NONE}}}
        Queue: {Type: SQS, Properties: {Queue: q}}
"""


def test_functions_inherit_globals(tmp_path: Path) -> None:
    assert Template(write(tmp_path, API)).functions == {
        "Worker": Function(
            name="Worker",
            handler="x.y",
            paths=(tmp_path / "code", tmp_path / "layer"),
            environment={
                "AWS_LAMBDA_LOG_FORMAT": "JSON",
                "AWS_LAMBDA_LOG_LEVEL": "WARN",
                "A": "1",
                "B": "true",
                "C": "other",
            },
            memory=512,
            timeout=7,
        )
    }


def test_routes_have_their_authorizer(tmp_path: Path) -> None:
    jwt = Jwt("https://a.example", ("one",))
    template = Template(write(tmp_path, API))
    assert template.routes == [
        Route("GET", "/a", "Worker", jwt, ("s",)),
        Route("ANY", "$default", "Worker", jwt, ("s",)),
        Route("ANY", "/b", "Worker"),
    ]
    assert [route.key for route in template.routes] == ["GET /a", "$default", "ANY /b"]
    assert template.jwt == jwt


STREAMS = """
Resources:
  Things: {Type: AWS::DynamoDB::Table, Properties: {TableName: things}}
  Others: {Type: AWS::DynamoDB::Table, Properties: {}}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      Handler: x.y
      CodeUri: code/
      Events:
        Picky:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Things.StreamArn
            BatchSize: 5
            MaximumRetryAttempts: 0
            BisectBatchOnFunctionError: true
            FunctionResponseTypes: [ReportBatchItemFailures]
            FilterCriteria: {Filters: [{Pattern: '{"a": ["b"]}'}, {Pattern: '{"c": [1]}'}]}
        Plain: {Type: DynamoDB, Properties: {Stream: !GetAtt Others.StreamArn, StartingPosition: LATEST}}
        Elsewhere: {Type: DynamoDB, Properties: {Stream: "arn:aws:dynamodb:us-east-1:1:table/x/stream/y"}}
        Queue: {Type: SQS, Properties: {Queue: q}}
"""


def test_streams_are_read(tmp_path: Path) -> None:
    assert Template(write(tmp_path, STREAMS)).streams == [
        Stream("things", "Worker", ({"a": ["b"]}, {"c": [1]}), batch_size=5, retries=0, bisect=True, partial=True),
        Stream("Others", "Worker", (), batch_size=100, retries=-1, bisect=False, partial=False),
    ]


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("Resources: [", "is not valid YAML"),
        (STREAMS.replace('["b"]', "["), "Worker: not valid for SAM"),
        ("a: b", "has no Resources"),
        ("Parameters: {Name: {Type: String}}\nResources: {}", "Parameters: Name has no value"),
        ("Resources: {A: {Type: AWS::Serverless::Function, Properties: {CodeUri: x}}}", "A: not valid for SAM"),
        (
            "Resources: {A: {Type: AWS::Serverless::Function, Properties: {CodeUri: x, Handler: !Ref Nobody}}}",
            "A: Nobody is neither",
        ),
        (
            "Resources: {A: {Type: AWS::Serverless::Function, Properties: {CodeUri: !Cidr x, Handler: y}}}",
            "A: the local gateway does not support Fn::Cidr",
        ),
        (API.replace("DefaultAuthorizer: Jwt", "DefaultAuthorizer: Other"), "Worker: not valid for SAM"),
    ],
)
def test_template_errors_name_the_place(tmp_path: Path, template: str, says: str) -> None:
    with pytest.raises(UsageError, match=r"template\.yaml") as error:
        Template(write(tmp_path, template))
    assert says in str(error.value)


def test_missing_template_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        Template(tmp_path / "template.yaml")


@pytest.mark.parametrize("samconfig", ["[", '[local.global.parameters]\nparameter_overrides = ["Stage"]\n'])
def test_invalid_samconfig_is_reported(tmp_path: Path, samconfig: str) -> None:
    with pytest.raises(UsageError, match=r"samconfig\.toml"):
        Template(write(tmp_path, RESOURCES, samconfig))


def test_template_of_the_service_is_read(tmp_path: Path) -> None:
    template = Template(ROOT / "template.yaml")
    assert template.routes
    assert {route.jwt for route in template.routes if route.path != "/withdrawals"} == {template.jwt}
    for function in template.functions.values():
        module = function.handler.rpartition(".")[0].replace(".", "/")
        assert any((path / f"{module}.py").exists() for path in function.paths)
        assert "" not in function.environment.values() or function.environment["TABLE_NAME"] == "OrdersTable"
