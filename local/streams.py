"""Invokes functions with the records of table streams, as Lambda's event source mappings do.

Unlike Lambda, it does not resume where it stopped before a restart, and has no queue for records that it gave up.
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
"""Seconds between two polls of a stream. Lambda polls four times as often."""

RETRIES = 3
"""The maximum number of retries, even if the template has more: on one machine, waiting rarely helps."""


class Streams:
    """Reads streams, each in its own thread.

    Args:
        streams: The streams.
        functions: All functions, by logical id.
        runtime: Invokes them.
    """

    def __init__(self, streams: Sequence[Stream], functions: Mapping[str, Function], runtime: Runtime) -> None:
        self._streams = streams
        self._functions = functions
        self._runtime = runtime
        self._ended = threading.Event()

    def start(self) -> list[str]:
        """Starts to read the records that arrive from now on.

        Returns:
            Warnings about functions that will not run, because their stream does not exist.
        """
        missing = []
        for stream in self._streams:
            consumer = _Consumer(stream, self._functions[stream.function].timeout, self._runtime, self._ended)
            try:
                consumer.skip_to_end()
            except (BotoCoreError, ClientError) as error:
                missing.append(
                    f"The stream of {stream.table} is unavailable ({error}): {stream.function} will not run."
                )
                continue
            threading.Thread(target=consumer.run, name=f"stream of {stream.table}", daemon=True).start()
        return missing

    def close(self) -> None:
        """Stops invoking functions."""
        self._ended.set()


def matches_filter(stream: Stream, record: Record) -> bool:
    """Returns whether the filter of a stream lets a record through to the function."""
    # Imported late, because moto is slow to import.
    from moto.events.models import EventPattern  # noqa: PLC0415

    event: Any = record
    return not stream.patterns or any(EventPattern(None, {**each}).matches_event(event) for each in stream.patterns)


def to_lambda_record(record: Record, arn: str) -> Record:
    """Converts a record of DynamoDB's API to the JSON that Lambda passes to functions, with the ARN of its stream."""
    plain: dict[str, Any] = json.loads(json.dumps(record, default=_as_json))
    for image in {"NewImage", "OldImage"} & plain["dynamodb"].keys():
        # DynamoDB Local omits the type of an empty map.
        # https://github.com/awslabs/amazon-dynamodb-local-samples/issues/37
        attributes = plain["dynamodb"][image]
        plain["dynamodb"][image] = {name: value or {"M": {}} for name, value in attributes.items()}
    return plain | {"eventSourceARN": arn}


def _as_json(value: datetime | bytes) -> float | str:
    return value.timestamp() if isinstance(value, datetime) else base64.b64encode(value).decode()


class _Consumer:
    """Reads a stream for a function."""

    def __init__(self, stream: Stream, timeout: float, runtime: Runtime, ended: threading.Event) -> None:
        self._stream = stream
        self._timeout = timeout
        self._runtime = runtime
        self._ended = ended
        self._retries = RETRIES if stream.retries < 0 else min(stream.retries, RETRIES)
        self._dynamodb = emulator.client("dynamodb")
        # DynamoDB Local serves streams on the port of its tables.
        elsewhere = [os.environ.get(f"AWS_ENDPOINT_URL_DYNAMODB{suffix}") for suffix in ("_STREAMS", "")]
        self._client = emulator.client("dynamodbstreams", next(filter(None, elsewhere), None))
        self._arn = ""
        # The sequence number of the last record read from each shard. Iterators expire while a laptop sleeps.
        self._last_read: dict[str, str] = {}

    def skip_to_end(self) -> None:
        """Skips the records that are in the stream already."""
        self._arn = self._dynamodb.describe_table(TableName=self._stream.table)["Table"].get("LatestStreamArn", "")
        self._last_read = {}
        for shard in self._shards():
            while self._page(shard):
                pass

    def run(self) -> None:
        """Reads records until the gateway ends."""
        lost = False
        while not self._ended.wait(PAUSE):
            try:
                if lost:
                    self.skip_to_end()
                    self._warn("can be read again from now on")
                    lost = False
                for shard in self._shards():
                    while records := self._page(shard):
                        self._deliver([record for record in records if matches_filter(self._stream, record)])
            except (BotoCoreError, ClientError) as error:
                if not lost:
                    self._warn(f"cannot be read: {error}")
                lost = True

    def _shards(self) -> list[str]:
        """Returns all shards, parents before their children. Moto has a single one."""
        return [
            shard["ShardId"]
            for shard in self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]
        ]

    def _page(self, shard: str) -> list[Record]:
        """Returns the next records of a shard, or none if there are none yet."""
        last = self._last_read.get(shard)
        place = {"ShardIteratorType": "TRIM_HORIZON"}
        if last:
            place = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": last}
        iterator = self._client.get_shard_iterator(StreamArn=self._arn, ShardId=shard, **place)["ShardIterator"]
        records = self._client.get_records(ShardIterator=iterator)["Records"]
        if records:
            self._last_read[shard] = records[-1]["dynamodb"]["SequenceNumber"]
        return [to_lambda_record(record, self._arn) for record in records]

    def _deliver(self, records: list[Record]) -> None:
        """Invokes the function with records in order. Failed records are retried, then given up."""
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
                self._warn(f"gives up on {names} after {attempts + 1} attempts")
                size, attempts, records = self._stream.batch_size, 0, records[len(failed) :]

    def _invoke(self, batch: Sequence[Record]) -> int:
        """Invokes the function with a batch and returns how many records, counted from the first, succeeded."""
        try:
            answer = self._runtime.invoke(self._stream.function, {"Records": batch}, within=self._timeout)
        except (FunctionFailed, FunctionTimedOut) as error:
            self._warn(f"failed: {error}")
            return 0
        if not self._stream.partial or not isinstance(answer, dict):
            return len(batch)
        failed = {each.get("itemIdentifier") for each in answer.get("batchItemFailures") or []}
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        # As in Lambda, an identifier that is not in the batch means that the whole batch failed.
        return next((at for at, number in enumerate(numbers) if number in failed), 0 if failed else len(batch))

    def _warn(self, message: str) -> None:
        # When the gateway ends, its functions end, which is not a failure.
        if not self._ended.is_set():
            logging.warning("the stream of %s for %s %s", self._stream.table, self._stream.function, message)
