"""Reading: one foreign tariff being read: what it comes to, notes for people, and what cannot be expressed.

JSON numbers are Decimals of their own digits, never floats.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from schemas.fixed_point import PRICE_SCALE
from schemas.node import cut
from schemas.problem import Finding, Path

Json = dict[str, Any]
"""A document, or a part of one."""

NAME_LENGTH = 64
_DECIMALS = 40
FALLBACK_START = date(2000, 1, 1)
"""First date of a tariff that names none, and of which nobody else said one."""


class Given(NamedTuple):
    """What is said beside the foreign file, because it does not say it."""

    currency: str | None = None
    effective_from: date | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """One foreign tariff: its document, or None and the findings that keep it from having one."""

    name: str
    document: Json | None
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


class Inexpressible(Exception):  # noqa: N818 - it ends the reading of a part; the error is the finding that it carries
    """Something that the foreign tariff says and ours cannot."""

    def __init__(self, what: str, remedy: str, *at: str | int) -> None:
        self.finding = Finding(what, remedy, at)
        super().__init__(f"{what} - {remedy}")


@dataclass(slots=True)
class Reading:
    """The notes and findings of one foreign tariff while it is read."""

    name: str
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Something that people should know; each is told once."""
        if text not in self.notes:
            self.notes.append(text)

    def refuse(self, what: str, remedy: str, *at: str | int) -> None:
        """Something that keeps the tariff from being imported."""
        self.findings.append(Finding(what, remedy, at))

    @contextmanager
    def part(self) -> Iterator[None]:
        """Ends at the first thing in it that cannot be expressed; the other parts are still read."""
        try:
            yield
        except Inexpressible as error:
            self.findings.append(error.finding)

    def price(self, amount: Decimal) -> str:
        """The amount as a document writes it; the noise of binary fractions is rounded away, and that is told."""
        rounded = round(amount, PRICE_SCALE)
        if rounded != amount:
            self.note(f"{cut(str(amount))} has more than {PRICE_SCALE} decimals and became {digits(rounded)}")
        return digits(rounded)

    def imported(self, document: Json) -> Imported:
        """What came of it."""
        return Imported(self.name, None if self.findings else document, tuple(self.notes), tuple(self.findings))


def refused(name: str, what: str, remedy: str, at: Path = ()) -> Imported:
    """A tariff, or a whole file, that could not even be begun."""
    return Imported(name, None, (), (Finding(what, remedy, at),))


def foreign_json(content: bytes) -> Any:  # noqa: ANN401 - whatever somebody else wrote
    """The value of JSON, also where it is JSON within a JSON string. Raises Inexpressible where it is none."""
    try:
        value = _parsed(content)
        value = _parsed(value) if isinstance(value, str) else value
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError) as error:
        raise Inexpressible("not valid JSON", f"look there: {cut(str(error))}") from None
    return value


def _parsed(text: bytes | str) -> Any:  # noqa: ANN401
    return json.loads(text, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_no_key_twice)


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> Json:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)} stands twice in one object")
    return value


def foreign_list(value: Any, *inside: str) -> list[Any]:  # noqa: ANN401 - whatever somebody else wrote
    """The objects of a list, of a mapping that has the list under one of the keys, or of one object alone."""
    for key in inside:
        if isinstance(value, dict) and isinstance(value.get(key), list | dict):
            value = value[key]
    return value if isinstance(value, list) else [value]


def number(value: object, *at: str | int, below: int = 15) -> Decimal:
    """The number, of at most 40 decimals and below 10 to the power of `below`. Raises Inexpressible."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]{1,30}(\.[0-9]{1,30})?", value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Inexpressible(f"not a number: {cut(str(value))}", "write digits and a point", *at)
    found = Decimal(value)
    if found and (found.adjusted() >= below or int(found.as_tuple().exponent) < -_DECIMALS):
        raise Inexpressible(f"out of range: {cut(str(value))}", "write an ordinary number", *at)
    return found


def whole(value: object, *at: str | int) -> int:
    """The whole number. Raises Inexpressible."""
    found = number(value, *at)
    if found != int(found):
        raise Inexpressible(f"{found} is no whole number", "write a whole number", *at)
    return int(found)


def digits(amount: Decimal) -> str:
    """All digits of a number as a document writes it.

    >>> digits(Decimal("10.50")), digits(Decimal("1E+2")), digits(Decimal("-0.0"))
    ('10.5', '100', '0')
    """
    text = f"{amount:f}"
    plain = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if plain == "-0" else plain


def mapping(value: object, *at: str | int) -> Mapping[str, Any]:
    """The JSON object. Raises Inexpressible."""
    if not isinstance(value, dict):
        raise Inexpressible(f"not a JSON object: {cut(str(value))}", "write {...}", *at)
    return value


def sequence(value: object, *at: str | int) -> list[Any]:
    """The JSON array. Raises Inexpressible."""
    if not isinstance(value, list):
        raise Inexpressible(f"not a JSON array: {cut(str(value))}", "write [...]", *at)
    return value


def slug(*words: str) -> str:
    """The words as a tariff's name; leading words are left out where all would be too long.

    >>> slug("Public Service Co", "Residential (Schedule RE-TOU)")
    'public-service-co-residential-schedule-re-tou'
    """
    plain = unicodedata.normalize("NFKD", " ".join(words)).encode("ascii", "ignore").decode()
    name = "-".join(re.findall(r"[a-z0-9]+", plain.lower()))
    if len(name) <= NAME_LENGTH:
        return name or "imported"
    return slug(*words[1:]) if len(words) > 1 else name[:NAME_LENGTH].rstrip("-")


def one_line(text: object) -> str:
    """Text of people on one line, as short as a message."""
    return " ".join(str(text).split())


def repeated(found: Iterable[Imported]) -> list[Imported]:
    """The same without copies, each tariff refused whose name and first date another one before it has."""
    seen: dict[tuple[str, date], Imported] = {}
    checked = []
    for one in found:
        document = one.document
        first = one if document is None else seen.setdefault((document["tariff"], document["effective_from"]), one)
        if first is one:
            checked.append(one)
        elif first.document != document:
            what = f"has the tariff name and the first date of {first.name}"
            checked.append(refused(one.name, what, "import only one of them, or rename one in the file"))
    return checked
