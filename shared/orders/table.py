"""The DynamoDB table: writes, transactions, queries and pages, and the one mapping of DynamoDB's errors."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotReachable
from botocore.parsers import ResponseParserError

from orders import aws, settings
from orders.errors import InternalError, StillRunning, Unavailable
from orders.items import Item, from_attributes, to_attributes
from orders.keys import RequestKey, epoch_seconds, item_key, order_pk

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

EXAMINED = 400
"""How many entries a filtered page examines at most, however few of them match."""

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between attempts while another writer changes the same order."""

RETRYABLE = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    # Seen by botocore when it repeats a transaction whose answer was lost.
    "TransactionInProgressException",
}
"""Retryable error codes of DynamoDB."""

Action = dict[str, Any]
"""A `Put` or an `Update`, as TransactWriteItems takes it."""


class ConditionFailed(Exception):
    """A condition did not hold.

    Attributes:
        items: The current item (or None) by the position of the failed action.
    """

    def __init__(self, items: Mapping[int, Item | None]) -> None:
        self.items = items
        super().__init__("a condition did not hold")


class WriteConflict(Exception):
    """Another transaction is writing the same item at this moment."""


def utc_now() -> datetime:
    """Returns the current time. Tests pass another clock to `Table`."""
    return datetime.now(UTC)


class Table:
    """The table of one deployment. Each method makes one DynamoDB call unless it says otherwise.

    All methods raise `Unavailable` when DynamoDB throttles or does not answer, and `InternalError` when the deployment
    is at fault.

    Args:
        client: A DynamoDB client.
        name: The name of the table.
        now: The clock.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        name: str,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._name = name
        self.now = now
        self.sleep = sleep

    def get(self, order_id: str, sk: str, *, consistent: bool = True, projection: str | None = None) -> Item | None:
        """Reads one item of an order."""
        options: dict[str, Any] = {"ProjectionExpression": projection} if projection else {}
        with _faults():
            answer = self._client.get_item(
                TableName=self._name,
                Key=to_attributes(item_key(order_id, sk)),
                ConsistentRead=consistent,
                **options,
            )
        return from_attributes(answer["Item"]) if "Item" in answer else None

    def get_many(
        self, keys: Sequence[Item], *, consistent: bool, projection: str | None = None
    ) -> tuple[list[Item], list[Item]]:
        """Reads several items.

        Returns:
            The items, and the keys that DynamoDB left out of this answer.
        """
        request: dict[str, Any] = {"Keys": [to_attributes(key) for key in keys], "ConsistentRead": consistent}
        if projection:
            request["ProjectionExpression"] = projection
        with _faults():
            answer: Any = self._client.batch_get_item(RequestItems={self._name: request})  # type: ignore[dict-item]
        left = answer.get("UnprocessedKeys") or {}
        return (
            [from_attributes(item) for item in answer["Responses"].get(self._name, [])],
            [from_attributes(key) for key in left.get(self._name, {}).get("Keys", [])],
        )

    def collection(
        self, order_id: str, sk_prefix: str, *, consistent: bool = False, filters: Mapping[str, Any] | None = None
    ) -> Iterator[Item]:
        """Reads all items of an order whose sort key begins with a prefix: one call for each megabyte."""
        query = {
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
            "ConsistentRead": consistent,
            **_filter({":pk": order_pk(order_id), ":sk": sk_prefix}, filters or {}),
        }
        start: dict[str, Any] = {}
        while True:
            answer = self._query({**query, **start})
            yield from map(from_attributes, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def count(self, index: str, condition: str, values: Mapping[str, Any]) -> int:
        """Counts the entries of an index that match a key condition."""
        answer = self._query(
            {
                "IndexName": index,
                "Select": "COUNT",
                "KeyConditionExpression": condition,
                "ExpressionAttributeValues": to_attributes(values),
            }
        )
        return int(answer["Count"])

    def page(
        self,
        queries: Sequence[Item],
        place: Callable[[Item], str],
        after: str | None,
        limit: int,
        *,
        newest_first: bool = False,
    ) -> tuple[list[Item], str | None]:
        """Merges one page of the results of several queries. Each query is made once, all at the same time.

        Args:
            queries: From `range_query` or `index_query`. Each may find the item at `after` again.
            place: Returns where an item sorts. No two items have the same place.
            after: The place of the last item of the previous page.
            limit: The largest number of items.
            newest_first: Sort in descending order.

        Returns:
            The items, and the place to continue from, or None if there are no more.
        """
        examined = max(EXAMINED // len(queries), limit + 2) if "FilterExpression" in queries[0] else limit + 2

        def ask(query: Item) -> Any:
            return self._query({"Limit": examined, "ScanIndexForward": not newest_first, **query})

        if len(queries) == 1:
            answers = [ask(queries[0])]
        else:
            # Imported here, so that functions which list nothing do not load it.
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

            with ThreadPoolExecutor(len(queries)) as pool:
                answers = list(pool.map(ask, queries))
        items = [from_attributes(item) for answer in answers for item in answer["Items"]]
        if after:
            items = [item for item in items if (place(item) < after if newest_first else place(item) > after)]
        items.sort(key=place, reverse=newest_first)
        # Beyond the place where the first query stopped, another query may have results that are not read yet.
        if ends := [
            place(from_attributes(answer["LastEvaluatedKey"])) for answer in answers if "LastEvaluatedKey" in answer
        ]:
            end = max(ends) if newest_first else min(ends)
            items = [item for item in items if (place(item) >= end if newest_first else place(item) <= end)]
        if len(items) > limit:
            return items[:limit], place(items[limit - 1])
        return items, end if ends else None

    def put_action(
        self,
        key: Item,
        item: Mapping[str, Any],
        condition: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> Action:
        """Builds a Put. Where the condition fails, the current item is returned."""
        put: Item = {"TableName": self._name, "Item": to_attributes(key) | to_attributes(item)}
        if condition:
            put |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        if values:
            put["ExpressionAttributeValues"] = to_attributes(values)
        return {"Put": put}

    def update_action(
        self,
        key: Item,
        expression: str,
        condition: str,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
    ) -> Action:
        """Builds an Update. Where the condition fails, the current item is returned."""
        update = {
            "TableName": self._name,
            "Key": to_attributes(key),
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": to_attributes(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        return {"Update": update | ({"ExpressionAttributeNames": names} if names else {})}

    def put_request_key(self, item_key: Item, key: RequestKey, instead_of: int | None = None, **result: int) -> Action:
        """Builds the Put that records a request's key, unless another request has it.

        Args:
            item_key: The key of the item.
            key: The request's key.
            instead_of: The number of a failed invoice that the key may have led to before.
            result: What the request leads to.
        """
        now = self.now()
        condition, values = "attribute_not_exists(pk) OR expires_at <= :now", {":now": epoch_seconds(now)}
        if instead_of is not None:
            condition, values = f"{condition} OR invoice = :instead_of", values | {":instead_of": instead_of}
        return self.put_action(item_key, key.item(now, **result), condition, values)

    def transact(self, *actions: Any) -> None:
        """Writes all or nothing, again while another transaction writes the same items.

        Raises:
            ConditionFailed: A condition did not hold.
            StillRunning: Others kept writing the same items.
        """
        self._retry(lambda: self._client.transact_write_items(TransactItems=actions))

    def write(self, action: Action, **options: Any) -> Item:
        """Performs one action, again while another transaction writes the same item.

        Args:
            action: From `put_action` or `update_action`.
            options: Further arguments of PutItem or UpdateItem.

        Returns:
            The attributes that `ReturnValues` asks for.

        Raises:
            ConditionFailed, StillRunning: See `transact`.
        """
        attributes: Item = self._retry(lambda: self._write(action, **options))
        return attributes

    def write_once(self, action: Action) -> None:
        """Performs one action.

        Raises:
            ConditionFailed: The condition did not hold.
            WriteConflict: Another transaction writes the same item.
        """
        with _faults():
            self._write(action)

    def _write(self, action: Action, **options: Any) -> Item:
        if "Put" in action:
            answer: Any = self._client.put_item(**action["Put"], **options)
        else:
            answer = self._client.update_item(**action["Update"], **options)
        return from_attributes(answer.get("Attributes", {}))

    def _retry(self, write: Callable[[], Any]) -> Any:
        for pause in PAUSES:
            try:
                with _faults():
                    return write()
            except WriteConflict:
                self.sleep(pause)
        raise StillRunning("Other requests are changing this order. Nothing was changed; try again.", retry_after=1)

    def _query(self, query: Item) -> Any:
        with _faults():
            return self._client.query(TableName=self._name, **query)


def range_query(order_id: str, kind: str, begin: str, filters: Mapping[str, Any] | None = None) -> Item:
    """Builds the query for the items of one kind in an order, from a place on."""
    values = {":pk": order_pk(order_id), ":first": f"{kind}#{begin}", ":last": f"{kind}#~"}
    return {
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
        "ConsistentRead": True,
        **_filter(values, filters or {}),
    }


def index_query(
    index: str, key: str, value: str, sort: str, first: str, last: str, filters: Mapping[str, Any] | None = None
) -> Item:
    """Builds the query for the entries in one partition of an index whose sort key is within a range."""
    return {
        "IndexName": index,
        # With aliases, because `shard` is a reserved word.
        "KeyConditionExpression": "#key = :key AND #sort BETWEEN :first AND :last",
        "ExpressionAttributeNames": {"#key": key, "#sort": sort},
        **_filter({":key": value, ":first": first, ":last": last}, filters or {}),
    }


@cache
def get_table() -> Table:
    """For `Depends`: the table of this function."""
    return Table(aws.dynamodb(), settings.read(settings.TableSettings).table_name)


def _filter(values: Mapping[str, Any], filters: Mapping[str, Any]) -> Item:
    """Returns the values of a query, and the filter for attributes that must have given values."""
    given = {f":{name}": value for name, value in filters.items()}
    query: Item = {"ExpressionAttributeValues": to_attributes({**values, **given})}
    if filters:
        query["FilterExpression"] = " AND ".join(f"{name} = :{name}" for name in filters)
    return query


@contextmanager
def _faults() -> Iterator[None]:
    """Maps errors of DynamoDB and of the network to errors of the domain. The only place that does.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
    """
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed({0: _current(error.response)}) from error
        if code == "TransactionConflictException":
            raise WriteConflict from error
        if code == "TransactionCanceledException":
            reasons: list[Any] = list(enumerate(error.response.get("CancellationReasons", [])))
            if failed := {at: _current(why) for at, why in reasons if why.get("Code") == "ConditionalCheckFailed"}:
                raise ConditionFailed(failed) from error
            if any(why.get("Code") == "TransactionConflict" for _, why in reasons):
                raise WriteConflict from error
            if any(why.get("Code") in {"ThrottlingError", "ProvisionedThroughputExceeded"} for _, why in reasons):
                raise Unavailable from error
        if code in RETRYABLE or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise Unavailable from error
        raise InternalError from error
    except (HTTPClientError, NotReachable, ResponseParserError) as error:
        raise Unavailable from error


def _current(response: Mapping[str, Any]) -> Item | None:
    return from_attributes(response["Item"]) if response.get("Item") else None
