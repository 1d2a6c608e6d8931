"""Prints the environment variables that `make e2e` needs for a deployed stack with its own Cognito pool:

    eval "$(.venv/bin/python tests/e2e/access.py orders-dev)" && make e2e

Creates three users in the pool once, and sets new random passwords each time. Tokens are valid for an hour.
"""

import secrets
import sys
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import boto3
import urllib3
from botocore.exceptions import BotoCoreError, ClientError

USERS = {"CUSTOMER_TOKEN": "customer", "OTHER_CUSTOMER_TOKEN": "other", "ADMIN_TOKEN": "admin"}


def access(stack: str, *, token_url: str | None = None) -> dict[str, str]:
    """Returns the variables.

    Args:
        stack: The name of the stack.
        token_url: Where machine clients get tokens, if not where the stack says.

    Raises:
        SystemExit: There is no such stack, or it uses another identity provider.
        botocore.exceptions.ClientError: AWS refuses a call.
    """
    outputs = outputs_of(stack)
    for name in ("UserPoolId", "UserPoolClientId", "MachineClientId", "TokenUrl"):
        if name not in outputs:
            sys.exit(f"{stack} has no output {name}: with another identity provider, set the tokens yourself")
    pool, client = outputs["UserPoolId"], outputs["UserPoolClientId"]
    tokens = {name: _token(pool, client, user) for name, user in USERS.items()}
    machine = _machine_token(pool, outputs["MachineClientId"], token_url or outputs["TokenUrl"])
    return {"BASE_URL": outputs["ApiUrl"], "MACHINE_TOKEN": machine} | tokens


def outputs_of(stack: str) -> dict[str, str]:
    """Returns the outputs of a stack."""
    described = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}


def _token(pool: str, client: str, user: str) -> str:
    """Returns an access token for a user, who is created if necessary. The user `admin` is in the group `admins`."""
    cognito: Any = boto3.client("cognito-idp")
    who, password = {"UserPoolId": pool, "Username": f"e2e-{user}@example.com"}, f"Aa1-{secrets.token_hex(16)}"
    with suppress(cognito.exceptions.UsernameExistsException):
        cognito.admin_create_user(**who, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(**who, Password=password, Permanent=True)
    if user == "admin":
        cognito.admin_add_user_to_group(**who, GroupName="admins")
    answer = cognito.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": who["Username"], "PASSWORD": password},
    )
    token: str = answer["AuthenticationResult"]["AccessToken"]
    return token


def _machine_token(pool: str, client: str, url: str) -> str:
    """Returns an access token for the machine client, as docs/deploy.md gets it."""
    described = boto3.client("cognito-idp").describe_user_pool_client(UserPoolId=pool, ClientId=client)
    secret = described["UserPoolClient"]["ClientSecret"]
    form = urlencode({"grant_type": "client_credentials", "scope": "orders/admin"})
    headers = urllib3.make_headers(basic_auth=f"{client}:{secret}")
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    answer = urllib3.request("POST", url, body=form, headers=headers)
    if answer.status != 200:
        sys.exit(f"{url} answers {answer.status} {answer.data.decode(errors='replace')}")
    return str(answer.json()["access_token"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        print("export", *(f"{name}={value}" for name, value in access(sys.argv[1]).items()))
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
