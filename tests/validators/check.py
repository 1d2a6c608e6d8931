"""Checks documents with the official validators of e-invoices. `run.py` fetches and compiles what this needs."""

import os
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from java import java

VALIDATORS = os.environ.get("VALIDATORS")
"""The folder of the validators: a folder of jars for each of `PROGRAMS`, and `classes`."""

PROGRAMS = {"Pdfs": "mustang", "Invoices": "phive"}
"""Our programs, and the folder of the validators that each of them runs."""

CHECKS = {
    "mustang": "Pdfs",
    "3a": "Pdfs",
    "ua1": "Pdfs",
    "cen-cii": "Invoices",
    "zugferd": "Invoices",
    "cen-ubl": "Invoices",
    "peppol": "Invoices",
    "xrechnung-ubl": "Invoices",
}
"""What a document can be checked for, and the program that does it. The rules of UBL are those of invoices or those of
credit notes, as the root element says."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An error in a file: the check that it fails, the id of the rule that it breaks, and the rule's text."""

    file: str
    check: str
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.check} {self.rule}: {self.text}"


@dataclass
class Report:
    """What the validators found, how many files were checked for what, and how long that took."""

    findings: list[Finding] = field(default_factory=list)
    files: Counter[str] = field(default_factory=Counter)
    milliseconds: Counter[str] = field(default_factory=Counter)

    def rules(self, file: str, check: str) -> set[str]:
        """Returns the ids of the rules of a check that a file breaks."""
        return {each.rule for each in self.findings if (each.file, each.check) == (file, check)}

    def __str__(self) -> str:
        errors = Counter(each.check for each in self.findings)
        rows = [
            f"{check:<15}{count:>5} files {errors[check]:>5} errors {self.milliseconds[check] / 1000:>7.1f} s"
            for check, count in sorted(self.files.items())
        ]
        return "\n".join([*rows, *map(str, self.findings)])


def check(folder: Path, wanted: Mapping[str, Sequence[str]]) -> Report:
    """Checks files.

    Args:
        folder: The folder of the files.
        wanted: The names of files, and what to check each of them for: names from `CHECKS`.

    Raises:
        RuntimeError: A validator did not check everything.
    """
    tasks: dict[str, list[str]] = {program: [] for program in PROGRAMS}
    for name, checks in wanted.items():
        for each in checks:
            tasks[CHECKS[each]].append(f"{each}\t{name}")
    report = Report()
    # Both programs at the same time: each uses one processor.
    with ThreadPoolExecutor() as pool:
        outputs = pool.map(partial(_run, folder), tasks, tasks.values())
        for asked, output in zip(tasks.values(), outputs, strict=True):
            _read(output, asked, report)
    return report


def _run(folder: Path, program: str, tasks: list[str]) -> str:
    path = f"{VALIDATORS}/{PROGRAMS[program]}/*{os.pathsep}{VALIDATORS}/classes"
    # It runs for seconds, so thorough compilation would cost more than it gains.
    command = [java(), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Djava.awt.headless=true", "-cp", path, program]
    done = subprocess.run(
        command, cwd=folder, input="\n".join(tasks), check=False, capture_output=True, encoding="utf-8"
    )
    if done.returncode:
        raise RuntimeError(f"{program} failed: {done.stderr}")
    return done.stdout


def _read(output: str, tasks: list[str], report: Report) -> None:
    done: list[str] = []
    found: list[tuple[str, str]] = []
    for line in output.splitlines():
        first, second, third = line.split("\t")
        if not first:
            found.append((second, third))
            continue
        done.append(f"{first}\t{second}")
        report.files[first] += 1
        report.milliseconds[first] += int(third)
        report.findings += [Finding(second, first, rule, text) for rule, text in found]
        found.clear()
    if done != tasks:
        raise RuntimeError(f"{len(done)} of {len(tasks)} checks were done")
