"""Screen: how amounts, quantities, times and other people's texts look to a reader.

What does not go to a terminal is 80 columns wide, and so is the least that tables are made for.
"""

import sys
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from rich.box import Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.currency import minor_digits
from schemas.fixed_point import AMOUNT_SCALE, PRICE_SCALE, QUANTITY_SCALE, to_text
from schemas.instants import from_us
from schemas.zone import zone_named

WIDTH = 80

UNDER_HEAD = Box("    \n    \n ── \n    \n ── \n ── \n    \n    \n")
"""A line under the head of a table and between its sections; nothing else."""

_MICROSECOND = timedelta(microseconds=1)


def show(what: Table | Text | str = "", style: str = "") -> None:
    """Print it on standard output, without spaces at the ends of lines."""
    screen = console()
    with screen.capture() as captured:
        screen.print(what, style=style)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def console() -> Console:
    """Standard output, for measuring; nothing in a text is taken for markup."""
    screen = Console(markup=False, emoji=False, highlight=False)
    screen.width = max(screen.width, WIDTH)
    return screen


def grid(*columns: tuple[str, Literal["left", "right"]], head: bool = True) -> Table:
    """A table that breaks texts where it must, and numbers (the columns to the right) never."""
    table = Table(show_header=head, show_edge=False, pad_edge=False)
    table.box, table.padding = (UNDER_HEAD, (0, 1, 0, 0)) if head else (None, (0, 2, 0, 0))
    for name, side in columns:
        table.add_column(Text(name), justify=side, no_wrap=side == "right", overflow="fold")
    return table


def printable(text: str) -> str:
    r"""The text with everything that could move a cursor, or hide something, written out.

    >>> printable("a\x1b[2Jb\n")
    'a\\x1b[2Jb\\n'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def cells(*texts: str) -> list[Text]:
    """A row of a table."""
    return [Text(printable(text)) for text in texts]


def money(amount: int, currency: str) -> str:
    """An amount with at least its currency's decimals, and all that it has.

    >>> money(10**18 // 8, "EUR"), money(5 * 10**18, "EUR")
    ('0.125', '5.00')
    """
    return to_text(amount, AMOUNT_SCALE, minor_digits(currency))


def price(unit_price: int) -> str:
    """A unit price, exact."""
    return to_text(unit_price, PRICE_SCALE)


def decimal(value: Decimal) -> str:
    """All digits of a decimal, with no exponent and no needless zeros.

    >>> decimal(Decimal("1E+3")), decimal(Decimal("0.500"))
    ('1000', '0.5')
    """
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(fixed: int) -> str:
    """A quantity, exact."""
    return to_text(fixed, QUANTITY_SCALE)


def dates(start: int, end: int, zone: str) -> str:
    """The local dates of `[start, end)`, both included.

    >>> dates(0, 86_400_000_000, "UTC")
    '1970-01-01 to 1970-01-01'
    """
    local = zone_named(zone)
    return f"{from_us(start).astimezone(local).date()} to {(from_us(end) - _MICROSECOND).astimezone(local).date()}"


def period_name(statement_id: str) -> str:
    """The name of the billing period that a statement is of.

    >>> period_name("default/home/2024-Q2/1")
    '2024-Q2'
    """
    return statement_id.rsplit("/", 2)[-2]


def moment(us: int, zone: str) -> str:
    """A local date and time, with seconds where there are any.

    >>> moment(0, "UTC"), moment(1_500_000, "UTC")
    ('1970-01-01 00:00', '1970-01-01 00:00:01.500000')
    """
    local = from_us(us).astimezone(zone_named(zone)).replace(tzinfo=None)
    return local.isoformat(" ", "minutes" if us % 60_000_000 == 0 else "auto")
