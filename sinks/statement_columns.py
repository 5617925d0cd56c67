"""Statements as rows of three tables: `statements`, `statement_lines` and `taxes`.

The rows of one statement share its tenant, account, period start, revision and number. Whoever inserts them inserts
lines and taxes first and the statement last: a statement that can be seen is whole.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, count

import pyarrow as pa

from schemas.statement import Allowance, LineKind, Settlement, Statement, StatementKind, StatementLine, TaxLine
from sinks.columns import (
    AMOUNT,
    INSTANT,
    PRICE,
    QUANTITY,
    fixed,
    instants,
    offsets,
    rows,
    texts,
    to_fixed,
    to_groups,
    to_instants,
    to_texts,
)

STATEMENTS = pa.schema(
    [
        ("statement_id", pa.string()),
        ("tenant", pa.string()),
        ("account", pa.string()),
        ("period_start", INSTANT),
        ("period_end", INSTANT),
        ("zone", pa.string()),
        ("currency", pa.string()),
        ("revision", pa.uint32()),
        ("number", pa.uint32()),
        ("complete", pa.bool_()),
        ("exact", AMOUNT),
        ("net", AMOUNT),
        ("tax", AMOUNT),
        ("total", AMOUNT),
        ("usage_records", pa.uint64()),
        ("charges", pa.uint64()),
        ("usage_first", INSTANT),
        ("usage_last", INSTANT),
        ("usage_digest", pa.string()),
        ("charges_digest", pa.string()),
        ("kind", pa.string()),
        ("settlements.name", pa.list_(pa.string())),
        ("settlements.amount", pa.list_(AMOUNT)),
        ("settlements.remaining", pa.list_(AMOUNT)),
        ("allowances.meter", pa.list_(pa.string())),
        ("allowances.unit", pa.list_(pa.string())),
        ("allowances.included", pa.list_(QUANTITY)),
        ("allowances.used", pa.list_(QUANTITY)),
        ("allowances.left", pa.list_(QUANTITY)),
        ("due", AMOUNT),
    ]
)

_OWNER = [
    ("statement_id", pa.string()),
    ("tenant", pa.string()),
    ("account", pa.string()),
    ("statement_start", INSTANT),
    ("revision", pa.uint32()),
    ("number", pa.uint32()),
    ("line", pa.uint32()),
]
"""Which statement a row belongs to, and its place there from 1."""

STATEMENT_LINES = pa.schema(
    [
        *_OWNER,
        ("kind", pa.string()),
        ("period_start", INSTANT),
        ("period_end", INSTANT),
        ("tariff", pa.string()),
        ("version", pa.string()),
        ("meter", pa.string()),
        ("name", pa.string()),
        ("band", pa.string()),
        ("tier", pa.uint32()),
        ("unit_price", PRICE),
        ("quantity", QUANTITY),
        ("unit", pa.string()),
        ("exact", AMOUNT),
        ("amount", AMOUNT),
        ("gross", AMOUNT),
        ("due", AMOUNT),
    ]
)

TAXES = pa.schema(
    [
        *_OWNER,
        ("tariff", pa.string()),
        ("version", pa.string()),
        ("name", pa.string()),
        ("percent", pa.string()),
        ("base", AMOUNT),
        ("amount", AMOUNT),
        ("item", pa.string()),
    ]
)


def statements_table(statements: Sequence[Statement]) -> pa.Table:
    """One row per statement, without its lines and taxes, in the order given."""
    return pa.Table.from_arrays([_head_column(statements, field) for field in STATEMENTS], schema=STATEMENTS)


def _head_column(statements: Sequence[Statement], field: pa.Field) -> pa.Array:
    name, _, inner = field.name.partition(".")
    values = [getattr(statement, name) for statement in statements]
    if not inner:
        return _column(values, field.type)
    flat = [getattr(one, inner) for group in values for one in group]
    return pa.ListArray.from_arrays(offsets(values), _column(flat, field.type.value_type))


def statement_lines_table(statements: Sequence[Statement]) -> pa.Table:
    """One row per line, in the order of the statements and of their lines."""
    return _owned_table(statements, [statement.lines for statement in statements], STATEMENT_LINES)


def taxes_table(statements: Sequence[Statement]) -> pa.Table:
    """One row per tax, in the order of the statements and of their taxes."""
    return _owned_table(statements, [statement.taxes for statement in statements], TAXES)


def _owned_table(
    statements: Sequence[Statement],
    groups: list[tuple[StatementLine, ...]] | list[tuple[TaxLine, ...]],
    schema: pa.Schema,
) -> pa.Table:
    owners = [statement for statement, group in zip(statements, groups, strict=True) for _ in group]
    columns: dict[str, list[object]] = {
        "statement_id": [owner.statement_id for owner in owners],
        "tenant": [owner.tenant for owner in owners],
        "account": [owner.account for owner in owners],
        "statement_start": [owner.period_start for owner in owners],
        "revision": [owner.revision for owner in owners],
        "number": [owner.number for owner in owners],
        "line": [number for group in groups for number, _ in zip(count(1), group, strict=False)],
    }
    flat = list(chain.from_iterable(groups))
    columns |= {name: [getattr(row, name) for row in flat] for name in schema.names[len(_OWNER) :]}
    return _table(columns, schema)


def _table(columns: dict[str, list[object]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_arrays([_column(columns[field.name], field.type) for field in schema], schema=schema)


def _column(values: list, kind: pa.DataType) -> pa.Array:  # type: ignore[type-arg] # of what `kind` says
    if pa.types.is_decimal(kind):
        return fixed(values, kind)
    if pa.types.is_timestamp(kind):
        return instants(values)
    return texts(values) if pa.types.is_string(kind) else pa.array(values, kind)


def statements_from_tables(statements: pa.Table, lines: pa.Table, taxes: pa.Table) -> list[Statement]:
    """The statements of `statements`, in its order, with their rows of the other two tables in order of `line`."""
    lines_of, taxes_of = _by_statement(lines, STATEMENT_LINES), _by_statement(taxes, TAXES)
    return [
        Statement(
            **head,
            lines=tuple(StatementLine(**row | {"kind": LineKind(row["kind"])}) for row in lines_of[_key(head)]),
            taxes=tuple(TaxLine(**row) for row in taxes_of[_key(head)]),
        )
        for head in rows(statements.select(STATEMENTS.names), _heads)
    ]


def _heads(batch: pa.RecordBatch) -> list[dict]:  # type: ignore[type-arg] # what a Statement is made of, by name
    columns = {name: _values(batch.column(name)) for name in batch.schema.names if "." not in name}
    columns["kind"] = list(map(StatementKind, columns["kind"]))
    for name, noun in (("settlements", Settlement), ("allowances", Allowance)):
        nested = [batch.column(f"{name}.{field}") for field in noun.__struct_fields__]
        columns[name] = [*to_groups(nested[0], map(noun, *(_values(column.flatten()) for column in nested)))]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _key(row: dict) -> tuple[str, int, int]:  # type: ignore[type-arg] # a row of any of the three tables
    return row["statement_id"], row["revision"], row["number"]


def _by_statement(table: pa.Table, schema: pa.Schema) -> dict[tuple[str, int, int], list[dict]]:  # type: ignore[type-arg]
    groups = defaultdict(list)
    own = schema.names[len(_OWNER) :]
    for row in sorted(rows(table.select(schema.names), _plain), key=lambda row: row["line"]):
        groups[_key(row)].append({name: row[name] for name in own})
    return groups


def _plain(batch: pa.RecordBatch) -> list[dict]:  # type: ignore[type-arg] # by column name, scaled integers throughout
    names = batch.schema.names
    return [dict(zip(names, row, strict=True)) for row in zip(*map(_values, batch.columns), strict=True)]


def _values(column: pa.Array) -> list:  # type: ignore[type-arg] # of what the column's type says
    if pa.types.is_decimal(column.type):
        return to_fixed(column)
    return to_instants(column) if pa.types.is_timestamp(column.type) else to_texts(column)
