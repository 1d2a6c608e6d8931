"""Cold starts in Lambda's own runtime: its interface emulator, run by the SAM CLI and Docker."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.artifacts import (
    ARCHITECTURE,
    CANCEL,
    COMMENT,
    FASTAPI,
    INVOICE,
    OUT,
    POWERTOOLS,
    Artifact,
    ours,
    plain,
)
from bench.orders import answers
from bench.processes import Aws, Runner, environment, stub

STARTED = (ours(CANCEL), ours(COMMENT), ours(INVOICE), plain(CANCEL), POWERTOOLS, FASTAPI)


@dataclass(frozen=True, slots=True)
class Emulated:
    """Milliseconds that the emulator reports for each start, by candidate; or why there are none."""

    starts: dict[str, list[float]] = field(default_factory=dict)
    missing: str = ""


def measure(rounds: int, say: Callable[[str], None]) -> Emulated:
    """Starts each function in containers of its own, alternating."""
    if not (shutil.which("sam") and shutil.which("docker")):
        return Emulated(missing="the SAM CLI or Docker is not on the PATH")
    bridge = _output("docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    if not bridge:
        return Emulated(missing="Docker does not respond")
    with stub(answers(), bridge) as aws:
        folder = OUT / "sam"
        folder.mkdir(exist_ok=True)
        template = folder / "template.json"
        template.write_text(json.dumps(_template(aws)), encoding="utf-8")
        found: dict[str, list[float]] = {artifact.name: [] for artifact in STARTED}
        for n in range(rounds + 1):
            for artifact in STARTED:
                say(f"Lambda's runtime: {artifact.name}, {f'{n} of {rounds}' if n else 'building its image'}")
                took, said = _invoke(template, artifact)
                if took is None:
                    return Emulated(missing=f"`sam local invoke` failed with {artifact.name}: {said}")
                if n:
                    found[artifact.name].append(took)
    return Emulated(found)


def _invoke(template: Path, artifact: Artifact) -> tuple[float | None, str]:
    event = template.with_name("event.json")
    event.write_text(json.dumps(Runner.first_event(artifact)), encoding="utf-8")
    command = ["sam", "local", "invoke", _id(artifact), "--template", str(template), "--event", str(event)]
    # The image exists since the first invocation, or was pulled manually.
    done = subprocess.run([*command, "--skip-pull-image"], check=False, capture_output=True, text=True)
    took = re.search(r"REPORT.*?\bDuration: ([\d.]+) ms", re.sub(r"Init Duration", "", done.stderr))
    answer = done.stdout.strip().splitlines()
    status = re.search(r'"statusCode": (\d+)', answer[-1]) if answer else None
    if took and status and status[1].startswith("2"):
        return float(took[1]), ""
    return None, (done.stderr + done.stdout).strip()[-600:]


def _id(artifact: Artifact) -> str:
    return "".join(word.capitalize() for word in re.findall(r"[a-z]+", artifact.name.lower()))


def _template(aws: Aws) -> dict[str, Any]:
    resources: dict[str, Any] = {}
    for artifact in STARTED:
        layers = []
        if (artifact.layer / "python").exists():
            layer = _id(artifact) + "Layer"
            resources[layer] = {
                "Type": "AWS::Serverless::LayerVersion",
                "Properties": {"ContentUri": str(artifact.layer), "CompatibleRuntimes": ["python3.13"]},
            }
            layers = [{"Ref": layer}]
        set_by_lambda = ("PATH", "LANG", "LAMBDA_", "AWS_LAMBDA_", "AWS_EXECUTION_ENV")
        given = environment(artifact, aws).items()
        resources[_id(artifact)] = {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Architectures": [ARCHITECTURE],
                "CodeUri": str(artifact.function),
                "Handler": artifact.handler,
                "Layers": layers,
                "MemorySize": 1024,
                "Timeout": 60,
                "Environment": {
                    "Variables": {name: value for name, value in given if not name.startswith(set_by_lambda)}
                },
            },
        }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": resources,
    }


def _output(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""
