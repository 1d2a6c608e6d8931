"""Runs tests with the official validators of e-invoices, which are fetched from Maven Central once.

Exits with 69 without Java, Maven or Maven Central, otherwise with pytest's status.
"""

import os
import subprocess
import sys
from pathlib import Path

from java import fetch, java
from programs import ROOT, run_or_leave_out

HERE = Path(__file__).parent


def main(arguments: list[str]) -> int:
    command, jars = java(compiler=True), fetch(HERE / "pom.xml", ROOT / ".local" / "validators")
    path = os.pathsep.join(map(str, jars.glob("*/*.jar")))
    compiler = [command, "-m", "jdk.compiler/com.sun.tools.javac.Main", "-cp", path, "-d", f"{jars}/classes"]
    subprocess.run([*compiler, *map(str, HERE.glob("*.java"))], check=True)
    pytest = [sys.executable, "-m", "pytest", "-rP", str(HERE), *arguments]
    return subprocess.run(pytest, check=False, cwd=ROOT, env=os.environ | {"VALIDATORS": str(jars)}).returncode


if __name__ == "__main__":
    sys.exit(run_or_leave_out("The validators of e-invoices", lambda: main(sys.argv[1:])))
