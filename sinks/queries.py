"""Queries: what people ask of the sink, and the reads of an export.

Values travel as parameters of the server, never inside the SQL. Every read says FINAL and has a total order, so two
databases with the same content give the same answer, row by row. Instants are microseconds, amounts fixed point.
"""

from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa
from msgspec import Struct

from schemas.charge import Charge
from schemas.rejection import Reason, Rejection
from schemas.statement import Statement
from sinks.charge_columns import CHARGES, charges_from_table
from sinks.columns import to_fixed
from sinks.rejection_columns import REJECTED, rejections_from_table
from sinks.statement_columns import STATEMENT_LINES, STATEMENTS, TAXES, statements_from_tables


class Readable(Protocol):
    """A sink that answers trusted SELECTs."""

    def query_arrow(self, sql: str, parameters: dict[str, object] | None = None) -> pa.Table:
        """The result of one SELECT."""


class Total(Struct, frozen=True):
    """What the charges of one currency add up to: their count, and their exact amount before tax and rounding."""

    currency: str
    charges: int
    amount: int


class UsageAmount(Struct, frozen=True):
    """What the charges of one usage record add up to for one meter and billing period, exact."""

    source: str
    usage_id: str
    meter: str
    period_start: int
    amount: int


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"`{name}`" for name in schema.names)


_START = "fromUnixTimestamp64Micro({start:Int64}, 'UTC')"
_ACCOUNT = "tenant = {tenant:String} AND account = {account:String}"
_CHARGES = f"SELECT {_columns(CHARGES)} FROM charges FINAL"  # noqa: S608 # our own column names, as below
_REJECTED = f"SELECT {_columns(REJECTED)} FROM rejected FINAL"  # noqa: S608
_STATEMENTS = f"SELECT {_columns(STATEMENTS)} FROM statements FINAL"  # noqa: S608
_STATEMENT_KEY = "tenant, account, period_start, revision, number"
_OWNED_KEY = "tenant, account, statement_start, revision, number, line"
_REJECTED_KEY = "origin, partition, offset, `index`, sha256"


def statement(sink: Readable, tenant: str, account: str, period_start: int) -> Statement | None:
    """The latest revision of the statement whose period begins at `period_start`; None where there is none.

    While the period has no statement of its own, it is the last of its interim ones.
    """
    key: dict[str, object] = {"tenant": tenant, "account": account, "start": period_start}
    head = sink.query_arrow(
        f"{_STATEMENTS} WHERE {_ACCOUNT} AND period_start = {_START} "
        "ORDER BY number = 0 DESC, revision DESC, number DESC LIMIT 1",
        key,
    )
    if not head.num_rows:
        return None
    key |= {name: head[name][0].as_py() for name in ("revision", "number")}
    lines, taxes = (_owned(sink, name, schema, key) for name, schema in _OWNED.items())
    return statements_from_tables(head, lines, taxes)[0]


_OWNED = {"statement_lines": STATEMENT_LINES, "taxes": TAXES}


def _owned(sink: Readable, table_name: str, schema: pa.Schema, key: dict[str, object]) -> pa.Table:
    return sink.query_arrow(
        f"SELECT {_columns(schema)} FROM {table_name} FINAL WHERE {_ACCOUNT} "  # noqa: S608
        f"AND statement_start = {_START} AND revision = {{revision:UInt32}} AND number = {{number:UInt32}} "
        "ORDER BY line",
        key,
    )


def statement_heads(sink: Readable, *, tenant: str = "", account: str = "", limit: int = 1_000) -> pa.Table:
    """The latest revision of each statement, interim ones too, without lines and taxes: the columns of STATEMENTS.

    By tenant, account and period. "" as tenant or account stands for all of them.
    """
    return sink.query_arrow(
        f"SELECT * FROM ({_STATEMENTS} WHERE {_any('tenant')} AND {_any('account')} "  # noqa: S608
        f"ORDER BY tenant, account, period_start, revision DESC LIMIT 1 BY tenant, account, period_start, number) "
        f"ORDER BY tenant, account, period_start, number = 0, number LIMIT {{limit:UInt64}}",
        {"tenant": tenant, "account": account, "limit": limit},
    )


def _any(column: str) -> str:
    return f"({{{column}:String}} = '' OR {column} = {{{column}:String}})"


def charges(
    sink: Readable, tenant: str, account: str, *, statement_start: int | None = None, limit: int = 2**32
) -> list[Charge]:
    """The charges of an account, or of one of its statements, by statement, usage start and charge id."""
    of_statement = "" if statement_start is None else f"AND statement_start = {_START}"
    found = sink.query_arrow(
        f"{_CHARGES} WHERE {_ACCOUNT} {of_statement} "
        "ORDER BY statement_start, usage_start, charge_id LIMIT {limit:UInt64}",
        {"tenant": tenant, "account": account, "start": statement_start or 0, "limit": limit},
    )
    return charges_from_table(found)


def usage_amounts(sink: Readable, tenant: str, account: str) -> list[UsageAmount]:
    """What each usage record of an account has been charged, by record, meter and billing period of the usage."""
    found = sink.query_arrow(
        "SELECT source, usage_id, meter, toUnixTimestamp64Micro(period_start) AS period, sum(amount) AS amount "  # noqa: S608
        f"FROM charges FINAL WHERE {_ACCOUNT} AND usage_id != '' "
        "GROUP BY source, usage_id, meter, period ORDER BY source, usage_id, meter, period",
        {"tenant": tenant, "account": account},
    )
    amounts = [amount for batch in found.to_batches() for amount in to_fixed(batch["amount"])]
    names = ("source", "usage_id", "meter", "period")
    return [UsageAmount(*row) for row in zip(*(found[name].to_pylist() for name in names), amounts, strict=True)]


def charge(sink: Readable, charge_id: str) -> Charge | None:
    """The charge of that id, or None."""
    found = sink.query_arrow(f"{_CHARGES} WHERE charge_id = {{charge_id:String}} LIMIT 1", {"charge_id": charge_id})
    return charges_from_table(found)[0] if found.num_rows else None


def charge_ids(sink: Readable, beginning: str, *, limit: int) -> list[str]:
    """The ids of charges that begin so, in order."""
    found = sink.query_arrow(
        "SELECT charge_id FROM charges FINAL WHERE startsWith(charge_id, {beginning:String}) "
        "ORDER BY charge_id LIMIT {limit:UInt64}",
        {"beginning": beginning, "limit": limit},
    )
    ids: list[str] = found["charge_id"].to_pylist()
    return ids


def rejections(sink: Readable, *, reason: Reason | None = None, limit: int = 1_000) -> list[Rejection]:
    """Rejections by origin and position; those of one reason, or all."""
    found = sink.query_arrow(
        f"{_REJECTED} WHERE {_any('reason')} ORDER BY {_REJECTED_KEY} LIMIT {{limit:UInt64}}",
        {"reason": reason or "", "limit": limit},
    )
    return rejections_from_table(found)


def rejection_counts(sink: Readable) -> dict[Reason, int]:
    """How many rejections there are of each reason that occurs."""
    found = sink.query_arrow("SELECT reason, count() AS rejections FROM rejected FINAL GROUP BY reason ORDER BY reason")
    return {Reason(row["reason"]): row["rejections"] for row in found.to_pylist()}


def totals(sink: Readable) -> list[Total]:
    """What all charges add up to, one total per currency, by currency."""
    found = sink.query_arrow(
        "SELECT currency, count() AS charges, sum(amount) AS amount FROM charges FINAL "
        "GROUP BY currency ORDER BY currency"
    )
    amounts = [amount for batch in found.to_batches() for amount in to_fixed(batch["amount"])]
    return [
        Total(*row) for row in zip(found["currency"].to_pylist(), found["charges"].to_pylist(), amounts, strict=True)
    ]


def position(sink: Readable, name: str) -> int | None:
    """How far the projection `name` has come; None where it has not begun."""
    found = sink.query_arrow("SELECT seq FROM projection FINAL WHERE name = {name:String}", {"name": name})
    return found["seq"][0].as_py() if found.num_rows else None


_EXPORTS = {
    "charges": (CHARGES, "statement_start", "tenant, account, statement_start, usage_start, charge_id"),
    "statements": (STATEMENTS, "period_start", _STATEMENT_KEY),
    "statement_lines": (STATEMENT_LINES, "statement_start", _OWNED_KEY),
    "taxes": (TAXES, "statement_start", _OWNED_KEY),
}
"""Columns, the instant whose month is the partition, and the key in which each table is exported."""


def export_reads(sink: Readable) -> Iterator[tuple[str, pa.Schema, Iterator[pa.Table]]]:
    """Each table of the export: its name, columns, and content in pieces, month by month and ordered by its key.

    The pieces are cut by content alone, so equal databases give equal pieces. Nothing in them tells when or how often
    a row was inserted.
    """
    for name, (schema, month_of, key) in _EXPORTS.items():
        yield name, schema, _by_month(sink, name, schema, month_of, key)
    rejected = sink.query_arrow(f"{_REJECTED} ORDER BY {_REJECTED_KEY}")
    yield "rejected", REJECTED, iter([_conformed(rejected, REJECTED)])


def _by_month(sink: Readable, name: str, schema: pa.Schema, month_of: str, key: str) -> Iterator[pa.Table]:
    month = f"toYYYYMM({month_of})"
    found = sink.query_arrow(f"SELECT DISTINCT {month} AS month FROM {name} ORDER BY month")  # noqa: S608
    for value in found["month"].to_pylist():
        rows = sink.query_arrow(
            f"SELECT {_columns(schema)} FROM {name} FINAL WHERE {month} = {{month:UInt32}} ORDER BY {key}",  # noqa: S608
            {"month": value},
        )
        yield _conformed(rows, schema)


def _conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The same rows in exactly the types of `schema`, in one piece."""
    return table.cast(schema).combine_chunks()
