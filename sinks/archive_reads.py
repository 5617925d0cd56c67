"""Archive reads: what a proof asks of the sink: an account's usage in the order of its topic, and all it has come to.

Values travel as parameters of the server. Every read says FINAL, has a total order, and is bounded where an account may
have very much of it: the next piece begins where the last one ended.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa

from schemas.statement import Statement
from sinks.statement_columns import STATEMENT_LINES, STATEMENTS, TAXES, statements_from_tables
from sinks.usage_columns import (
    COMMANDS,
    DOCUMENTS,
    USAGE,
    ArchivedCommand,
    ArchivedDocument,
    ArchivedUsage,
    commands_from_table,
    documents_from_table,
    usage_from_table,
)


class Readable(Protocol):
    """A sink that answers trusted SELECTs."""

    def query_arrow(self, sql: str, parameters: dict[str, object] | None = None) -> pa.Table:
        """The result of one SELECT."""


class RecordPlace(NamedTuple):
    """Where a usage record stands on the topic: its message's offset, and its number within that."""

    offset: int
    index: int  # type: ignore[assignment]  # a tuple has a method of that name, which nobody calls here


BEFORE_ALL, AFTER_ALL = RecordPlace(-1, 0), RecordPlace(1 << 63, 0)
_TOGETHER = 200
"""Ids in one question: they travel in the address of a request, which may not be long."""


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"`{name}`" for name in schema.names)


_ACCOUNT = "tenant = {tenant:String} AND account = {account:String}"


def account_document(sink: Readable, tenant: str, account: str) -> str | None:
    """The account's document as it was last published; None where there is no such account."""
    found = sink.query_arrow(f"SELECT document FROM accounts FINAL WHERE {_ACCOUNT}", _name(tenant, account))  # noqa: S608 # our own texts, as below
    return found["document"][0].as_py() if found.num_rows else None


def statements(sink: Readable, tenant: str, account: str) -> list[Statement]:
    """All statements of an account: every period, revision and interim one, by period, number and revision."""
    order = "tenant, account, period_start, number = 0, number, revision"
    heads = sink.query_arrow(
        f"SELECT {_columns(STATEMENTS)} FROM statements FINAL WHERE {_ACCOUNT} ORDER BY {order}",  # noqa: S608
        _name(tenant, account),
    )
    lines, taxes = (
        sink.query_arrow(
            f"SELECT {_columns(schema)} FROM {name} FINAL WHERE {_ACCOUNT} "  # noqa: S608
            "ORDER BY statement_start, revision, number, line",
            _name(tenant, account),
        )
        for name, schema in (("statement_lines", STATEMENT_LINES), ("taxes", TAXES))
    )
    return statements_from_tables(heads, lines, taxes)


def records_by_partition(sink: Readable, tenant: str, account: str) -> dict[int, int]:
    """How many records of an account each partition of the topic has, accepted or not."""
    found = sink.query_arrow(
        f"SELECT partition, count() AS records FROM usage FINAL WHERE {_ACCOUNT} GROUP BY partition ORDER BY partition",  # noqa: S608
        _name(tenant, account),
    )
    return dict(zip(found["partition"].to_pylist(), found["records"].to_pylist(), strict=True))


def usage_after(
    sink: Readable, tenant: str, account: str, partition: int, after: RecordPlace, limit: int
) -> list[ArchivedUsage]:
    """The next records of an account in one partition, by offset and index, those that were rejected among them."""
    found = sink.query_arrow(
        f"SELECT {_columns(USAGE)} FROM usage FINAL WHERE {_ACCOUNT} AND partition = {{partition:UInt32}} "  # noqa: S608
        "AND (toInt64(offset), toInt64(`index`)) > ({offset:Int64}, {index:Int64}) "
        "ORDER BY offset, `index`, start LIMIT {limit:UInt64}",
        _name(tenant, account) | {"partition": partition, "offset": after.offset, "index": after.index, "limit": limit},
    )
    return usage_from_table(found)


def last_of(
    sink: Readable, tenant: str, account: str, partition: int, after: RecordPlace, usage_ids: Sequence[str]
) -> RecordPlace:
    """Where the last of these records first stands behind a place; BEFORE_ALL where none does."""
    last = BEFORE_ALL
    for start in range(0, len(usage_ids), _TOGETHER):
        found = sink.query_arrow(
            "SELECT min((toInt64(offset), toInt64(`index`))) AS first, first.1 AS first_offset, first.2 AS first_index "  # noqa: S608
            f"FROM usage FINAL WHERE {_ACCOUNT} AND partition = {{partition:UInt32}} "
            "AND (toInt64(offset), toInt64(`index`)) > ({offset:Int64}, {index:Int64}) "
            "AND usage_id IN {usage_ids:Array(String)} GROUP BY usage_id ORDER BY first DESC LIMIT 1",
            _name(tenant, account)
            | {"partition": partition, "offset": after.offset, "index": after.index}
            | {"usage_ids": list(usage_ids[start : start + _TOGETHER])},
        )
        if found.num_rows:
            last = max(last, RecordPlace(found["first_offset"][0].as_py(), found["first_index"][0].as_py()))
    return last


def corrected_records(sink: Readable, tenant: str, account: str) -> set[tuple[str, str]]:
    """Source and id of the records of an account that others say they correct."""
    found = sink.query_arrow(
        f"SELECT DISTINCT source, assumeNotNull(corrects) AS usage_id FROM usage FINAL WHERE {_ACCOUNT} "  # noqa: S608
        "AND corrects IS NOT NULL ORDER BY source, usage_id",
        _name(tenant, account),
    )
    return set(zip(found["source"].to_pylist(), found["usage_id"].to_pylist(), strict=True))


def commands_after(
    sink: Readable, tenant: str, account: str, partition: int, after: int, limit: int
) -> list[ArchivedCommand]:
    """The next markers of one partition that may close a period of the account: ticks, and closings that name it."""
    found = sink.query_arrow(
        f"SELECT {_columns(COMMANDS)} FROM commands FINAL WHERE partition = {{partition:UInt32}} "  # noqa: S608
        "AND toInt64(offset) > {offset:Int64} AND (JSONExtractString(command, 'command') = 'tick' "
        "OR JSONExtractString(command, 'command') = 'close' "
        "AND JSONExtractString(command, 'tenant') IN ('', {tenant:String}) "
        "AND JSONExtractString(command, 'account') IN ('', {account:String})) "
        "ORDER BY offset LIMIT {limit:UInt64}",
        _name(tenant, account) | {"partition": partition, "offset": after, "limit": limit},
    )
    return commands_from_table(found)


def account_documents(sink: Readable, key: str) -> list[ArchivedDocument]:
    """Every message of the topic accounts with this key, by partition and offset."""
    return _documents(sink, "topic = 'accounts' AND key = {key:String}", {"key": key})


def tariff_documents(sink: Readable, tariff: str) -> list[ArchivedDocument]:
    """Every message of the topic tariffs about versions of a tariff, by partition and offset."""
    return _documents(sink, "topic = 'tariffs' AND startsWith(key, {tariff:String})", {"tariff": f"{tariff}@"})


def _documents(sink: Readable, which: str, parameters: dict[str, object]) -> list[ArchivedDocument]:
    found = sink.query_arrow(
        f"SELECT {_columns(DOCUMENTS)} FROM documents FINAL WHERE {which} ORDER BY topic, partition, offset",  # noqa: S608
        parameters,
    )
    return documents_from_table(found)


def rejected_records(sink: Readable, tenant: str, account: str) -> dict[int, set[RecordPlace]]:
    """By partition, the places on the topic usage of an account's records that were not accepted."""
    found = sink.query_arrow(
        "SELECT DISTINCT partition, offset, `index` FROM rejected FINAL WHERE endsWith(origin, 'usage') "  # noqa: S608
        f"AND line = 0 AND {_ACCOUNT} ORDER BY partition, offset, `index`",
        _name(tenant, account),
    )
    places: dict[int, set[RecordPlace]] = {}
    for row in found.to_pylist():
        places.setdefault(row["partition"], set()).add(RecordPlace(row["offset"], row["index"]))
    return places


def refused_documents(sink: Readable, partition: int) -> set[tuple[str, int]]:
    """Topic (accounts or tariffs) and offset of the documents that the worker of a partition could not take."""
    found = sink.query_arrow(
        "SELECT DISTINCT if(endsWith(origin, 'accounts'), 'accounts', 'tariffs') AS topic, offset FROM rejected FINAL "
        "WHERE reason = 'invalid-document' AND (endsWith(origin, 'accounts') OR endsWith(origin, 'tariffs')) "
        "AND partition = {partition:Int32} ORDER BY topic, offset",
        {"partition": partition},
    )
    return {(row["topic"], row["offset"]) for row in found.to_pylist()}


def first_archived(sink: Readable, partition: int) -> int | None:
    """The first offset of a partition of usage of which the archive has anything; None where it has nothing."""
    found = sink.query_arrow(
        "SELECT count() AS rows, min(offset) AS first FROM (SELECT offset FROM usage WHERE partition = "
        "{partition:UInt32} UNION ALL SELECT offset FROM commands WHERE partition = {partition:UInt32} "
        "UNION ALL SELECT toUInt64(offset) FROM rejected WHERE endsWith(origin, 'usage') "
        "AND partition = {partition:Int32})",
        {"partition": partition},
    )
    return int(found["first"][0].as_py()) if found["rows"][0].as_py() else None


def _name(tenant: str, account: str) -> dict[str, object]:
    return {"tenant": tenant, "account": account}
