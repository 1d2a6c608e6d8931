"""A small separate project, which tests the gateway without the service's functions."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from local import emulator, server
from local.gateway import Gateway
from local.template import Jwt, Template
from local.tokens import SigningKey, claims_for
from local.workers import LocalRuntime

TEMPLATE = """
Parameters:
  Greeting: {Type: String, Default: hello}
  AllowedOrigins: {Type: String, Default: "https://a.example,http://localhost:8000"}
Conditions:
  AllowBrowsers: !Not [!Equals [!Ref AllowedOrigins, ""]]
Globals:
  Function:
    CodeUri: code/
    Timeout: 30
    Environment: {Variables: {GREETING: !Ref Greeting, AWS_ENDPOINT_URL: http://container.example}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Jwt
        Authorizers: {Jwt: {JwtConfiguration: {issuer: https://issuer.example, audience: [shop, till]}}}
      CorsConfiguration: !If
        - AllowBrowsers
        - AllowOrigins: !Split [",", !Ref AllowedOrigins]
          AllowMethods: [GET, POST]
          AllowHeaders: [Authorization, X-Own]
          ExposeHeaders: [ETag, X-Seen]
          MaxAge: 60
        - !Ref AWS::NoValue
  Echo:
    Type: AWS::Serverless::Function
    Properties:
      Handler: stub.echo
      MemorySize: 256
      Environment: {Variables: {NAME: echo}}
      Events:
        One: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: any, Path: "/things/{thing_id}"}}
        Literal: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: get, Path: /things/latest}}
        All: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: get, Path: "/files/{proxy+}"}}
        Open: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: post, Path: /open, Auth: {Authorizer: NONE}}}
        Scoped:
          Type: HttpApi
          Properties:
            {ApiId: !Ref Api, Method: get, Path: /scoped, Auth: {AuthorizationScopes: [things/read, things/all]}}
  Act:
    Type: AWS::Serverless::Function
    Properties:
      Handler: stub.act
      Events:
        Act: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: post, Path: /act, Auth: {Authorizer: NONE}}}
  Slow:
    Type: AWS::Serverless::Function
    Properties:
      Handler: stub.hang
      Timeout: 0.3
      Events:
        Hang: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: post, Path: /hang, Auth: {Authorizer: NONE}}}
  Broken:
    Type: AWS::Serverless::Function
    Properties:
      Handler: no_such_module.handler
      Events:
        Broken: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: get, Path: /broken, Auth: {Authorizer: NONE}}}
"""

STUB = '''
import json, os, socket, threading, time

def echo(event, context):
    """Returns the event and details of the process that handled it."""
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps({
        "event": event,
        "environment": dict(os.environ),
        "process": os.getpid(),
        "request_id": context.aws_request_id,
        "function": context.function_name,
        "remaining": context.get_remaining_time_in_millis(),
    })}

def act(event, context):
    """Performs the actions in the body."""
    todo = json.loads(event["body"])
    print("this is not a reply")
    if "exit" in todo:
        os._exit(todo["exit"])
    if "raise" in todo:
        raise RuntimeError(todo["raise"])
    if "meet" in todo:
        # Returns once the given number of processes are here at the same time.
        open(os.path.join(todo["meet"], str(os.getpid())), "w").close()
        while len(os.listdir(todo["meet"])) < todo["of"]:
            time.sleep(0.005)
    if "call" in todo:
        with socket.create_connection(("127.0.0.1", todo["call"])):
            threading.Event().wait()
    if "process" in todo:
        return {"process": os.getpid()}
    return todo["return"]

def hang(event, context):
    """Never returns, unless the body is "quick"."""
    if event.get("body") != "quick":
        threading.Event().wait()
    return {"process": os.getpid()}
'''

ASKED = Jwt("https://issuer.example", ("shop", "till"))


@dataclass
class Answer:
    """The response of the gateway."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """A client of a running gateway."""

    listener: socket.socket
    key: SigningKey
    lines: list[str]
    folder: Path

    def token(self, **claims: Any) -> str:
        """Returns a valid token, except for the given claims. None removes a claim."""
        given = {**claims_for(ASKED, "alice"), **claims}
        return self.key.sign({name: value for name, value in given.items() if value is not None})

    def __call__(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        headers: dict[str, str] | None = None,
        token: str | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection(
            self.listener.getsockname()[0], self.listener.getsockname()[1], timeout=30
        )
        try:
            authorization = {"Authorization": f"Bearer {token}"} if token else {}
            connection.request(method, path, body, {**authorization, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def act(self, **todo: Any) -> Answer:
        """Calls the function `Act`."""
        return self("POST", "/act", json.dumps(todo), {"Content-Type": "application/json"})


@contextmanager
def serve(folder: Path, *, debug: bool = False) -> Iterator[Client]:
    """Serves the project in a folder."""
    template = Template(folder / "template.yaml")
    key = SigningKey(folder / ".local")
    lines: list[str] = []
    environment = emulator.environment(
        {"PATH": "/bin", "AWS_ENDPOINT_URL_SQS": "http://sqs.example"}, "http://aws.example"
    )
    with (folder / "log").open("ab") as log:
        runtime = LocalRuntime(template.functions, environment, log, debug=debug)
        gateway = Gateway(template.routes, key, runtime, _pages, lines.append, template.cors)
        listener = server.listen("127.0.0.1", 0, "")
        running = server.serve(listener, gateway, server.QuietHandler)
        try:
            yield Client(listener, key, lines, folder)
        finally:
            running.shutdown()
            running.server_close()
            listener.close()
            runtime.close()


def _pages(request: Request) -> Response | None:
    return Response("a page") if request.path == "/page" else None


def write(folder: Path) -> Path:
    """Writes the small project into a folder."""
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "code").mkdir()
    (folder / "code" / "stub.py").write_text(STUB)
    return folder
