"""Java programs for tests: fetched from Maven Central once, and left out without Java, Maven or the network."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from programs import ROOT, Missing


def java(*, compiler: bool = False) -> str:
    """Returns the path of Java 17 or newer.

    Args:
        compiler: Whether it must be able to compile.
    """
    package = f"openjdk-17-{'jdk' if compiler else 'jre'}-headless"
    to_do = f"install it, on Debian and Ubuntu with: apt install {package}"
    command = shutil.which("java")
    if not command:
        raise Missing(f"there is no Java on the path; {to_do}")
    version = re.search(r'version "(\d+)', _output(command, "-version"))
    if not version or int(version[1]) < 17:
        raise Missing(f"Java on the path is {version[1] if version else 'unknown'}, and 17 is needed; {to_do}")
    if compiler and "jdk.compiler@" not in _output(command, "--list-modules"):
        raise Missing(f"Java on the path has no compiler; {to_do}")
    return command


def _output(*command: str) -> str:
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout


def fetch(pom: Path, into: Path) -> Path:
    """Fetches what a POM copies to `${jars}`, unless this version of the POM was fetched before.

    Args:
        pom: Copies its dependencies in the phase `generate-resources`.
        into: A folder for the jars, and for a file `log` if Maven fails. Other files in it are deleted.

    Returns:
        The folder of the jars.
    """
    jars = into / hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if not maven:
        raise Missing(
            "there is no Maven on the path to fetch it; install it, on Debian and Ubuntu with: apt install maven"
        )
    print(f"Fetching {into.name} from Maven Central, once: a minute or so …", flush=True)
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    with TemporaryDirectory(dir=into) as folder:
        # -U: retries downloads that failed before.
        command = [maven, "-B", "-q", "-U", "--strict-checksums", "-f", str(pom), "generate-resources"]
        done = subprocess.run([*command, f"-Djars={folder}/jars"], check=False, capture_output=True, text=True)
        if done.returncode:
            log = into / "log"
            log.write_text(done.stdout + done.stderr, encoding="utf-8")
            raise Missing(
                "Maven could not fetch it from Maven Central; connect to the network, or name a mirror in "
                f"~/.m2/settings.xml (what Maven says is in {log.relative_to(ROOT)})"
            )
        Path(folder, "jars").rename(jars)
    return jars
