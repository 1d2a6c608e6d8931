"""Builds, measures, prints the tables and writes them to docs/performance.md: `make bench`."""

import argparse
import os
import subprocess
import sys
import time

from bench import artifacts, growth, lambda_runtime, report
from bench.artifacts import (
    CANCEL,
    COMMENT,
    FASTAPI,
    INVOICE,
    NOTIFY,
    POWERTOOLS,
    READ,
    ROOT,
    YARDSTICK,
    Artifact,
    ours,
    plain,
)
from bench.orders import answers
from bench.processes import EVENTS, TEMPLATE, Aws, Runner, event, stub
from bundle.build import PYTHON, runtime_python

STARTED = (
    YARDSTICK,
    ours(CANCEL),
    ours(COMMENT),
    ours(INVOICE),
    ours(NOTIFY),
    plain(CANCEL),
    plain(COMMENT),
    plain(INVOICE),
    POWERTOOLS,
    FASTAPI,
)
"""The candidates of the cold start benchmark, in the order in which each round starts them."""


def main() -> None:
    """Runs the whole benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="number of measurements of each cold start (10)")
    rounds = parser.parse_args().rounds
    if sys.platform != "linux":
        sys.exit("The benchmark runs what is built for Lambda, which needs Linux.")
    python = runtime_python()
    if python is None:
        sys.exit(f"The benchmark needs Python {PYTHON}, Lambda's version; there is none on the PATH.")
    # Not a virtual environment's interpreter, which would look for its own packages first.
    python = os.path.realpath(python)
    begun = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - begun:4.0f} s] {what}", file=sys.stderr, flush=True)

    artifacts.build(python, say)
    runner = Runner(python)
    with stub(answers()) as aws:
        found = report.Found(
            python=subprocess.run([python, "-V"], check=True, capture_output=True, text=True).stdout.strip(),
            rounds=rounds,
            starts=cold_starts(runner, aws, rounds, say),
            calls=calls(runner, aws, say),
            warm=warm(runner, aws, rounds, say),
            e_invoice=e_invoice(runner, aws, rounds, say),
            memory=memory(runner, aws, say),
            limits={name: function.memory for name, function in TEMPLATE.functions.items()},
            sizes={name: artifacts.size(artifacts.OUT / "ours" / name) for name in ("OrdersLayer", INVOICE)},
            imports=runner.imports(ours(CANCEL), aws),
            growth=growth.measure(runner, aws, say),
        )
    found.emulator = lambda_runtime.measure(max(rounds // 3, 1), say)
    print(report.write(found))
    say(f"written: {report.PAGE.relative_to(ROOT)}")


def cold_starts(runner: Runner, aws: Aws, rounds: int, say: report.Say) -> dict[str, list[float]]:
    """Measures CPU seconds until the first response. Candidates alternate, so other load affects all of them."""
    found: dict[str, list[float]] = {artifact.name: [] for artifact in STARTED}
    for artifact in STARTED:
        runner.start(artifact, aws)  # The first start reads from disk.
    for n in range(rounds):
        say(f"cold starts: round {n + 1} of {rounds}")
        for artifact in STARTED:
            found[artifact.name].append(runner.start(artifact, aws))
    return found


def calls(runner: Runner, aws: Aws, say: report.Say) -> dict[str, dict[str, int]]:
    """Counts the AWS calls of each operation."""
    say("counting calls")
    found = {}
    asked: list[tuple[str, Artifact, str]] = [
        ("cancel", ours(CANCEL), "cancel-order-as-customer"),
        ("comment", ours(COMMENT), "add-comment-as-customer"),
        ("send-invoice", ours(INVOICE), "send-invoice-as-admin"),
        ("read an order", ours(READ), "get-order-as-customer"),
        ("list own orders", ours(READ), "list-orders-as-customer"),
        ("list all orders", ours(READ), "list-orders-as-admin"),
    ]
    for name, artifact, file in asked:
        aws.calls()
        runner.ask(artifact, aws, "start", events=[event(file)])
        found[name] = aws.calls()
    return found


def warm(runner: Runner, aws: Aws, rounds: int, say: report.Say) -> dict[str, list[float]]:
    """Measures CPU seconds of a warm cancellation and of the bare DynamoDB call that it makes."""
    say("warm requests")
    task = {"events": [event("cancel-order-as-customer")], "blocks": 2 * rounds, "block": 50}
    times: dict[str, list[float]] = runner.ask(ours(CANCEL), aws, "warm", **task)
    return times


def e_invoice(runner: Runner, aws: Aws, rounds: int, say: report.Say) -> dict[str, list[float]]:
    """Measures CPU seconds of mailing an invoice of 5 lines, with an e-invoice in its PDF and without."""
    say("invoices with and without an e-invoice")
    task = {"events": [event("send-invoice-as-admin")], "blocks": 2 * rounds, "block": 5}
    times: dict[str, list[float]] = runner.ask(ours(INVOICE), aws, "e-invoice", **task)
    return times


def memory(runner: Runner, aws: Aws, say: report.Say) -> dict[str, report.Memory]:
    """Measures memory during 1,000 requests."""
    found = {}
    for function in (CANCEL, COMMENT, INVOICE):
        file = EVENTS[function]
        say(f"memory: 1,000 requests to {function}")
        used = runner.ask(ours(function), aws, "memory", events=[event(file)], requests=1000)
        found[function] = report.Memory(used["used"], used["peak"])
    return found


if __name__ == "__main__":
    main()
