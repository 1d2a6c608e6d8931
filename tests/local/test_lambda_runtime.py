"""Functions that run elsewhere, behind Lambda's API."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from local import emulator, server
from local.workers import FunctionFailed, FunctionTimedOut, LambdaRuntime


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaRuntime]:
    """A runtime whose functions do what the event says."""
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


def test_the_event_goes_there_and_the_result_comes_back(runtime: LambdaRuntime) -> None:
    assert runtime.invoke("Things", {"a": "ü"}) == {"called": "Things", "with": {"a": "ü"}}


def test_an_error_of_the_function(runtime: LambdaRuntime) -> None:
    with pytest.raises(FunctionFailed, match="KeyError: 'x'"):
        runtime.invoke("Things", {"error": {"errorType": "KeyError", "errorMessage": "'x'"}})


def test_a_timeout_of_the_function(runtime: LambdaRuntime) -> None:
    with pytest.raises(FunctionTimedOut):
        runtime.invoke("Things", {"error": {"errorMessage": "Task timed out after 3.00 seconds"}})


def test_a_function_that_is_not_there(runtime: LambdaRuntime) -> None:
    with pytest.raises(FunctionFailed, match="ResourceNotFoundException"):
        runtime.invoke("Things", {"refuse": True})


def test_nothing_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.environment({}, "http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FunctionFailed, match="http://127"):
        LambdaRuntime("http://127.0.0.1:9").invoke("Things", {})
