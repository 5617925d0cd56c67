"""Stored statements: each with what its lines and taxes come to, and the charges of its period. After stored.py."""

from collections.abc import Collection, Sequence
from typing import Any

from sinks.reconciliation.shapes import fixed, iso_sql
from sinks.reconciliation.statements import Digested, Owner, Stated
from sinks.reconciliation.stored import IN_RANGE, SUM, Database, Range, rows_of

_OWNED = "tenant, account, statement_id"


def stated(database: Database, accounts: Range) -> list[Stated]:
    """The statements of a range, each with what its lines and taxes come to, and the charges of its period."""
    total = SUM.format
    sql = (
        f"SELECT s.statement_id, s.tenant, s.account, {iso_sql('s.period_start')}, "  # noqa: S608
        "s.number = 0 AND s.revision = max(if(s.number = 0, s.revision, 0)) OVER "
        "(PARTITION BY s.tenant, s.account, s.period_start), "
        "toString(s.exact), toString(s.net), toString(s.tax), toString(s.total), toString(s.due), "
        "toString(arraySum(arrayMap(one -> toDecimal256(one, 18), s.`settlements.amount`))), "
        "s.charges, s.charges_digest, l.all_exact, l.all_amount, t.all_amount, c.charges, c.all_amount, l.rounds_total "
        f"FROM (SELECT * FROM statements FINAL WHERE {IN_RANGE}) AS s "
        f"LEFT JOIN (SELECT {_OWNED}, {total('exact')} AS all_exact, {total('amount')} AS all_amount, "
        "max((tariff, version) IN (SELECT tariff, version FROM tariffs FINAL "
        "WHERE JSONExtractString(document, 'rounding', 'at') = 'total')) AS rounds_total "
        f"FROM statement_lines FINAL WHERE {IN_RANGE} GROUP BY {_OWNED}) AS l USING ({_OWNED}) "
        f"LEFT JOIN (SELECT {_OWNED}, {total('amount')} AS all_amount FROM taxes FINAL "
        f"WHERE {IN_RANGE} GROUP BY {_OWNED}) AS t USING ({_OWNED}) "
        f"LEFT JOIN (SELECT tenant, account, statement_start AS period_start, count() AS charges, "
        f"{total('amount')} AS all_amount FROM charges FINAL WHERE {IN_RANGE} "
        "GROUP BY tenant, account, period_start) AS c USING (tenant, account, period_start)"
    )
    found = database.query_arrow(sql, accounts.parameters())
    return [_stated(row) for row in rows_of(found)]


def _stated(row: Sequence[Any]) -> Stated:
    statement_id, tenant, account, period, is_last, exact, net, tax, total, due, settled = row[:11]
    charges, digest, lines_exact, lines_amount, taxes, stored_charges, stored_exact, rounds_total = row[11:]
    return Stated(
        statement_id=statement_id,
        owner=(tenant, account, period),
        is_last=bool(is_last),
        exact=fixed(exact),
        net=fixed(net),
        tax=fixed(tax),
        total=fixed(total),
        due=fixed(due),
        settled=fixed(settled),
        charges=charges,
        digest=int(digest, 16),
        lines_exact=fixed(lines_exact or "0"),
        lines_amount=fixed(lines_amount or "0"),
        taxes_amount=fixed(taxes or "0"),
        stored_charges=stored_charges or 0,
        stored_exact=fixed(stored_exact or "0"),
        rounds_total=bool(rounds_total),
    )


def digested(database: Database, accounts: Range, owners: Collection[Owner]) -> dict[Owner, Digested]:
    """The charges of these statements, added up row by row."""
    found = database.query_arrow(
        f"SELECT tenant, account, {iso_sql('statement_start')}, charge_id, kind, meter, "  # noqa: S608
        "toUnixTimestamp64Micro(period_start), quantity, amount, tariff, version "
        f"FROM charges FINAL WHERE {IN_RANGE} "
        "AND (tenant, account, statement_start) IN (SELECT tenant, account, period_start FROM statements FINAL "
        f"WHERE {IN_RANGE})",
        accounts.parameters(),
    )
    sums: dict[Owner, Digested] = {owner: Digested() for owner in owners}
    for tenant, account, start, *facts in rows_of(found):
        one = sums.get((tenant, account, start))
        if one is not None:
            one.add(*facts)
    return sums


def revising_tariffs(database: Database) -> set[tuple[str, str]]:
    """Name and version of the tariffs whose late usage makes a new revision of the statement that it belongs to."""
    found = database.query_arrow(
        "SELECT tariff, version FROM tariffs FINAL WHERE JSONExtractString(document, 'closing', 'late') = 'revision'"
    )
    return {(tariff, version) for tariff, version in rows_of(found)}


def tariffs_of(database: Database, owner: Owner) -> set[tuple[str, str]]:
    """Name and version of the tariffs of a statement's charges."""
    found = database.query_arrow(
        "SELECT DISTINCT tariff, version FROM charges FINAL WHERE tenant = {tenant:String} "  # noqa: S608
        f"AND account = {{account:String}} AND {iso_sql('statement_start')} = {{start:String}} AND usage_id != ''",
        dict(zip(("tenant", "account", "start"), owner, strict=True)),
    )
    return {(tariff, version) for tariff, version in rows_of(found)}
