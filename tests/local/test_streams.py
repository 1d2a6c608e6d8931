"""Streams invoke functions as Lambda's event source mappings do."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from local import emulator, server, streams
from local.streams import Streams, matches_filter, to_lambda_record
from local.template import Function, Stream
from local.workers import FunctionFailed, LambdaRuntime, Runtime


class Recorder:
    """A runtime that records events and returns what a test sets."""

    def __init__(self) -> None:
        self.events: list[list[str]] = []
        self.within: set[float] = set()
        self.last: Any = None
        self.answer: Callable[[list[str]], Any] = lambda _: None

    @property
    def names(self) -> list[str]:
        """The records of all events, in order."""
        return [name for event in self.events for name in event]

    def invoke(self, function: str, event: Mapping[str, Any], within: float = 0) -> Any:
        assert function == "Watch"
        self.last = event["Records"][-1]
        self.within.add(within)
        self.events.append([record["dynamodb"]["Keys"]["pk"]["S"] for record in event["Records"]])
        numbers = {
            record["dynamodb"]["Keys"]["pk"]["S"]: record["dynamodb"]["SequenceNumber"] for record in event["Records"]
        }
        answer = self.answer(self.events[-1])
        if isinstance(answer, list):
            return {"batchItemFailures": [{"itemIdentifier": numbers.get(name, name)} for name in answer]}
        return answer


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PAUSE", 0.01)


@pytest.fixture
def table(aws: str) -> str:
    """The name of a table with a stream."""
    name = f"things-{uuid.uuid4()}"
    emulator.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return name


@pytest.fixture
def watch(table: str) -> Iterator[Callable[..., Recorder]]:
    """Reads the table's stream with the given mapping until the test ends."""
    running: list[Streams] = []

    def start(recorder: Recorder | None = None, **mapping: Any) -> Recorder:
        recorder = recorder or Recorder()
        running.append(consumer(recorder, Stream(table, "Watch", **mapping)))
        assert running[-1].start() == []
        return recorder

    yield start
    for each in running:
        each.close()


def consumer(runtime: Runtime, stream: Stream) -> Streams:
    return Streams([stream], {"Watch": Function("Watch", "x.y", (), {}, 128, 7)}, runtime)


def put(table: str, *names: str, **attributes: Any) -> None:
    for name in names:
        emulator.client("dynamodb").put_item(TableName=table, Item={"pk": {"S": name}, **attributes})


def eventually(holds: Callable[[], bool]) -> None:
    """Waits until a condition is true, at most 20 seconds."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_new_records_arrive_once_and_in_order(watch: Callable[..., Recorder], table: str) -> None:
    put(table, "before")
    recorder = watch()
    put(table, "a", "b")
    eventually(lambda: recorder.names == ["a", "b"])
    put(table, "c")
    eventually(lambda: recorder.names == ["a", "b", "c"])
    assert recorder.within == {7}


def test_record_has_the_form_of_lambda(watch: Callable[..., Recorder], table: str) -> None:
    recorder = watch()
    put(table, "a", n={"N": "1.50"}, m={"M": {"list": {"L": [{"NULL": True}]}}}, b={"B": b"\x00\xff"})
    eventually(lambda: bool(recorder.events))
    record = recorder.last
    assert json.loads(json.dumps(record)) == record
    assert record["eventName"] == "INSERT"
    assert record["eventSourceARN"].startswith("arn:aws:dynamodb:us-east-1:123456789012:table/things-")
    assert abs(record["dynamodb"]["ApproximateCreationDateTime"] - time.time()) < 60
    assert record["dynamodb"]["NewImage"] == {
        "pk": {"S": "a"},
        "n": {"N": "1.50"},
        "m": {"M": {"list": {"L": [{"NULL": True}]}}},
        "b": {"B": "AP8="},
    }


def test_rolled_back_transaction_leaves_no_records(watch: Callable[..., Recorder], table: str) -> None:
    recorder = watch()
    dynamodb = emulator.client("dynamodb")
    put(table, "a")
    eventually(lambda: recorder.names == ["a"])
    puts = [{"Put": {"TableName": table, "Item": {"pk": {"S": name}}}} for name in ("b", "a")]
    puts[1]["Put"]["ConditionExpression"] = "attribute_not_exists(pk)"
    for _ in range(20):
        with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
            dynamodb.transact_write_items(TransactItems=puts)
    put(table, "c")
    eventually(lambda: recorder.names == ["a", "c"])


def test_only_matching_records_invoke_the_function(watch: Callable[..., Recorder], table: str) -> None:
    special: Any = {"dynamodb": {"NewImage": {"kind": {"S": ["special"]}}}}
    recorder = watch(patterns=(special, {"eventName": ["REMOVE"]}))
    put(table, "a")
    put(table, "b", kind={"S": "special"})
    emulator.client("dynamodb").delete_item(TableName=table, Key={"pk": {"S": "a"}})
    put(table, "b")
    put(table, "c", kind={"S": "special"})
    eventually(lambda: recorder.names == ["b", "a", "c"])


def test_every_record_matches_an_empty_filter() -> None:
    assert matches_filter(Stream("t", "f"), to_lambda_record({"eventName": "INSERT", "dynamodb": {}}, "arn"))
    assert not matches_filter(
        Stream("t", "f", ({"eventName": ["MODIFY"]},)), to_lambda_record({"eventName": "INSERT", "dynamodb": {}}, "arn")
    )


def held(recorder: Recorder, watch: Callable[..., Recorder], table: str, *names: str, **mapping: Any) -> Recorder:
    """Adds records while the function handles an earlier one, so that they form one batch."""
    at_it, go_on, then = threading.Event(), threading.Event(), recorder.answer

    def answer(names: list[str]) -> Any:
        if names == ["first"]:
            at_it.set()
            go_on.wait()
            return None
        return then(names)

    recorder.answer = answer
    watch(recorder, **mapping)
    put(table, "first")
    assert at_it.wait(20)
    put(table, *names)
    go_on.set()
    return recorder


def test_batch_size_is_respected(watch: Callable[..., Recorder], table: str) -> None:
    recorder = held(Recorder(), watch, table, *"abcdefg", batch_size=3)
    eventually(lambda: recorder.events == [["first"], ["a", "b", "c"], ["d", "e", "f"], ["g"]])


def test_failed_records_are_retried_from_the_first_failure(watch: Callable[..., Recorder], table: str) -> None:
    recorder, failures = Recorder(), iter([["d", "b"], ["c"], []])
    recorder.answer = lambda _: next(failures)
    held(recorder, watch, table, *"abcd", batch_size=4, retries=5, partial=True)
    eventually(lambda: recorder.events[1:] == [["a", "b", "c", "d"], ["b", "c", "d"], ["c", "d"]])


@pytest.mark.parametrize(
    ("mapping", "events"),
    [
        # With bisecting, only the failing record is given up, otherwise all records of the batch.
        (
            {"bisect": True},
            [["a", "b", "c", "d"], ["a", "b"], ["c", "d"], ["c"], ["c"], ["d"]],
        ),
        ({}, [["a", "b", "c", "d"], ["a", "b", "c", "d"]]),
    ],
    ids=["bisecting", "whole batches"],
)
def test_records_that_keep_failing_are_given_up_and_logged(
    watch: Callable[..., Recorder],
    table: str,
    caplog: pytest.LogCaptureFixture,
    mapping: dict[str, bool],
    events: list[list[str]],
) -> None:
    recorder = Recorder()

    def fail(names: list[str]) -> None:
        if "c" in names:
            raise FunctionFailed("KeyError: 'c'")

    recorder.answer = fail
    held(recorder, watch, table, *"abcd", batch_size=4, retries=1, **mapping)
    eventually(lambda: recorder.events[1:] == events)
    put(table, "next")
    eventually(lambda: recorder.events[-1] == ["next"])
    [gave_up] = [each for each in caplog.messages if "gives up on" in each and "after 2 attempts" in each]
    assert gave_up.startswith(f"the stream of {table} for Watch ")


def test_only_the_failing_record_is_given_up(watch: Callable[..., Recorder], table: str) -> None:
    recorder = Recorder()
    recorder.answer = lambda names: [name for name in names if name == "b"]
    held(recorder, watch, table, *"abc", batch_size=3, retries=2, partial=True, bisect=True)
    eventually(lambda: recorder.events[-1] == ["c"])
    assert recorder.events[1:] == [["a", "b", "c"], ["b", "c"], ["b"], ["b"], ["c"]]


@pytest.mark.parametrize("answer", [["none of them"], [None]], ids=["another", "nothing"])
def test_unknown_identifier_fails_the_whole_batch(
    watch: Callable[..., Recorder], table: str, answer: list[Any]
) -> None:
    recorder, failures = Recorder(), iter([answer, []])
    recorder.answer = lambda _: next(failures)
    held(recorder, watch, table, *"ab", retries=1, partial=True)
    eventually(lambda: recorder.events[1:] == [["a", "b"], ["a", "b"]])


@pytest.mark.parametrize("retries", [-1, 100])
def test_retries_are_limited(watch: Callable[..., Recorder], table: str, retries: int) -> None:
    recorder = Recorder()

    def fail(names: list[str]) -> None:
        if names == ["bad"]:
            raise FunctionFailed

    recorder.answer = fail
    watch(recorder, retries=retries, batch_size=1)
    put(table, "bad", "good")
    eventually(lambda: recorder.events[-1:] == [["good"]])
    assert len(recorder.events) == 1 + streams.RETRIES + 1


def test_table_without_a_stream_is_reported(aws: str) -> None:
    with closing(consumer(Recorder(), Stream("nowhere", "Watch"))) as running:
        [missing] = running.start()
    assert missing.startswith("The stream of nowhere is unavailable")
    assert missing.endswith(": Watch will not run.")


def test_lost_stream_is_logged_once_and_read_again(
    watch: Callable[..., Recorder], table: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = watch()
    dynamodb = emulator.client("dynamodb")
    described = dynamodb.describe_table(TableName=table)["Table"]
    dynamodb.delete_table(TableName=table)
    eventually(lambda: any("cannot be read" in message for message in caplog.messages))
    dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        **{name: described[name] for name in ("AttributeDefinitions", "KeySchema", "StreamSpecification")},
    )
    eventually(lambda: any("can be read again" in message for message in caplog.messages))
    put(table, "a")
    eventually(lambda: recorder.events == [["a"]])
    assert sum("cannot be read" in message for message in caplog.messages) == 1


def test_streams_of_dynamodb_local_are_read_from_its_port(
    watch: Callable[..., Recorder], table: str, aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", aws)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    recorder = watch()
    put(table, "a")
    eventually(lambda: recorder.events == [["a"]])


def test_functions_behind_another_endpoint_are_invoked_there(table: str) -> None:
    got: list[Any] = []

    @Request.application
    def app(request: Request) -> Response:
        got.append((request.path, request.get_json(force=True)["Records"][0]["dynamodb"]["Keys"]["pk"]["S"]))
        return Response('{"batchItemFailures": []}')

    listener = server.listen("127.0.0.1", 0, "")
    running = server.serve(listener, app, server.QuietHandler)
    runtime = LambdaRuntime(server.url(listener))
    try:
        with closing(consumer(runtime, Stream(table, "Watch", partial=True))) as reading:
            assert reading.start() == []
            put(table, "a")
            eventually(lambda: got == [("/2015-03-31/functions/Watch/invocations", "a")])
    finally:
        running.shutdown()
        running.server_close()
        listener.close()
