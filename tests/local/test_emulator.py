"""The emulated AWS, used through plain AWS clients."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local import UsageError, emulator
from local.serving import ORDERS
from local.template import Template

TEMPLATE = """
Resources:
  Things:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}, {AttributeName: sk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}, {AttributeName: sk, KeyType: RANGE}]
      GlobalSecondaryIndexes:
        - IndexName: turned
          KeySchema: [{AttributeName: sk, KeyType: HASH}]
          Projection: {ProjectionType: KEYS_ONLY}
          ContributorInsightsSpecification: {Enabled: true}
  Sender: {Type: AWS::SES::EmailIdentity, Properties: {EmailIdentity: shop@shop.example}}
  Mail: {Type: AWS::SES::ConfigurationSet}
  Files: {Type: AWS::S3::Bucket, Properties: {VersioningConfiguration: {Status: Enabled}}}
"""


@pytest.fixture
def template(tmp_path: Path) -> Template:
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    return Template(tmp_path / "template.yaml")


def client(service: str) -> Any:
    return emulator.client(service)


def test_items_of_all_types_are_returned_as_stored(aws: str, template: Template) -> None:
    emulator.provision(template)
    value = {
        "M": {
            "text": {"S": "Käse"},
            "empty": {"S": ""},
            "number": {"N": "12.50"},
            "bytes": {"B": b"\x00\xff"},
            "texts": {"SS": ["a", "b"]},
            "numbers": {"NS": ["1", "2"]},
            "byte strings": {"BS": [b"\x00", b"\xff"]},
            "list": {"L": [{"S": "a"}, {"L": []}, {"M": {}}]},
            "null": {"NULL": True},
            "no": {"BOOL": False},
        }
    }
    item = {"pk": {"S": "all"}, "sk": {"S": "types"}, "value": value}
    client("dynamodb").put_item(TableName="Things", Item=item)
    assert client("dynamodb").get_item(TableName="Things", Key={k: item[k] for k in ("pk", "sk")})["Item"] == item


def test_provision_creates_each_resource_of_the_template_once(aws: str, template: Template) -> None:
    for _ in range(2):
        assert emulator.provision(template) == []
    table = client("dynamodb").describe_table(TableName="Things")["Table"]
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["turned"]
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    expiry = client("dynamodb").describe_time_to_live(TableName="Things")["TimeToLiveDescription"]
    assert expiry == {"AttributeName": "expires", "TimeToLiveStatus": "ENABLED"}
    identities = client("sesv2").list_email_identities()["EmailIdentities"]
    assert "shop@shop.example" in {identity["IdentityName"] for identity in identities}
    assert "Mail" in client("sesv2").list_configuration_sets()["ConfigurationSets"]
    assert client("s3").get_bucket_versioning(Bucket="Files")["Status"] == "Enabled"


def test_provision_creates_buckets_in_any_region(aws: str, template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for _ in range(2):
        assert emulator.provision(template) == []


def test_one_of_many_concurrent_conditional_writes_succeeds(aws: str, template: Template) -> None:
    emulator.provision(template)
    dynamodb = client("dynamodb")
    key = {"pk": {"S": "1"}, "sk": {"S": "1"}}
    for turn in range(20):

        def write(n: int, turn: int = turn) -> bool:
            try:
                dynamodb.update_item(
                    TableName="Things",
                    Key=key,
                    UpdateExpression="SET turn = :turn, winner = :n",
                    ConditionExpression="attribute_not_exists(turn) OR turn < :turn",
                    ExpressionAttributeValues={":turn": {"N": str(turn)}, ":n": {"N": str(n)}},
                )
            except dynamodb.exceptions.ConditionalCheckFailedException:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(write, range(8))).count(True) == 1


def test_failed_transaction_changes_nothing(aws: str, template: Template) -> None:
    emulator.provision(template)
    dynamodb = client("dynamodb")

    def key(pk: str, sk: str) -> Any:
        return {"pk": {"S": pk}, "sk": {"S": sk}}

    def put(pk: str, sk: str, **more: Any) -> Any:
        return {"Put": {"TableName": "Things", "Item": key(pk, sk), **more}}

    def update(pk: str, sk: str) -> Any:
        change = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "1"}}}
        return {"Update": {"TableName": "Things", "Key": key(pk, sk), **change}}

    def everything() -> Any:
        return sorted(map(str, dynamodb.scan(TableName="Things")["Items"]))

    dynamodb.transact_write_items(TransactItems=[put("old", "1"), put("old", "2"), update("old", "3")])
    before = everything()
    there_is_none = {"ConditionExpression": "attribute_not_exists(pk)"}
    actions = [
        update("old", "1"),
        {"Delete": {"TableName": "Things", "Key": key("old", "2")}},
        put("new", "1"),
        put("old", "4"),
    ]
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as refused:
        dynamodb.transact_write_items(TransactItems=[*actions, put("old", "3", **there_is_none)])
    assert [why["Code"] for why in refused.value.response["CancellationReasons"]] == 4 * ["None"] + [
        "ConditionalCheckFailed"
    ]
    assert everything() == before
    dynamodb.transact_write_items(TransactItems=[*actions, put("new", "2", **there_is_none)])
    assert len(everything()) == len(before) + 2


def test_load_orders_adds_missing_orders_only(aws: str, template: Template) -> None:
    emulator.provision(template)
    dynamodb = client("dynamodb")
    count = len(json.loads(ORDERS.read_text()))
    assert emulator.load_orders(ORDERS, ["Things"]) == count
    dynamodb.update_item(
        TableName="Things",
        Key={"pk": {"S": "ORDER#1001"}, "sk": {"S": "ORDER"}},
        UpdateExpression="SET order_status = :cancelled",
        ExpressionAttributeValues={":cancelled": {"S": "cancelled"}},
    )
    assert emulator.load_orders(ORDERS, ["Things"]) == 0
    kept = dynamodb.get_item(TableName="Things", Key={"pk": {"S": "ORDER#1001"}, "sk": {"S": "ORDER"}})["Item"]
    assert kept["order_status"] == {"S": "cancelled"}


@pytest.mark.parametrize(
    ("text", "why"),
    [("[", "orders.json:1: is not JSON"), ('[{"order_id": "1"}]', "orders.json, no. 1: order 1: customer_id: Field")],
    ids=["no JSON", "no order"],
)
def test_invalid_sample_orders_are_reported(aws: str, tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "orders.json").write_text(text)
    with pytest.raises(UsageError, match=re.escape(why)):
        emulator.load_orders(tmp_path / "orders.json", ["Things"])


def test_unreachable_dynamodb_is_reported_with_its_address(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.environment({}, "http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="does not respond at http://127"):
        emulator.provision(template)


@pytest.mark.parametrize("service", ["sesv2", "s3"])
def test_unreachable_service_is_a_warning_only(
    aws: str, template: Template, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service.upper()}", "http://127.0.0.1:9")
    [missing] = emulator.provision(template)
    assert missing.startswith(f"{service} does not work at http://127.0.0.1:9")


def test_environment_inherits_nothing_of_a_real_account() -> None:
    given = {
        "PATH": "/bin",
        "AWS_PROFILE": "production",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SESSION_TOKEN": "secret",
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8000",
        "HTTPS_PROXY": "http://proxy.example",
        "TABLE_NAME": "production",
    }
    environment = emulator.environment(given, "http://127.0.0.1:4566")
    assert (
        environment.items()
        >= {
            "PATH": "/bin",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
            "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8000",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }.items()
    )
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "HTTPS_PROXY", "TABLE_NAME"} & environment.keys()
