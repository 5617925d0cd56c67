"""Rerating: one `ratestream rerate`: what differs from what is booked, who, how much, why; then, if asked, booked."""

import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from rich.text import Text

from agents.books import open_books
from agents.errors import NoAnswerError, ReratingError
from agents.rerating import Booked, Difference, Found, Order, Rerating
from ratestream.options import Output
from ratestream.rows import Row, write_csv, write_json
from ratestream.running import now_us
from ratestream.screen import cells, grid, moment, money, printable, show
from schemas.instants import to_iso

_SHOWN = 20
"""Accounts that one error tells; the rest is counted."""
_COLUMNS = (
    *("tenant", "account", "period", "meter", "source", "usage_id", "usage_start"),
    *("booked", "now", "difference", "currency", "why"),
)


def rerate(data: Path, order: Order, output: Output, *, books_them: bool, by_record: bool, clickhouse_dsn: str) -> None:
    """Show the differences, and book them where that is asked. Raises ReratingError where accounts are refused."""
    if not (data / "state").is_dir():
        raise NoAnswerError(f"{data} is no data directory. Rate usage into it first: ratestream run --data {data} ...")
    with open_books(data, clickhouse_dsn) as books:
        rerating = Rerating(books, order, now_us())
        found = rerating.compare()
        _show(found, output, by_record=by_record)
        refused = found.refused
        if books_them:
            booked = rerating.book()
            _tell_booked(booked, found)
            refused = list(dict.fromkeys([*refused, *booked.refused]))
        elif found.changed:
            print(f"Nothing is booked yet. With --book: {_count(len(found.changed), 'account')}.", file=sys.stderr)
    if refused:
        more = [f"... and {len(refused) - _SHOWN} more accounts."] if len(refused) > _SHOWN else []
        raise ReratingError("\n".join([*refused[:_SHOWN], *more]))


def _show(found: Found, output: Output, *, by_record: bool) -> None:
    if output is Output.JSON:
        write_json(map(_row, found.differences))
    elif output is Output.CSV:
        write_csv(_COLUMNS, map(_row, found.differences))
    else:
        _print(found.differences, by_record=by_record)
    left = [f"{found.unknown} not booked in the directory as they are"] if found.unknown else []
    left += [f"{found.unreadable} lines unreadable"] if found.unreadable else []
    print(f"{_count(found.records, 'record')} compared{''.join(f', {text}' for text in left)}.", file=sys.stderr)
    if not found.differences and not found.refused:
        print("There are no differences.", file=sys.stderr)


def _row(one: Difference) -> Row:
    row = {name: getattr(one, name) for name in _COLUMNS}
    amounts = {name: money(row[name], one.currency) for name in ("booked", "now", "difference")}
    return row | amounts | {"usage_start": to_iso(one.usage_start) if one.usage_id else ""}


def _print(differences: Sequence[Difference], *, by_record: bool) -> None:
    """For each account and period what it comes to, and under it its meters, or its records."""
    for (_, account, period, currency, zone), group in groupby(
        differences, lambda one: (one.tenant, one.account, one.period, one.currency, one.zone)
    ):
        ones = list(group)
        total = sum(one.difference for one in ones)
        show(Text(printable(f"{account}, {period}: difference {money(total, currency)} {currency}"), style="bold"))
        first = (("from", "left"), ("record", "left")) if by_record else (("records", "right"),)
        table = grid(
            ("", "left"), *first, ("booked", "right"), ("now", "right"), ("difference", "right"), ("why", "left")
        )
        for row in _record_rows(ones, zone) if by_record else _meter_rows(ones):
            table.add_row(*cells(*row))
        show(table)
        show()


def _record_rows(ones: Iterable[Difference], zone: str) -> Iterable[tuple[str, ...]]:
    for one in ones:
        at = moment(one.usage_start, zone) if one.usage_id else ""
        yield one.meter, at, one.usage_id, *_amounts([one]), one.why


def _meter_rows(ones: Sequence[Difference]) -> Iterable[tuple[str, ...]]:
    groups: dict[tuple[str, str], list[Difference]] = {}
    for one in ones:
        groups.setdefault((one.meter, one.why), []).append(one)
    for (meter, why), some in groups.items():
        records = len({(one.source, one.usage_id) for one in some if one.usage_id})
        yield meter, str(records or ""), *_amounts(some), why


def _amounts(ones: Sequence[Difference]) -> tuple[str, str, str]:
    sums = (sum(one.booked for one in ones), sum(one.now for one in ones), sum(one.difference for one in ones))
    booked, now, difference = (money(amount, ones[0].currency) for amount in sums)
    return booked, now, difference


def _tell_booked(booked: Booked, found: Found) -> None:
    """On standard error, as standard output holds the differences."""
    if not booked.accounts:
        order = " Differences of order alone add up to nothing and need no booking." if found.differences else ""
        print(f"Nothing to book.{order}", file=sys.stderr)
        return
    names = ", ".join(printable(account) for _, account in booked.accounts[:_SHOWN])
    more = f" and {len(booked.accounts) - _SHOWN} more" if len(booked.accounts) > _SHOWN else ""
    print(f"Booked: {_count(booked.tally.charges, 'charge')} for {names}{more}.", file=sys.stderr)
    for currency, amount in sorted(booked.tally.charged.items()):
        print(f"  {money(int(amount), currency)} {currency} exact, before tax", file=sys.stderr)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
