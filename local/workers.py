"""Invokes the functions, either in processes on this machine or through Lambda's API.

Each process takes the place of a Lambda execution environment. It handles one event at a time, so handlers need not be
thread-safe, and has the environment variables of its function.
"""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import botocore.exceptions
from botocore.config import Config
from botocore.session import get_session

from local.events import LARGEST_PAYLOAD
from local.template import Function

CONCURRENCY = 8
"""Processes per function. Further requests wait; Lambda would start more environments."""

INIT_TIMEOUT = 30
"""Seconds that loading a function may take. Lambda allows 10, but this machine may be busy."""

GATEWAY_TIMEOUT = 30
"""Seconds after which HTTP API stops waiting for a function."""

DEBUG_TIMEOUT = 24 * 60 * 60
"""Seconds that a function may run while it is debugged."""


class FunctionFailed(Exception):
    """The function raised, or its process died. API Gateway answers 500."""


class FunctionTimedOut(Exception):
    """The function did not answer in time. API Gateway answers 503."""


class Runtime(Protocol):
    """Invokes functions."""

    def invoke(self, function: str, event: Mapping[str, Any], within: float = GATEWAY_TIMEOUT) -> Any:
        """Returns the result of a function for an event.

        Args:
            function: Its logical id.
            event: The event.
            within: Seconds that the caller waits.

        Raises:
            FunctionFailed: The function raised an error or its process died.
            FunctionTimedOut: The function did not answer in time.
        """


class LocalRuntime:
    """Runs functions in processes on this machine. After a change of the code, the next event runs the new code.

    Args:
        functions: The functions, by name.
        environment: Environment variables of all functions. They override those of a single function.
        log: The file for the functions' logs; None means standard error.
        debug: Whether functions run without a timeout, with `breakpoint()` on the terminal of the gateway.
    """

    def __init__(
        self,
        functions: Mapping[str, Function],
        environment: Mapping[str, str],
        log: IO[bytes] | None,
        *,
        debug: bool = False,
    ) -> None:
        self._pools = {name: _Pool(function, environment, log, debug) for name, function in functions.items()}
        self._warming: threading.Thread | None = None

    def invoke(self, function: str, event: Mapping[str, Any], within: float = GATEWAY_TIMEOUT) -> Any:
        """See `Runtime`."""
        return self._pools[function].invoke(event, within)

    def warm(self, functions: Sequence[str]) -> None:
        """Starts a process for each of these functions, one after the other, in the background."""

        def start() -> None:
            for name in functions:
                # The first request for the function reports the error.
                with contextlib.suppress(FunctionFailed, FunctionTimedOut):
                    self._pools[name].warm()

        self._warming = threading.Thread(target=start, daemon=True)
        self._warming.start()

    def close(self) -> None:
        """Ends all processes. No more events are accepted."""
        for pool in self._pools.values():
            pool.close()
        if self._warming:
            self._warming.join()


class LambdaRuntime:
    """Invokes functions through Lambda's API, such as that of `sam local start-lambda`, which runs them in containers.

    Args:
        endpoint: The address of the API, which knows functions by their logical ids.
        debug: Whether to wait without a timeout.
    """

    def __init__(self, endpoint: str, *, debug: bool = False) -> None:
        self._endpoint = endpoint
        self._debug = debug
        self._clients: dict[float, Any] = {}

    def invoke(self, function: str, event: Mapping[str, Any], within: float = GATEWAY_TIMEOUT) -> Any:
        """See `Runtime`."""
        client = self._clients.get(within) or self._clients.setdefault(within, self._client(within))
        try:
            answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        except botocore.exceptions.ReadTimeoutError as error:
            raise FunctionTimedOut(f"{self._endpoint} did not answer") from error
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise FunctionFailed(str(error)) from error
        result = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            if "timed out" in str(result.get("errorMessage")):
                raise FunctionTimedOut(result["errorMessage"])
            raise FunctionFailed(f"{result.get('errorType')}: {result.get('errorMessage')}")
        return result

    def _client(self, within: float) -> Any:
        return get_session().create_client(
            "lambda",
            endpoint_url=self._endpoint,
            # The first call starts a container, which may take longer than the function itself.
            config=Config(
                connect_timeout=2,
                read_timeout=DEBUG_TIMEOUT if self._debug else within + INIT_TIMEOUT,
                retries={"total_max_attempts": 1},
                max_pool_connections=50,
            ),
        )


class _Pool:
    """The processes of one function."""

    def __init__(self, function: Function, environment: Mapping[str, str], log: IO[bytes] | None, debug: bool) -> None:
        self._function = function
        self._log = log
        self._debug = debug
        self._environment = {
            **function.environment,
            **environment,
            "PYTHONPATH": os.pathsep.join(map(str, function.paths)),
            # Set by Lambda itself: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "LAMBDA_TASK_ROOT": str(function.paths[0]),
            "_HANDLER": function.handler,
            "TZ": ":UTC",
            # The output of a handler is logged even if its process crashes right after.
            "PYTHONUNBUFFERED": "1",
        }
        self._slots = threading.BoundedSemaphore(CONCURRENCY)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._closed = False

    def invoke(self, event: Mapping[str, Any], within: float) -> Any:
        timeout = DEBUG_TIMEOUT if self._debug else min(self._function.timeout, within)
        if not self._slots.acquire(timeout=DEBUG_TIMEOUT if self._debug else within):
            raise FunctionTimedOut(f"all {CONCURRENCY} processes of {self._function.name} are busy")
        try:
            worker = self._take()
            try:
                result = worker.invoke(event, timeout)
            finally:
                self._give_back(worker)
            return result
        finally:
            self._slots.release()

    def warm(self) -> None:
        with self._slots:
            self._give_back(self._take())

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for worker in self._idle:
                worker.kill()
            for worker in self._all.difference(self._idle):
                worker.interrupt()

    def _take(self) -> "_Worker":
        newest = _newest(self._function.paths)
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.code == newest and worker.alive:
                    return worker
                self._all.discard(worker)
                worker.kill()
            if self._closed:
                raise FunctionFailed("the gateway is shutting down")
            worker = _Worker(self._function, self._environment, self._log, newest, self._debug)
            self._all.add(worker)
        try:
            worker.wait_until_ready()
        except BaseException:
            self._give_back(worker)
            raise
        return worker

    def _give_back(self, worker: "_Worker") -> None:
        with self._lock:
            if self._closed:
                worker.kill()
            else:
                self._idle.append(worker)


class _Worker:
    """A process that runs `local.worker`. `code` is the time of the newest change to its code when it was started."""

    def __init__(
        self, function: Function, environment: Mapping[str, str], log: IO[bytes] | None, code: float, debug: bool
    ) -> None:
        self._name = function.name
        self.code = code
        script = str(Path(__file__).with_name("worker.py"))
        self._process = subprocess.Popen(
            # -P keeps the folder of the script off the path, so that a handler can import here what it can in Lambda.
            [sys.executable, "-P", script, function.handler, *(["--debug"] if debug else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            bufsize=0,
            # Ctrl-C is for the gateway, which then ends its workers. A new session has no terminal to debug on, though.
            start_new_session=not debug,
        )

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Waits until the handler is loaded."""
        try:
            self._reply(INIT_TIMEOUT)
        except FunctionFailed:
            self.kill()
            raise

    def invoke(self, event: Mapping[str, Any], timeout: float) -> Any:
        """Returns the result of the handler for an event."""
        request = {
            "event": event,
            "request_id": event.get("requestContext", {}).get("requestId", ""),
            "trace_id": event.get("headers", {}).get("x-amzn-trace-id", ""),
            "deadline": time.time() + timeout,
        }
        assert self._process.stdin
        # If the process has died, reading its reply raises the error.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        return self._reply(timeout).get("result")

    def interrupt(self) -> None:
        """Kills the process. The thread that waits for its reply cleans up."""
        self._process.kill()

    def kill(self) -> None:
        """Kills the process and releases its pipes."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def _reply(self, timeout: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        received = bytearray()
        assert self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not received.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self.kill()
                    raise FunctionTimedOut(f"{self._name} did not answer within {timeout:g} s")
                chunk = os.read(self._process.stdout.fileno(), 1 << 16)
                if not chunk:
                    self.kill()
                    raise FunctionFailed(f"{self._name} ended with exit code {self._process.returncode}")
                received += chunk
        if len(received) > LARGEST_PAYLOAD:
            raise FunctionFailed(f"{self._name} returned more than {LARGEST_PAYLOAD} bytes")
        reply: dict[str, Any] = json.loads(received)
        if "error" in reply:
            raise FunctionFailed(f"{reply['error']['errorType']}: {reply['error']['errorMessage']}")
        return reply


def _newest(folders: Sequence[Path]) -> float:
    """Returns the time of the newest change in these folders."""
    newest = 0.0
    for top in folders:
        for folder, _, files in os.walk(top):
            if folder.endswith("__pycache__"):
                continue
            for file in files:
                # Editors create files that disappear a moment later.
                with contextlib.suppress(OSError):
                    newest = max(newest, os.stat(os.path.join(folder, file)).st_mtime)
    return newest
