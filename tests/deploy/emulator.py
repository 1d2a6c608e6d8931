"""An AWS for deployments: ministack, in a process of its own, with IAM enforced."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import urllib3
from deploy.adaptations import SERVE
from programs import GUARDED, ROOT, free_port

DEPLOYER = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
}
"""The account's root, who may do everything. The functions have only what their roles allow."""


@contextmanager
def emulator(python: Path, log: Path) -> Iterator[str]:
    """Starts the emulator, yields its URL, and stops it.

    Args:
        python: An interpreter of Lambda's version with the package ministack. It also runs the functions.
        log: A file for what it says.

    Raises:
        SystemExit: It does not start.
    """
    port = str(free_port())
    settings = {"GATEWAY_PORT": port, "BIND_HOST": "127.0.0.1", "AUTH": "true", "IOT_MTLS_ENABLED": "0"}
    # It does not delete its temporary files: the packages of each process, 5 GB in all.
    with TemporaryDirectory() as temporary, log.open("wb") as output:
        process = subprocess.Popen(
            [*GUARDED, str(python), "-c", SERVE],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={"PATH": os.environ["PATH"], "TMPDIR": temporary} | DEPLOYER | settings,
            # Ctrl-C stops this process, which then stops the emulator.
            start_new_session=True,
        )
        try:
            patience = urllib3.Retry(total=200, backoff_factor=0.1, backoff_max=0.2)
            try:
                urllib3.PoolManager().request("GET", f"http://127.0.0.1:{port}/_ministack/health", retries=patience)
            except urllib3.exceptions.HTTPError:
                raise SystemExit(f"The emulator does not start. Its log: {log.relative_to(ROOT)}") from None
            yield f"http://127.0.0.1:{port}"
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(timeout=30)
