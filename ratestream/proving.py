"""Proving: one `ratestream prove`: a statement beside what its charges and its usage come to, and the verdict."""

import asyncio
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents import settings
from ratestream.failures import NOT_THERE, WRONG_MONEY
from ratestream.options import AccountArgument, Output, TenantOption

if TYPE_CHECKING:
    from rich.table import Table

    from agents.proving.differences import Difference
    from agents.proving.proof import Proof, StatementProof
    from sinks.clickhouse import ClickHouse

_SHOWN, _CHARGES = 12, 5
"""Fields of one statement or charge, and charges, whose differences are told to a reader; the rest is counted."""
_DIGITS = 16
"""Of a digest that a reader is shown."""
_FACTS = ("charges", "exact", "charges_digest", "usage_records", "usage_digest", "net", "tax", "total")
_OF_DIRECTORY = (
    "A data directory keeps no usage: only statement and charges were compared. What the usage costs now: ratestream "
    "rerate --data DIR USAGE"
)


class UsageFrom(StrEnum):
    """Where the usage is read from."""

    ARCHIVE = "archive"
    TOPIC = "topic"


def prove(
    account: AccountArgument,
    period: Annotated[
        str, typer.Option(metavar="NAME", help="The billing period by its name: 2024-05, 2024-Q2, 2024-05-31.")
    ],
    tenant: TenantOption = "default",
    usage: Annotated[
        UsageFrom, typer.Option("--from", help="Rate the usage of the archive again, or of the topic.")
    ] = UsageFrom.ARCHIVE,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", file_okay=False, help="A data directory, where only charges are compared."),
    ] = None,
    output: Annotated[Output, typer.Option("--format", help="For a reader, or as JSON.")] = Output.TABLE,
) -> None:
    """Recompute the statements of a period, from their charges and from the usage, and say whether they are the same.

    The exit code is 0 where it is proved, 70 where something differs, and 4 where it cannot be known.
    """
    from agents.proving.proof import Verdict

    if output is Output.CSV:
        raise typer.BadParameter("A proof is no table: use --format table or json.")
    proof = (
        _of_directory(data, tenant, account, period) if data is not None else _of_sink(tenant, account, period, usage)
    )
    if output is Output.JSON:
        _write_json(proof)
    else:
        _show(proof)
    codes = {Verdict.PROVED: 0, Verdict.NOT_PROVED: WRONG_MONEY, Verdict.CANNOT: NOT_THERE}
    if codes[proof.verdict]:
        raise typer.Exit(codes[proof.verdict])


def _of_sink(tenant: str, account: str, period: str, usage: UsageFrom) -> "Proof":
    from agents.proving.archive import prove_archived, subject_of
    from sinks.clickhouse import ClickHouse

    with ClickHouse(settings.stored_in(os.environ)) as sink:
        sink.check()
        if usage is UsageFrom.ARCHIVE:
            return prove_archived(sink, subject_of(sink, tenant, account, period))
        return _of_topic(sink, tenant, account, period)


def _of_topic(sink: "ClickHouse", tenant: str, account: str, period: str) -> "Proof":
    from agents.proving.archive import subject_of
    from agents.proving.topic import Feed, prove_published
    from agents.stream.registry import schema_registry
    from ratestream.stream import open_stream

    stream = open_stream()
    feed = Feed(stream.connection, stream.topics.usage, stream.partitions, schema_registry(os.environ))
    return asyncio.run(prove_published(sink, feed, subject_of(sink, tenant, account, period)))


def _of_directory(data: Path, tenant: str, account: str, period: str) -> "Proof":
    """The first half, as the directory's owner answers."""
    from agents.answers import ChargesOf, StatementOf
    from agents.owner import ask
    from agents.proving.proof import prove_charges
    from schemas.charge import Charge
    from schemas.codecs import json_from
    from schemas.statement import Statement

    dsn = settings.clickhouse_dsn(os.environ)
    (found,) = ask(data, StatementOf(tenant, account, period), dsn)
    statement = json_from(found, Statement)
    charges = ask(data, ChargesOf(tenant, account, period, 2**32), dsn)
    return prove_charges(statement, period, [json_from(charge, Charge) for charge in charges])


def _write_json(proof: "Proof") -> None:
    from msgspec.json import decode, encode

    from agents.proving.meaning import meaning
    from schemas.instants import to_iso

    document = {
        "tenant": proof.name[0],
        "account": proof.name[1],
        "period": proof.period,
        "period_start": to_iso(proof.start),
        "period_end": to_iso(proof.end),
        "verdict": proof.verdict.value,
        "meaning": list(meaning(proof)),
        "usage_from": proof.origin,
        "partition": proof.partition,
        "records": proof.records,
        "first_offset": proof.first,
        "last_offset": proof.last,
        "statements": [
            {"statement_id": each.statement_id, "facts": _facts(each), "differences": decode(encode(each.differences))}
            for each in proof.statements
        ],
        "charges": proof.charges,
        "usage": proof.usage,
        "elsewhere": proof.elsewhere,
    }
    sys.stdout.write(encode(document).decode() + "\n")


def _facts(one: "StatementProof") -> dict[str, dict[str, object]]:
    """By what they are from, the facts that are compared, amounts as texts."""
    from msgspec.structs import asdict

    from schemas.fixed_point import AMOUNT_SCALE, to_text

    sides = {"stored": one.stored, "from_charges": one.counted, "from_usage": one.replayed}
    amounts = {"exact", "net", "tax", "total"}
    return {
        side: {
            name: to_text(value, AMOUNT_SCALE) if name in amounts else value
            for name, value in asdict(noun).items()
            if name in _FACTS
        }
        for side, noun in sides.items()
        if noun is not None
    }


def _show(proof: "Proof") -> None:
    from rich.text import Text

    from agents.proving.meaning import meaning
    from ratestream.screen import dates, printable, show

    about = f"{proof.name[1]}, {proof.period} ({dates(proof.start, proof.end, proof.zone)}, {proof.zone})"
    half = " as far as its charges go" if proof.origin == "nothing" else ""
    show(Text(printable(f"Proof of {about}: {proof.verdict}{half}"), style="bold"))
    show()
    for one in proof.statements:
        _show_statement(one)
    _show_usage(proof)
    _show_charges(proof)
    for sentence in meaning(proof):
        show()
        show(printable(sentence))


def _show_statement(one: "StatementProof") -> None:
    from ratestream.screen import cells, grid, printable, show

    facts = _facts(one)
    show(printable(f"Statement {one.statement_id}"))
    table = grid(("", "left"), ("stored", "right"), ("from charges", "right"), ("from usage", "right"))
    for name in _FACTS:
        sides = (facts.get(side, {}).get(name) for side in ("stored", "from_charges", "from_usage"))
        table.add_row(*cells(name.replace("_", " "), *("" if value is None else _short(str(value)) for value in sides)))
    show(table)
    if one.differences:
        _show_some(sorted(one.differences, key=lambda each: each.field not in _FACTS))
    show()


def _show_some(found: "Sequence[Difference]") -> None:
    """As many differences as are read, the others counted."""
    from ratestream.screen import show

    show(_differences(found[:_SHOWN]))
    if len(found) > _SHOWN:
        show(f"... and {len(found) - _SHOWN:,} more; --format json tells all of them.")


def _show_usage(proof: "Proof") -> None:
    from ratestream.screen import show

    if proof.origin == "nothing":
        if not proof.missing:
            show(_OF_DIRECTORY)
        return
    span = "" if proof.first is None else f", offsets {proof.first:,} to {proof.last:,}"
    show(f"{proof.records:,} usage records of the {proof.origin} were rated again: partition {proof.partition}{span}.")
    if proof.elsewhere:
        show(f"Not as stored either: {', '.join(proof.elsewhere)}.")


def _show_charges(proof: "Proof") -> None:
    """The charges that differ by themselves; those that only follow from them are counted."""
    from agents.proving.differences import FOLLOWS
    from ratestream.screen import printable, show

    by_charge = [(charge_id, list(rows)) for charge_id, rows in groupby(proof.charges, lambda one: one.id)]
    own = [(charge_id, rows) for charge_id, rows in by_charge if not all(row.field in FOLLOWS for row in rows)]
    own = sorted(own, key=lambda one: bool(one[1][0].field)) or by_charge[:1]  # missing and extra ones first
    for charge_id, rows in own[:_CHARGES]:
        record = f", {rows[0].record}" if rows[0].record else ""
        show()
        show(printable(f"Charge {charge_id}{record}"))
        _show_some(rows)
    more = len(own[_CHARGES:])
    if more:
        show()
        show(f"... and {more:,} more charges; --format json tells all of them.")
    if len(by_charge) > len(own):
        show()
        show(f"Others differ in used_before or running_total alone, which follows: {len(by_charge) - len(own):,}.")


def _differences(found: "Sequence[Difference]") -> "Table":
    from ratestream.screen import cells, grid

    table = grid(("differs", "left"), ("stored", "left"), ("recomputed", "left"), ("from", "left"))
    for one in found:
        sides = ("not there" if value is None else _short(value) for value in (one.stored, one.recomputed))
        table.add_row(*cells(one.field or "all of it", *sides, one.by))
    return table


def _short(text: str) -> str:
    """A digest or an id by its first digits."""
    return f"{text[:_DIGITS]}…" if len(text) > 2 * _DIGITS - 1 and " " not in text else text
