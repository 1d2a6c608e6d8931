"""Hands what changes in the tables to the functions that wait for it, as Lambda's event source mappings do.

What Lambda does beyond that is not done here: it goes on where it stopped, also after a restart, and keeps in a queue
what it gave up.
"""

import base64
import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local import emulator
from local.template import Function, Stream
from local.workers import FunctionFailed, FunctionTimedOut, Runtime

Record = dict[str, Any]

PAUSE = 1.0
"""Seconds between two looks at a stream. Lambda looks four times as often."""

RETRIES = 3
"""How often a function gets records again, where the template says more: on one machine, waiting mends little."""


class Streams:
    """Reads streams, each in a thread of its own.

    Args:
        streams: The streams.
        functions: All functions, by logical id.
        runtime: What runs them.
    """

    def __init__(self, streams: Sequence[Stream], functions: Mapping[str, Function], runtime: Runtime) -> None:
        self._streams = streams
        self._functions = functions
        self._runtime = runtime
        self._ended = threading.Event()

    def start(self) -> list[str]:
        """Reads whatever comes into the streams from now on.

        Returns:
            What will not work, because a stream is not there.
        """
        missing = []
        for stream in self._streams:
            consumer = _Consumer(stream, self._functions[stream.function].timeout, self._runtime, self._ended)
            try:
                consumer.begin()
            except (BotoCoreError, ClientError) as error:
                missing.append(f"{stream.table} has no stream to read ({error}), so {stream.function} does not run.")
                continue
            threading.Thread(target=consumer.run, name=f"stream of {stream.table}", daemon=True).start()
        return missing

    def close(self) -> None:
        """Hands nothing over from then on."""
        self._ended.set()


def fits(stream: Stream, record: Record) -> bool:
    """Whether a record is one that wakes the function."""
    # Late, as all of moto.
    from moto.events.models import EventPattern  # noqa: PLC0415

    event: Any = record
    return not stream.patterns or any(EventPattern(None, {**each}).matches_event(event) for each in stream.patterns)


def as_in_events(record: Record, arn: str) -> Record:
    """A record of DynamoDB's API as Lambda hands it to functions: JSON, where times are numbers, and whose it is."""
    plain: dict[str, Any] = json.loads(json.dumps(record, default=_as_json))
    for image in {"NewImage", "OldImage"} & plain["dynamodb"].keys():
        # DynamoDB Local says nothing of an empty map, not even that it is one; DynamoDB does.
        # https://github.com/awslabs/amazon-dynamodb-local-samples/issues/37
        attributes = plain["dynamodb"][image]
        plain["dynamodb"][image] = {name: value or {"M": {}} for name, value in attributes.items()}
    return plain | {"eventSourceARN": arn}


def _as_json(value: datetime | bytes) -> float | str:
    return value.timestamp() if isinstance(value, datetime) else base64.b64encode(value).decode()


class _Consumer:
    """Reads one stream for one function."""

    def __init__(self, stream: Stream, timeout: float, runtime: Runtime, ended: threading.Event) -> None:
        self._stream = stream
        self._timeout = timeout
        self._runtime = runtime
        self._ended = ended
        self._retries = RETRIES if stream.retries < 0 else min(stream.retries, RETRIES)
        self._dynamodb = emulator.client("dynamodb")
        # DynamoDB Local has its streams on the same port.
        elsewhere = [os.environ.get(f"AWS_ENDPOINT_URL_DYNAMODB{suffix}") for suffix in ("_STREAMS", "")]
        self._client = emulator.client("dynamodbstreams", next(filter(None, elsewhere), None))
        self._arn = ""
        # The last record of each shard that was read. Iterators are not kept: they expire, while a laptop sleeps.
        self._places: dict[str, str] = {}

    def begin(self) -> None:
        """Goes to the end of the stream. What was there before is nobody's business."""
        self._arn = self._dynamodb.describe_table(TableName=self._stream.table)["Table"].get("LatestStreamArn", "")
        self._places = {}
        for shard in self._shards():
            while self._page(shard):
                pass

    def run(self) -> None:
        """Reads until the end."""
        lost = False
        while not self._ended.wait(PAUSE):
            try:
                if lost:
                    self.begin()
                    self._warn("can be read again, from now on")
                    lost = False
                for shard in self._shards():
                    while records := self._page(shard):
                        self._deliver([record for record in records if fits(self._stream, record)])
            except (BotoCoreError, ClientError) as error:
                if not lost:
                    self._warn(f"cannot be read: {error}")
                lost = True

    def _shards(self) -> list[str]:
        """All there are, parents before their children. moto has one for ever."""
        return [
            shard["ShardId"]
            for shard in self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]
        ]

    def _page(self, shard: str) -> list[Record]:
        """The next records of a shard; none if there are none yet."""
        last = self._places.get(shard)
        place = {"ShardIteratorType": "TRIM_HORIZON"}
        if last:
            place = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": last}
        iterator = self._client.get_shard_iterator(StreamArn=self._arn, ShardId=shard, **place)["ShardIterator"]
        records = self._client.get_records(ShardIterator=iterator)["Records"]
        if records:
            self._places[shard] = records[-1]["dynamodb"]["SequenceNumber"]
        return [as_in_events(record, self._arn) for record in records]

    def _deliver(self, records: list[Record]) -> None:
        """Hands records over, in their order. What the function fails with comes again, until it is given up."""
        size, attempts = self._stream.batch_size, 0
        while records and not self._ended.is_set():
            batch = records[:size]
            done = self._invoke(batch)
            records, failed = records[done:], batch[done:]
            if done:
                size, attempts = self._stream.batch_size, 0
            if not failed:
                continue
            if self._stream.bisect and len(failed) == len(batch) > 1:
                size = len(batch) // 2
            elif attempts < self._retries:
                attempts += 1
                self._ended.wait(PAUSE)
            else:
                names = ", ".join(record["dynamodb"]["SequenceNumber"] for record in failed)
                self._warn(f"gives up after {attempts + 1} attempts to hand over {names}")
                size, attempts, records = self._stream.batch_size, 0, records[len(failed) :]

    def _invoke(self, batch: Sequence[Record]) -> int:
        """Hands a batch over, and tells with how many of it, from the first on, the function is done."""
        try:
            answer = self._runtime.invoke(self._stream.function, {"Records": batch}, within=self._timeout)
        except (FunctionFailed, FunctionTimedOut) as error:
            self._warn(f"could not hand over: {error}")
            return 0
        if not self._stream.partial or not isinstance(answer, dict):
            return len(batch)
        failed = {each.get("itemIdentifier") for each in answer.get("batchItemFailures") or []}
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        # As in Lambda, whoever names no record of the batch has failed with all.
        return next((at for at, number in enumerate(numbers) if number in failed), 0 if failed else len(batch))

    def _warn(self, what: str) -> None:
        # A function that ends with the gateway has not failed.
        if not self._ended.is_set():
            logging.warning("the stream of %s for %s %s", self._stream.table, self._stream.function, what)
