"""HTTP servers of this process. Ports are taken before anything slow begins."""

import errno
import socket
import threading
from typing import TYPE_CHECKING

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local import UsageError

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


class QuietHandler(WSGIRequestHandler):
    """Logs nothing, because the application logs its requests itself."""

    server_version = "local"
    sys_version = ""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Does nothing."""


def listen(host: str, port: int, advice: str) -> socket.socket:
    """Returns a listening socket. Connections wait until a server is started on it.

    Args:
        host: The address to listen on.
        port: The port; 0 for any free one.
        advice: What to do if the port is in use.
    """
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[4][:2], family=address[0], backlog=128)
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise UsageError(f"port {port} on {host} is in use: {advice}") from error
        raise UsageError(f"cannot listen on {host}, port {port}: {error}") from error
    return listener


def serve(listener: socket.socket, app: "WSGIApplication", handler: type[WSGIRequestHandler]) -> BaseWSGIServer:
    """Serves an application in threads until the returned server is shut down."""
    host, port = listener.getsockname()[:2]
    server = make_server(host, port, app, threaded=True, request_handler=handler, fd=listener.fileno())
    threading.Thread(target=server.serve_forever, name=f"server on port {port}", daemon=True).start()
    return server


def url(listener: socket.socket) -> str:
    """Returns the address of the server for a program on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
