"""Charges: the charges of an account, for a reader or as CSV."""

import json
from collections.abc import Sequence

from ratestream.rows import write_csv
from ratestream.screen import cells, grid, money, quantity, show
from schemas.charge import Charge
from schemas.codecs import json_bytes
from schemas.instants import from_us

SHOWN_DIGITS = 12
"""Digits of a charge id in a table: `explain` takes a beginning as well as the whole."""


def print_charges(charges: Sequence[Charge]) -> None:
    """A line for each charge, its amount exact, times in UTC."""
    table = grid(
        ("charge", "left"), ("from (UTC)", "left"), ("for", "left"), ("quantity", "right"), ("amount", "right")
    )
    for charge in charges:
        table.add_row(
            *cells(
                short_id(charge.charge_id),
                f"{from_us(charge.usage_start):%Y-%m-%d %H:%M}",
                _purpose(charge),
                quantity(charge.quantity) if charge.usage_id else "",
                money(charge.amount, charge.currency),
            )
        )
    show(table)


def write_charges_csv(charges: Sequence[Charge]) -> None:
    """A line for each charge, its parts as JSON in one column."""
    write_csv(Charge.__struct_fields__, (json.loads(json_bytes(charge)) for charge in charges))


def short_id(charge_id: str) -> str:
    """The beginning of an id, and which charge of its record it is."""
    digits, dash, number = charge_id.partition("-")
    return charge_id if dash else digits[:SHOWN_DIGITS] + number


def _purpose(charge: Charge) -> str:
    bands = ", ".join(dict.fromkeys(part.band for part in charge.parts if part.band))
    names = ", ".join(dict.fromkeys(part.name for part in charge.parts if part.name))
    kind = "" if charge.kind == "usage" else f" ({charge.kind.replace('_', ' ')})"
    band = f" {bands}" if bands and "," not in bands else ""
    return f"{charge.meter}{band}{f': {names}' if names else ''}{kind}"
