"""Stored: what ClickHouse has, as tallies, as rows of a few groups, and as statements with what belongs to them.

Sums are worked out by ClickHouse, so that only groups travel. Reads that need all of a table go by ranges of accounts,
in the order of the tables, each about as large as RANGE_ROWS. After shapes.py, tallies.py and
differences.py, before stored_statements.py.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa

from sinks.columns import to_fixed
from sinks.reconciliation.differences import Difference, Kind, Row, told
from sinks.reconciliation.shapes import SUM_SCALE, Group, Shape, fixed, hash_sql
from sinks.reconciliation.tallies import Sums, Tally

RANGE_ROWS = 500_000
"""How many rows are read at once, about, where rows are read."""
IDENTITY_SQL = r"concat(source, '\0', usage_id)"
"""What tells usage records of an account apart, as a text."""


class Database(Protocol):
    """A sink that answers trusted SELECTs, with and without FINAL."""

    def query_arrow(self, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        """The result of one SELECT, with FINAL."""

    def query_unmerged(self, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        """The result of one SELECT, without."""


class Selection(NamedTuple):
    """Which accounts are meant: "" stands for all."""

    tenant: str = ""
    account: str = ""

    def takes(self, group: Group) -> bool:
        """Whether the group is of an account that is meant."""
        return self.tenant in {"", group[0]} and self.account in {"", group[1]}


EVERYTHING = Selection()


class Range(NamedTuple):
    """Accounts from the first to the last, both included, by tenant and name."""

    first: tuple[str, str]
    last: tuple[str, str]

    def parameters(self) -> dict[str, object]:
        """For IN_RANGE."""
        names = ("first_tenant", "first_account", "last_tenant", "last_account")
        return dict(zip(names, (*self.first, *self.last), strict=True))


class Received(NamedTuple):
    """Usage records of the archive that are rated, by what became of them, and how many wait to be rated."""

    records: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    waiting: int = 0

    def __add__(self, other: "Received") -> "Received":  # type: ignore[override] # of counts, not of tuples
        return Received(*map(sum, zip(self, other, strict=True)))


_SELECTION = (
    "({tenant:String} = '' OR tenant = {tenant:String}) AND ({account:String} = '' OR account = {account:String})"
)
IN_RANGE = (
    "tenant >= {first_tenant:String} AND tenant <= {last_tenant:String} "
    "AND (tenant, account) >= ({first_tenant:String}, {first_account:String}) "
    "AND (tenant, account) <= ({last_tenant:String}, {last_account:String})"
)
_OFFSET_FROM = "offset >= {begins:Array(UInt64)}[partition + 1]"
SUM = f"toString(sum(toDecimal256({{}}, {SUM_SCALE})))"


def _groups_sql(shape: Shape) -> str:
    return ", ".join(f"{expression} AS g{place}" for place, expression in enumerate(shape.group))


def tally(
    database: Database, shape: Shape, selection: Selection, begins: Sequence[int] = (), *, merged: bool = True
) -> Tally:
    """The sums of each group; of a table with positions from the offsets `begins` on, by partition.

    Not `merged`, rows that were inserted twice count twice.
    """
    where = f"{_SELECTION} AND {_OFFSET_FROM}" if begins else _SELECTION
    sql = (
        f"SELECT {_groups_sql(shape)}, count(), {SUM.format(shape.amount)}, "  # noqa: S608 - ours
        f"toString(sum({hash_sql(shape.text)})) "
        f"FROM {shape.table}{' FINAL' if merged else ''} WHERE {where} GROUP BY g0, g1, g2, g3"
    )
    ask = database.query_arrow if merged else database.query_unmerged
    found = ask(sql, {**selection._asdict(), "begins": list(begins)})
    result = Tally()
    for *group, rows, amount, hashes in rows_of(found):
        result.put(_group(group), Sums(rows, fixed(amount), int(hashes)))
    return result


def rows(database: Database, shape: Shape, groups: Collection[Group], begins: Sequence[int] = ()) -> list[Row]:
    """All rows of these groups."""
    where = f"{_in_groups(shape)} AND {_OFFSET_FROM}" if begins else _in_groups(shape)
    sql = (
        f"SELECT {_groups_sql(shape)}, [{', '.join(f'toString({part})' for part in shape.key)}], "  # noqa: S608
        f"{shape.name}, {shape.text}, {_place(shape)} FROM {shape.table} FINAL WHERE {where}"
    )
    found = database.query_arrow(sql, {**_group_parameters(groups), "begins": list(begins)})
    return [
        Row(group, tuple(key), name, text, place)
        for *parts, key, name, text, place in rows_of(found)
        if (group := _group(parts)) in groups
    ]


def clashes(database: Database, shape: Shape, groups: Collection[Group]) -> list[Difference]:
    """Rows of these groups that were inserted with one key and several contents: FINAL shows one of them."""
    sorting = ", ".join(shape.sorting)
    places = ", ".join(f"any({expression}) AS g{place}" for place, expression in enumerate(shape.group))
    sql = (
        f"SELECT {places}, any({shape.name}), {_place(shape)}, "  # noqa: S608
        f"arraySort(groupUniqArray({shape.text})) AS all_texts "
        f"FROM {shape.table} WHERE {_in_groups(shape)} GROUP BY {sorting} HAVING length(all_texts) > 1"
    )
    return [
        Difference(Kind.CLASHING, group, name, (place,), told(shape, texts[0], texts[1]))
        for *parts, name, place, texts in rows_of(database.query_unmerged(sql, _group_parameters(groups)))
        if (group := _group(parts)) in groups
    ]


def _place(shape: Shape) -> str:
    """Where a row is in its table: its sorting key."""
    return f"concat('{shape.table} ', toString(tuple({', '.join(shape.sorting)})))"


def _in_groups(shape: Shape) -> str:
    """By tenant and account, which the tables are sorted by; or by what else groups are made of."""
    _, account, meter, period = shape.group
    if account == "account":
        return "tenant IN {tenants:Array(String)} AND account IN {accounts:Array(String)}"
    return f"{meter} IN {{meters:Array(String)}} AND {period} IN {{periods:Array(String)}}"


def _group_parameters(groups: Iterable[Group]) -> dict[str, object]:
    names = ("tenants", "accounts", "meters", "periods")
    return {name: sorted(set(values)) for name, values in zip(names, zip(*groups, strict=True), strict=True)}


class Held(NamedTuple):
    """How many rows a table has on disk, and how many of them FINAL shows: the others were inserted twice."""

    rows: int
    shown: int


def held(database: Database, shape: Shape, selection: Selection) -> Held:
    """Of the accounts that are meant, where the table has accounts."""
    asked = selection._asdict()
    rows = database.query_unmerged(f"SELECT count() FROM {shape.table} WHERE {_SELECTION}", asked)  # noqa: S608
    shown = database.query_arrow(f"SELECT count() FROM {shape.table} FINAL WHERE {_SELECTION}", asked)  # noqa: S608
    return Held(next(rows_of(rows))[0], next(rows_of(shown))[0])


def ranges(database: Database, tables: Iterable[str], selection: Selection) -> Iterator[Range]:
    """The accounts of the tables in ranges of about RANGE_ROWS rows; one that has more is a range of its own."""
    of_tables = " UNION ALL ".join(
        f"SELECT tenant, account, count() AS rows FROM {table} WHERE {_SELECTION} GROUP BY tenant, account"  # noqa: S608
        for table in tables
    )
    found = database.query_arrow(
        f"SELECT tenant, account, sum(rows) AS rows FROM ({of_tables}) "  # noqa: S608
        "GROUP BY tenant, account ORDER BY tenant, account",
        selection._asdict(),
    )
    first = last = None
    size = 0
    for tenant, account, held in rows_of(found):
        if first is not None and last is not None and size + held > RANGE_ROWS:
            yield Range(first, last)
            first, size = None, 0
        last = (tenant, account)
        first = first or last
        size += held
    if first is not None and last is not None:
        yield Range(first, last)


_REQUIRED = "(isNotNull(quantity) OR quantity_text != '')"
"""A record without a quantity voids another: it causes a charge where that one has come."""
_REJECTED = "(SELECT partition, offset, `index` FROM rejected FINAL WHERE origin = {topic:String})"


def identities(
    database: Database, accounts: Range, topic: str, rated: Sequence[int], archived: Sequence[int]
) -> tuple[Tally, Tally, Received]:
    """The usage records of a range that are not rejected, each identity once: those that must have a charge, and those
    that may have one (voids, and what is not rated yet); and the counts.

    `rated` and `archived` are offsets by partition: below the first, records are rated; from the second on, the archive
    is not looked at. `topic` is the full name of usage.
    """
    sql = (
        "SELECT tenant, account, countIf(is_due), "  # noqa: S608 - our own expressions, here and below
        f"toString(sumIf({hash_sql(IDENTITY_SQL)}, is_due)), countIf(NOT is_due), "
        f"toString(sumIf({hash_sql(IDENTITY_SQL)}, NOT is_due)), countIf(rated > 0), sum(rated), sum(waiting) "
        "FROM (SELECT tenant, account, source, usage_id, countIf(is_rated) AS rated, countIf(NOT is_rated) AS waiting, "
        f"countIf(is_rated AND {_REQUIRED}) > 0 AS is_due FROM ("
        "SELECT *, offset < {rated:Array(UInt64)}[partition + 1] AS is_rated FROM usage FINAL "
        f"WHERE {IN_RANGE} AND offset < {{archived:Array(UInt64)}}[partition + 1] "
        f"AND (partition, offset, `index`) NOT IN {_REJECTED}) "
        "GROUP BY tenant, account, source, usage_id) GROUP BY tenant, account"
    )
    cuts: dict[str, object] = {"rated": list(rated), "archived": list(archived), "topic": topic}
    due, may = Tally(), Tally()
    counts = Received()
    for tenant, account, n_due, h_due, n_may, h_may, accepted, records, waiting in rows_of(
        database.query_arrow(sql, {**accounts.parameters(), **cuts})
    ):
        group = (tenant, account, "", "")
        due.put(group, Sums(n_due, 0, int(h_due)))
        if n_may:
            may.put(group, Sums(n_may, 0, int(h_may)))
        counts += Received(records, accepted, records - accepted, 0, waiting)
    refused = database.query_arrow(
        "SELECT count() FROM usage FINAL "  # noqa: S608
        f"WHERE {IN_RANGE} AND offset < {{rated:Array(UInt64)}}[partition + 1] "
        f"AND offset < {{archived:Array(UInt64)}}[partition + 1] AND (partition, offset, `index`) IN {_REJECTED}",
        {**accounts.parameters(), **cuts},
    )
    rejected = next(rows_of(refused))[0]
    return due, may, counts + Received(rejected, rejected=rejected)


class ArchivedRecord(NamedTuple):
    """A record of the archive: whose it is, what tells it apart, its place and whether it has a quantity."""

    tenant: str
    account: str
    source: str
    usage_id: str
    partition: int
    offset: int
    number: int
    is_required: bool


def archived_records(database: Database, groups: Collection[Group], archived: Sequence[int]) -> list[ArchivedRecord]:
    """The records of these groups' accounts below the offsets."""
    names = {group[:2] for group in groups}
    found = database.query_arrow(
        f"SELECT tenant, account, source, usage_id, partition, offset, `index`, {_REQUIRED} FROM usage FINAL "  # noqa: S608
        "WHERE tenant IN {tenants:Array(String)} AND account IN {accounts:Array(String)} "
        "AND offset < {archived:Array(UInt64)}[partition + 1]",
        {**_group_parameters(groups), "archived": list(archived)},
    )
    records = (ArchivedRecord(*row) for row in rows_of(found))
    return [record for record in records if (record.tenant, record.account) in names]


def zones(database: Database) -> dict[tuple[str, str], str]:
    """The time zone of each account."""
    found = database.query_arrow("SELECT tenant, account, JSONExtractString(document, 'zone') FROM accounts FINAL")
    return {(tenant, account): zone for tenant, account, zone in rows_of(found)}


def feeds(database: Database) -> dict[str, str]:
    """The id of each topic that the rows are from, by its name."""
    return dict(rows_of(database.query_arrow("SELECT topic, topic_id FROM feeds FINAL")))


def _group(parts: Sequence[str]) -> Group:
    tenant, account, meter, period = parts
    return tenant, account, meter, period


def rows_of(table: pa.Table) -> Iterator[tuple]:  # type: ignore[type-arg] # of what the query asks for
    """The rows of an answer, decimals as scaled integers."""
    for batch in table.to_batches():
        yield from zip(*map(_values, batch.columns), strict=True)


def _values(column: pa.Array) -> list:  # type: ignore[type-arg] # of what the column's type says
    if pa.types.is_decimal128(column.type):
        return to_fixed(column)
    return column.to_pylist()  # type: ignore[no-any-return] # a list of them
