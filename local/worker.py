"""An execution environment of a function: a process that runs its handler, one event after the other.

`local.workers` starts it with the function's environment variables, and with only the function's code on the path, so
this file imports nothing of the project. Events arrive on standard input and results leave on standard output, as one
line of JSON each. The output of the handler goes to standard error, like its log.
"""

import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO


class Context:
    """The context object that Lambda passes to a handler."""

    def __init__(self, request_id: str, deadline: float) -> None:
        region = os.environ["AWS_REGION"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn = f"arn:aws:lambda:{region}:123456789012:function:{self.function_name}"
        self.aws_request_id = request_id
        self.client_context = None
        self.identity = None
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Returns the time until the function times out."""
        return max(0, int((self._deadline - time.time()) * 1000))


def main(handler_string: str, debug: bool) -> None:
    """Handles events until the gateway ends.

    Args:
        handler_string: The function's handler, such as `send_invoice.app.handler`.
        debug: Whether `breakpoint()` opens a debugger on the terminal of the gateway.
    """
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    _prepare_breakpoints(debug)
    threading.Thread(target=_receive, args=(incoming, requests), daemon=True).start()
    try:
        module, _, name = handler_string.rpartition(".")
        handler: Callable[[Any, Context], Any] = getattr(importlib.import_module(module), name)
    except Exception as error:
        _send(outgoing, _report(error))
        sys.exit(1)
    _send(outgoing, b'{"ready": true}')
    while True:
        request = json.loads(requests.get())
        os.environ["_X_AMZN_TRACE_ID"] = request["trace_id"]
        try:
            result = handler(request["event"], Context(request["request_id"], request["deadline"]))
            reply = json.dumps({"result": result}).encode()
        except Exception as error:
            reply = _report(error)
        _send(outgoing, reply)


def _prepare_breakpoints(debug: bool) -> None:
    """Connects `breakpoint()` with the terminal, or makes it say how to do that. An IDE's own breakpoints stay."""
    if sys.breakpointhook is not sys.__breakpointhook__:
        return
    if debug:
        try:
            terminal = os.open("/dev/tty", os.O_RDWR)
        except OSError:
            pass
        else:
            os.dup2(terminal, 0)
            os.dup2(terminal, 1)
            # Ctrl-C ends the gateway, which then ends this process.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            return
    sys.breakpointhook = _no_debugger


def _no_debugger(*_: object, **__: object) -> None:
    raise RuntimeError("breakpoint() needs a debugger: start the gateway in a terminal with make run DEBUG=1")


def _receive(incoming: BinaryIO, requests: "queue.SimpleQueue[bytes]") -> None:
    """Reads ahead while the handler works, because the end of the pipe means that the gateway was killed."""
    for line in incoming:
        requests.put(line)
    os._exit(0)


def _report(error: Exception) -> bytes:
    """Logs the traceback and returns the error as Lambda reports it."""
    traceback.print_exc()
    return json.dumps({"error": {"errorType": type(error).__name__, "errorMessage": str(error)}}).encode()


def _send(outgoing: BinaryIO, reply: bytes) -> None:
    outgoing.write(reply + b"\n")
    outgoing.flush()


if __name__ == "__main__":
    main(sys.argv[1], debug="--debug" in sys.argv[2:])
