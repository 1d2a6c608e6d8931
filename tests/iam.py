"""What a function's role lets it do, as IAM decides it: call by call, with the role that the template gives it.

Moto checks roles, too, but knows neither the resources of DynamoDB, nor conditions, nor what is in a transaction.
"""

import email
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.policy import default
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from local.template import Template

SERVICES = ("dynamodb", "s3", "ses")
"""What functions call. Their logs, traces and queues are written by Lambda."""

ITEM = {"Get": "GetItem", "Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem"}


@dataclass(frozen=True)
class Ask:
    """One question to IAM: may this be done to that? Each context key has its values."""

    action: str
    resource: str
    context: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass
class Roles:
    """Stands between clients and AWS: what the acting function's role does not allow is refused.

    Attributes:
        used: What each function asked for and got.
        refused: What each function asked for and did not get.
    """

    template: Template
    used: dict[str, set[Ask]] = field(default_factory=dict)
    refused: list[tuple[str, Ask]] = field(default_factory=list)
    _acting: str | None = None

    @contextmanager
    def acting(self, function: str) -> Iterator[None]:
        """Has all calls made in it by a function. Other calls are nobody's, and are let through."""
        # Not a context variable: a function may ask in threads of its own.
        self._acting = function
        try:
            yield
        finally:
            self._acting = None

    def watch(self, events: Any) -> None:
        """Looks at the calls of a client, or of all clients that a session makes from now on."""
        events.register("provide-client-params", self._look)
        events.register("before-call", self._refuse)

    def statements(self, function: str) -> list[dict[str, Any]]:
        """What a function's role allows, of what functions call."""
        role = self.template.of_type("AWS::IAM::Role")[f"{function.removesuffix('Function')}Role"]
        found = [each for policy in role["Policies"] for each in policy["PolicyDocument"]["Statement"]]
        return [each for each in found if texts(each["Action"])[0].startswith(tuple(f"{name}:" for name in SERVICES))]

    def _look(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: object) -> None:
        if (function := self._acting) is None:
            return
        statements = self.statements(function)
        for ask in asked(model.service_model.service_id, model.name, params):
            if any(permits(statement, ask) for statement in statements):
                self.used.setdefault(function, set()).add(ask)
            else:
                self.refused.append((function, ask))
                context["refused"] = ask

    def _refuse(self, context: dict[str, Any], **_: object) -> Any:
        if ask := context.get("refused"):
            error = {"Code": "AccessDeniedException", "Message": f"not authorized to perform: {ask.action}"}
            answer = AWSResponse("https://aws.example", HTTPStatus.BAD_REQUEST, HTTPHeaders(), None)
            return answer, {"Error": error, "ResponseMetadata": {"HTTPStatusCode": answer.status_code}}
        return None


def permits(statement: dict[str, Any], ask: Ask) -> bool:
    """Whether a statement of a policy allows something."""
    assert statement["Effect"] == "Allow"
    context = dict(ask.context)
    return (
        ask.action in texts(statement["Action"])
        and any(fnmatchcase(ask.resource, pattern) for pattern in texts(statement["Resource"]))
        and all(
            _holds(operator, texts(wanted), context.get(key, ()))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def texts(value: str | list[str]) -> list[str]:
    """One text, or many."""
    return [value] if isinstance(value, str) else value


def _holds(operator: str, wanted: list[str], given: tuple[str, ...]) -> bool:
    match operator:
        case "ForAllValues:StringLike":
            return all(any(fnmatchcase(value, pattern) for pattern in wanted) for value in given)
        case "StringEquals":
            return bool(given) and all(value in wanted for value in given)
        case "Null":
            return wanted == [str(not given).lower()]
    raise ValueError(f"{operator} is not known here")


def asked(service: str, operation: str, params: dict[str, Any]) -> Iterator[Ask]:
    """What IAM is asked about a call. What is not known here is asked for by the call's own name, of everything."""
    match service, operation:
        case "DynamoDB", "GetItem" | "DeleteItem" | "UpdateItem":
            yield _item(operation, params["TableName"], params["Key"])
        case "DynamoDB", "PutItem":
            yield _item(operation, params["TableName"], params["Item"])
        case "DynamoDB", "TransactGetItems" | "TransactWriteItems":
            for [(kind, item)] in (action.items() for action in params["TransactItems"]):
                name = ITEM.get(kind, "ConditionCheckItem")
                yield _item(name, item["TableName"], item.get("Key") or item["Item"])
        case "DynamoDB", "BatchGetItem":
            for table, request in params["RequestItems"].items():
                for key in request["Keys"]:
                    yield _item(operation, table, key)
        case "DynamoDB", "Query":
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            # The partition key comes first, and there is no other way to ask for it than `=`.
            value = params["ExpressionAttributeValues"][params["KeyConditionExpression"].split()[2]]["S"]
            yield Ask("dynamodb:Query", f"{params['TableName']}.Arn{index}", (("dynamodb:LeadingKeys", (value,)),))
        case "DynamoDB", _:
            yield Ask(f"dynamodb:{operation}", f"{params.get('TableName', '*')}.Arn")
        case "S3", "PutObject" | "GetObject" | "DeleteObject":
            given = {"s3:if-none-match": params.get("IfNoneMatch")}
            context = tuple((name, (value,)) for name, value in given.items() if value)
            yield Ask(f"s3:{operation}", f"{params['Bucket']}.Arn/{params['Key']}", context)
        case "S3", _:
            yield Ask(f"s3:{operation}", f"{params.get('Bucket', '*')}.Arn")
        case "SESv2", "SendEmail":
            yield from _mail(params)
        case _:
            yield Ask(f"{service.lower()}:{operation}", "*")


def _item(operation: str, table: str, key: dict[str, Any]) -> Ask:
    return Ask(f"dynamodb:{operation}", f"{table}.Arn", (("dynamodb:LeadingKeys", (key["pk"]["S"],)),))


def _mail(params: dict[str, Any]) -> Iterator[Ask]:
    """A raw mail names its sender twice, and needs the right to send raw mail, too."""
    raw = params["Content"]["Raw"]["Data"]
    head = email.message_from_bytes(raw, policy=default)["From"].addresses[0].addr_spec
    ses = "arn:aws:ses:us-east-1:123456789012:"
    resources = [f"{ses}identity/{params['FromEmailAddress']}"]
    resources += [f"{ses}configuration-set/{name}" for name in [params.get("ConfigurationSetName")] if name]
    for action in ("ses:SendEmail", "ses:SendRawEmail"):
        for resource in resources:
            for sender in (params["FromEmailAddress"], head):
                yield Ask(action, resource, (("ses:FromAddress", (sender,)),))
