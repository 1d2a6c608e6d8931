"""Functions that are invoked through Lambda's API."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from local import emulator, server
from local.workers import FunctionFailed, FunctionTimedOut, LambdaRuntime


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaRuntime]:
    """A runtime whose functions do what the event asks for."""
    for name, value in emulator.environment({}, "http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)

    @Request.application
    def app(request: Request) -> Response:
        event: Any = request.get_json(force=True)
        if "refuse" in event:
            return Response("{}", 404, {"X-Amzn-ErrorType": "ResourceNotFoundException"})
        if "error" in event:
            return Response(json.dumps(event["error"]), headers={"X-Amz-Function-Error": "Unhandled"})
        return Response(json.dumps({"called": request.path.split("/")[-2], "with": event}))

    listener = server.listen("127.0.0.1", 0, "")
    running = server.serve(listener, app, server.QuietHandler)
    yield LambdaRuntime(server.url(listener))
    running.shutdown()
    running.server_close()
    listener.close()


def test_invoke_sends_the_event_and_returns_the_result(runtime: LambdaRuntime) -> None:
    assert runtime.invoke("Things", {"a": "ü"}) == {"called": "Things", "with": {"a": "ü"}}


def test_error_of_the_function_is_raised(runtime: LambdaRuntime) -> None:
    with pytest.raises(FunctionFailed, match="KeyError: 'x'"):
        runtime.invoke("Things", {"error": {"errorType": "KeyError", "errorMessage": "'x'"}})


def test_timeout_of_the_function_is_raised(runtime: LambdaRuntime) -> None:
    with pytest.raises(FunctionTimedOut):
        runtime.invoke("Things", {"error": {"errorMessage": "Task timed out after 3.00 seconds"}})


def test_unknown_function_is_an_error(runtime: LambdaRuntime) -> None:
    with pytest.raises(FunctionFailed, match="ResourceNotFoundException"):
        runtime.invoke("Things", {"refuse": True})


def test_unreachable_endpoint_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.environment({}, "http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FunctionFailed, match="http://127"):
        LambdaRuntime("http://127.0.0.1:9").invoke("Things", {})
