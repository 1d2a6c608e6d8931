"""Evaluates each AWS call of a function against its role in the template, as IAM would.

Moto checks roles too, but supports neither the resources of DynamoDB, nor conditions, nor the items of a transaction.
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
"""The services that functions call. Lambda itself writes their logs, traces and queues."""

ITEM = {"Get": "GetItem", "Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem"}


@dataclass(frozen=True)
class Access:
    """One access check of IAM: an action on a resource, with the values of each context key."""

    action: str
    resource: str
    context: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass
class Roles:
    """Refuses all calls that the role of the acting function does not allow.

    Attributes:
        used: The accesses of each function that were allowed.
        refused: The accesses of each function that were refused.
    """

    template: Template
    used: dict[str, set[Access]] = field(default_factory=dict)
    refused: list[tuple[str, Access]] = field(default_factory=list)
    _acting: str | None = None
    _statements: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @contextmanager
    def acting(self, function: str) -> Iterator[None]:
        """Attributes all calls in the block to a function. Calls outside of it are not checked."""
        # Not a context variable, because a function may use several threads.
        before, self._acting = self._acting, function
        try:
            yield
        finally:
            self._acting = before

    def watch(self, events: Any) -> None:
        """Checks the calls of a client, or of all clients that a session creates from now on."""
        events.register("provide-client-params", self._check)
        events.register("before-call", self._refuse)

    def statements(self, function: str) -> list[dict[str, Any]]:
        """Returns the statements of a function's role about the services that functions call."""
        # Resolving the template at each call took a tenth of all time.
        if function not in self._statements:
            self._statements[function] = self._read_statements(function)
        return self._statements[function]

    def _read_statements(self, function: str) -> list[dict[str, Any]]:
        role = self.template.of_type("AWS::IAM::Role")[f"{function.removesuffix('Function')}Role"]
        found = [each for policy in role["Policies"] for each in policy["PolicyDocument"]["Statement"]]
        return [each for each in found if as_list(each["Action"])[0].startswith(tuple(f"{name}:" for name in SERVICES))]

    def _check(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: object) -> None:
        if (function := self._acting) is None:
            return
        statements = self.statements(function)
        for access in accesses(model.service_model.service_id, model.name, params):
            if any(permits(statement, access) for statement in statements):
                self.used.setdefault(function, set()).add(access)
            else:
                self.refused.append((function, access))
                context["refused"] = access

    def _refuse(self, context: dict[str, Any], **_: object) -> Any:
        if access := context.get("refused"):
            error = {"Code": "AccessDeniedException", "Message": f"not authorized to perform: {access.action}"}
            answer = AWSResponse("https://aws.example", HTTPStatus.BAD_REQUEST, HTTPHeaders(), None)
            return answer, {"Error": error, "ResponseMetadata": {"HTTPStatusCode": answer.status_code}}
        return None


def permits(statement: dict[str, Any], access: Access) -> bool:
    """Whether a policy statement allows an access."""
    assert statement["Effect"] == "Allow"
    context = dict(access.context)
    return (
        access.action in as_list(statement["Action"])
        and any(fnmatchcase(access.resource, pattern) for pattern in as_list(statement["Resource"]))
        and all(
            _holds(operator, as_list(wanted), context.get(key, ()))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def as_list(value: str | list[str]) -> list[str]:
    """Returns a text or a list of texts as a list."""
    return [value] if isinstance(value, str) else value


def _holds(operator: str, wanted: list[str], given: tuple[str, ...]) -> bool:
    match operator:
        case "ForAllValues:StringLike":
            return all(any(fnmatchcase(value, pattern) for pattern in wanted) for value in given)
        case "StringEquals":
            return bool(given) and all(value in wanted for value in given)
        case "Null":
            return wanted == [str(not given).lower()]
    raise ValueError(f"{operator} is not implemented")


def accesses(service: str, operation: str, params: dict[str, Any]) -> Iterator[Access]:
    """Yields the accesses that a call needs. Unknown calls need the action of their own name on all resources."""
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
            # The partition key comes first, and can only be compared with `=`.
            value = params["ExpressionAttributeValues"][params["KeyConditionExpression"].split()[2]]["S"]
            yield Access("dynamodb:Query", f"{params['TableName']}.Arn{index}", (("dynamodb:LeadingKeys", (value,)),))
        case "DynamoDB", _:
            yield Access(f"dynamodb:{operation}", f"{params.get('TableName', '*')}.Arn")
        case "S3", "PutObject" | "GetObject" | "DeleteObject":
            given = {"s3:if-none-match": params.get("IfNoneMatch")}
            context = tuple((name, (value,)) for name, value in given.items() if value)
            yield Access(f"s3:{operation}", f"{params['Bucket']}.Arn/{params['Key']}", context)
        case "S3", _:
            yield Access(f"s3:{operation}", f"{params.get('Bucket', '*')}.Arn")
        case "SESv2", "SendEmail":
            yield from _mail(params)
        case _:
            yield Access(f"{service.lower()}:{operation}", "*")


def _item(operation: str, table: str, key: dict[str, Any]) -> Access:
    return Access(f"dynamodb:{operation}", f"{table}.Arn", (("dynamodb:LeadingKeys", (key["pk"]["S"],)),))


def _mail(params: dict[str, Any]) -> Iterator[Access]:
    """Yields the accesses of a raw mail, which names its sender twice and also needs the right to send raw mail."""
    raw = params["Content"]["Raw"]["Data"]
    head = email.message_from_bytes(raw, policy=default)["From"].addresses[0].addr_spec
    ses = "arn:aws:ses:us-east-1:123456789012:"
    resources = [f"{ses}identity/{params['FromEmailAddress']}"]
    resources += [f"{ses}configuration-set/{name}" for name in [params.get("ConfigurationSetName")] if name]
    for action in ("ses:SendEmail", "ses:SendRawEmail"):
        for resource in resources:
            for sender in (params["FromEmailAddress"], head):
                yield Access(action, resource, (("ses:FromAddress", (sender,)),))
