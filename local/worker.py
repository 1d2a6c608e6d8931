"""One execution environment of a function: a process that runs its handler, one event after the other.

Started by `local.workers` with the environment variables of the function and nothing but its code on the path, so this
file stands for itself. Events come in on standard input and results leave on standard output, a line of JSON each.
What the handler prints goes to standard error, with its log.
"""

import importlib
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO


class Context:
    """What Lambda hands to a handler next to the event."""

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
        """How long the function may still run."""
        return max(0, int((self._deadline - time.time()) * 1000))


def main(handler_string: str) -> None:
    """Answers events until the gateway is gone."""
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
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


def _receive(incoming: BinaryIO, requests: "queue.SimpleQueue[bytes]") -> None:
    """Reads ahead while the handler works: the pipe's end is how a process learns that the gateway was killed."""
    for line in incoming:
        requests.put(line)
    os._exit(0)


def _report(error: Exception) -> bytes:
    """What Lambda reports of an error; the traceback goes to the log."""
    traceback.print_exc()
    return json.dumps({"error": {"errorType": type(error).__name__, "errorMessage": str(error)}}).encode()


def _send(outgoing: BinaryIO, reply: bytes) -> None:
    outgoing.write(reply + b"\n")
    outgoing.flush()


if __name__ == "__main__":
    main(sys.argv[1])
