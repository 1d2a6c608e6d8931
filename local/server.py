"""HTTP servers of this process: ports that are ours before anything slow begins, and no lines but our own."""

import errno
import socket
import threading
from typing import TYPE_CHECKING

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local import UsageError

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


class QuietHandler(WSGIRequestHandler):
    """Leaves it to the application what to say about a request."""

    server_version = "local"
    sys_version = ""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Says nothing."""


def listen(host: str, port: int, advice: str) -> socket.socket:
    """A socket that listens. Whoever connects is served as soon as there is a server for it.

    Args:
        host: The address to listen on.
        port: The port; 0 for any that is free.
        advice: What to do when the port is taken.
    """
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[4][:2], family=address[0], backlog=128)
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise UsageError(f"port {port} on {host} is taken: {advice}") from error
        raise UsageError(f"cannot listen on {host}, port {port}: {error}") from error
    return listener


def serve(listener: socket.socket, app: "WSGIApplication", handler: type[WSGIRequestHandler]) -> BaseWSGIServer:
    """Serves an application in threads, until `shutdown` of what is returned."""
    host, port = listener.getsockname()[:2]
    server = make_server(host, port, app, threaded=True, request_handler=handler, fd=listener.fileno())
    threading.Thread(target=server.serve_forever, name=f"server on port {port}", daemon=True).start()
    return server


def url(listener: socket.socket) -> str:
    """Where a program on this machine finds the server."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
