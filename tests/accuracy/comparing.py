"""Comparing: an expected value, as it was printed, and the answer that was found.

A plain answer has to be equal. `Printed` is an answer that no statement rounds: it is compared at the decimals that the
source prints, but never at fewer than two. `Within` has a tolerance. `Each` are several readings of one answer, all of
which have to be right.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from itertools import zip_longest
from typing import Any, NamedTuple

from tests.accuracy.result import Answers

_FEWEST_DECIMALS = 2
_DIGITS = 60


@dataclass(frozen=True)
class Printed:
    """An answer with more decimals than a source prints."""

    value: Decimal


@dataclass(frozen=True)
class Within:
    """An answer that is right as far as a tolerance goes."""

    value: Decimal
    tolerance: Decimal


@dataclass(frozen=True)
class Each:
    """Readings of the same answer in several places."""

    answers: tuple[Any, ...]


class Field(NamedTuple):
    """One expected value and what was found: one assertion."""

    name: str
    expected: str
    found: str
    right: bool


def fields(expected: object, found: Answers, name: str = "") -> Iterator[Field]:
    """Every expected value with its answer; an answer that nobody expects is wrong."""
    if isinstance(expected, dict):
        answers = found if isinstance(found, dict) else {}
        for key in [*expected, *(key for key in answers if key not in expected)]:
            yield from fields(expected.get(key, _NOTHING), answers.get(key, _NOTHING), f"{name}.{key}".strip("."))
    elif isinstance(expected, list):
        pairs = zip_longest(expected, found if isinstance(found, list) else [], fillvalue=_NOTHING)
        for index, (one, other) in enumerate(pairs):
            yield from fields(one, other, f"{name}[{index}]")
    elif isinstance(found, Each):
        for answer in found.answers:
            yield from fields(expected, answer, name)
    else:
        yield Field(name, _shown(expected), _shown(found), _agree(expected, found))


def told(found: Answers) -> Any:  # noqa: ANN401 - in the form of the answers
    """The answers as plain text, to tell one result from another."""
    if isinstance(found, dict):
        return {name: told(answer) for name, answer in found.items()}
    if isinstance(found, list):
        return [told(answer) for answer in found]
    if isinstance(found, Each):
        return [told(answer) for answer in found.answers]
    return _shown(found)


class _Nothing:
    def __str__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


def _agree(expected: object, found: object) -> bool:
    if isinstance(found, Printed | Within | Decimal):
        number = _number(expected)
        return number is not None and _close(number, found)
    return found is not _NOTHING and expected == found


def _close(expected: Decimal, found: Printed | Within | Decimal) -> bool:
    match found:
        case Within(value, tolerance):
            return abs(expected - value) <= tolerance
        case Printed(value):
            return _rounded(value, _decimals(expected)) == expected
        case _:
            return found == expected


def _number(expected: object) -> Decimal | None:
    if isinstance(expected, bool) or not isinstance(expected, str | int):
        return None
    try:
        return Decimal(expected)
    except InvalidOperation:
        return None


def _decimals(expected: Decimal) -> int:
    return max(_FEWEST_DECIMALS, -int(expected.as_tuple().exponent))


def _rounded(value: Decimal, decimals: int) -> Decimal:
    with localcontext() as context:
        context.prec = _DIGITS
        return value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def _shown(value: object) -> str:
    match value:
        case Printed(number) | Within(number, _):
            return f"{number.normalize():f}"
        case Decimal():
            return f"{value.normalize():f}"
        case _:
            return str(value)
