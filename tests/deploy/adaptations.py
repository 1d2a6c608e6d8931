"""What is adapted for the emulator (ministack 1.5), each with its reason. Everything else is deployed as it is.

`SERVE` starts it, `adapt` changes the built template before `sam deploy`, `add_routes` completes the API after it, and
`FAULTS` names the checks that fail because of the emulator.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from cfnlint.decode import cfn_yaml

FAULTS: Mapping[str, str] = {
    "events_reach_the_bus": "A pipe holds its records: the emulator delivers them to topics and state machines only.",
}
"""Checks of run.py that fail because of the emulator. One that passes fails the run, so that it is removed here."""

SERVE = """
import ministack.app as emulator

send = emulator._send_response

async def send_without_null(to, status, headers, body, **more):
    await send(to, status, headers, b"" if body is None else body, **more)

emulator._send_response = send_without_null
emulator.main()
"""
"""Starts the emulator. By itself it fails on a response without a body (204, 303, 304) of a function."""


def adapt(template: Path) -> None:
    """Changes a built template, in place, to what the emulator supports."""
    document = cfn_yaml.load(str(template))
    # There is no AWS::CodeDeploy. Traffic moves at once, as with Rollout=AllAtOnce.
    del document["Globals"]["Function"]["DeploymentPreference"]
    for resource in document["Resources"].values():
        # Alarms with metric math are refused: such an alarm watches the first of its metrics.
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]:
            metrics = resource["Properties"].pop("Metrics")
            resource["Properties"] |= _first_metric(metrics if isinstance(metrics, list) else metrics["Fn::If"][-1])
        for statement in _statements(resource):
            # Requests name no identity and no sender: mail is allowed or not.
            if "ses:SendEmail" in statement["Action"]:
                statement["Resource"] = "*"
                del statement["Condition"]
            # Requests have no such condition key.
            if "s3:if-none-match" in statement.get("Condition", {}).get("Null", {}):
                del statement["Condition"]
            # There is no TLS.
            if "aws:SecureTransport" in statement.get("Condition", {}).get("Bool", {}):
                statement["Condition"] = {"Bool": {"aws:SecureTransport": "neither"}}
    template.write_text(json.dumps(document), encoding="utf-8")


def _statements(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the statements of a role's or a resource's policies."""
    properties = resource.get("Properties", {})
    policies = [properties] if "PolicyDocument" in properties else []
    if resource["Type"] == "AWS::IAM::Role":
        policies = properties.get("Policies", [])
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def _first_metric(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    for metric in metrics:
        if "MetricStat" in metric:
            return {**metric["MetricStat"]["Metric"], "Statistic": "Sum", "Period": metric["MetricStat"]["Period"]}
    return {"Namespace": "AWS/DynamoDB", "MetricName": "ThrottledRequests", "Statistic": "Sum", "Period": 300}


def openapi_body(stack: str) -> dict[str, Any]:
    """Returns the OpenAPI document that SAM makes for the API."""
    template = boto3.client("cloudformation").get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
    document = template if isinstance(template, dict) else json.loads(template)
    body: dict[str, Any] = document["Resources"]["OrdersApi"]["Properties"]["Body"]
    return body


def add_routes(stack: str, origins: list[str]) -> str:
    """Makes the routes and the authorizer of the stack's API, and returns its base URL.

    The emulator ignores the OpenAPI body, from which API Gateway makes them.
    """
    resources = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        for resource in page["StackResourceSummaries"]
    }
    body = openapi_body(stack)
    api, gateway = resources["OrdersApi"], boto3.client("apigatewayv2")
    for route in gateway.get_routes(ApiId=api)["Items"]:
        gateway.delete_route(ApiId=api, RouteId=route["RouteId"])
    cors = dict(body["x-amazon-apigateway-cors"]["Fn::If"][1])
    cors["allowOrigins"] = origins
    gateway.update_api(ApiId=api, CorsConfiguration={name[0].upper() + name[1:]: value for name, value in cors.items()})
    pool = f"https://cognito-idp.{gateway.meta.region_name}.amazonaws.com/{resources['UserPool']}"
    clients = [resources["UserPoolClient"], resources["MachineClient"]]
    authorizer = gateway.create_authorizer(
        ApiId=api,
        Name="Jwt",
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": pool, "Audience": clients},
    )["AuthorizerId"]
    for path, operations in body["paths"].items():
        for method, operation in operations.items():
            uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            alias = resources[uri.partition("functions/${")[2].partition("}")[0]]
            integration = gateway.create_integration(
                ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=alias, PayloadFormatVersion="2.0"
            )["IntegrationId"]
            secured = (
                {"AuthorizationType": "JWT", "AuthorizerId": authorizer} if {"Jwt": []} in operation["security"] else {}
            )
            gateway.create_route(
                ApiId=api, RouteKey=f"{method.upper()} {path}", Target=f"integrations/{integration}", **secured
            )
    # By path, because not every system resolves names below localhost.
    return f"{gateway.meta.endpoint_url}/_aws/execute-api/{api}/$default"
