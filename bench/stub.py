"""A stub of AWS for the measured requests: returns fixed responses at once, and counts calls.

It runs in its own process, so that its work does not count as a function's. Arguments: a file with the responses, and
the host to listen on.
"""

import json
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar


class Aws(BaseHTTPRequestHandler):
    """Responds to DynamoDB by operation name, and to S3 and SES by method and path."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    answers: ClassVar[dict[str, Any]]
    calls: ClassVar[Counter[str]] = Counter()
    lock: ClassVar = threading.Lock()

    def _answer(self) -> None:
        asked = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/calls":
            with self.lock:
                body = json.dumps(self.calls).encode()
                self.calls.clear()
        else:
            name = (
                self.headers.get("x-amz-target", "").rpartition(".")[2] or f"{self.command} {self.path.split('/')[1]}"
            )
            with self.lock:
                self.calls[name] += 1
            # Index queries return other items.
            answer = self.answers.get(f"{name} index" if b'"IndexName"' in asked else name, {})
            body = json.dumps(answer).encode() if self.command == "POST" else b""
        self.send_response(200)
        self.send_header("content-type", "application/x-amz-json-1.0")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names that the server requires

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Logs nothing."""


if __name__ == "__main__":
    Aws.answers = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    server = ThreadingHTTPServer((sys.argv[2], 0), Aws)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # Exits with the parent process.
    sys.stdin.read()
