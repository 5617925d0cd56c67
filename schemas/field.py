"""Fields: what a single value of a tariff or account document may be.

Numbers are Decimal or whole, written with or without quotes and never a float; names and versions are text and
never a number, because 1.10 and 1.1 are two versions and one number. Each refusal says what to write instead.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Literal, NamedTuple, Self, TypeGuard
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from schemas.currency import MINOR_DIGITS
from schemas.fixed_point import PRICE_SCALE, QUANTITY_SCALE, to_fixed, to_text
from schemas.problem import Finding, nearest, refusal

MAGNITUDE = 15
"""No price, amount or quantity of a document reaches 10^15."""
FIRST_YEAR, LAST_YEAR = 1900, 2999
DAY_MINUTES = 1440

_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_NUMBER_PATTERN = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?$"
_NUMBER_LENGTH = 80
_LEAP_YEAR = 2000
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")
_CLOCK_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"


class Noun(BaseModel):
    """What all parts of a document have in common: they do not change, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _refuse(what: str, remedy: str) -> Exception:
    return refusal([Finding(what, remedy)])


def _number(value: object) -> Decimal:
    """The value as a Decimal. A float is refused: its digits are not the ones that somebody wrote."""
    if isinstance(value, float):
        raise _refuse("a float is not exact", 'give a Decimal, or text: "0.20"')
    if not _is_number(value):
        raise _refuse("must be a number", "write digits and a point, without units or thousands separators: 0.20")
    return Decimal(value)


def _is_number(value: object) -> TypeGuard[Decimal | int | str]:
    if isinstance(value, Decimal):
        return value.is_finite()
    if isinstance(value, str):
        return len(value) <= _NUMBER_LENGTH and _NUMBER.fullmatch(value) is not None
    return isinstance(value, int) and not isinstance(value, bool)


def _decimal(
    scale: int, low: str | None = None, high: str | None = None, *, low_open: bool = False
) -> Callable[[object], Decimal]:
    """A validator for numbers of at most `scale` decimals in `[low, high]`, or `(low, high]`."""

    def validate(value: object) -> Decimal:
        number = _number(value)
        if number.adjusted() >= MAGNITUDE and number:
            raise _refuse(f"out of range: 10^{MAGNITUDE} or more", "write a smaller number")
        exponent = int(number.as_tuple().exponent)
        if exponent < -_NUMBER_LENGTH or number != round(number, scale):
            raise _refuse(f"more than {scale} decimals", f"round it to {scale} decimals")
        if low is not None and (number < Decimal(low) or (low_open and number == Decimal(low))):
            raise _refuse(f"must be {'above' if low_open else 'at least'} {low}", "write a larger number")
        if high is not None and number > Decimal(high):
            raise _refuse(f"must be at most {high}", "write a smaller number")
        return number

    return validate


def number_text(number: Decimal) -> str:
    """The one text of a number: no exponent, no superfluous zeros.

    >>> number_text(Decimal("0.500")), number_text(Decimal("1E+3")), number_text(Decimal("-0.0"))
    ('0.5', '1000', '0')
    """
    return to_text(to_fixed(number, PRICE_SCALE), PRICE_SCALE)


_AS_NUMBER = WithJsonSchema({"type": ["string", "number"], "pattern": _NUMBER_PATTERN})
_AS_TEXT = PlainSerializer(number_text, return_type=str)

Money = Annotated[Decimal, PlainValidator(_decimal(PRICE_SCALE)), _AS_TEXT, _AS_NUMBER]
"""A unit price, flat fee or amount in the tariff's currency; negative pays the customer."""
LeastMoney = Annotated[Decimal, PlainValidator(_decimal(PRICE_SCALE, "0")), _AS_TEXT, _AS_NUMBER]
Quantity = Annotated[Decimal, PlainValidator(_decimal(QUANTITY_SCALE, "0")), _AS_TEXT, _AS_NUMBER]
"""A quantity in the meter's unit, zero or more."""
PositiveQuantity = Annotated[
    Decimal, PlainValidator(_decimal(QUANTITY_SCALE, "0", low_open=True)), _AS_TEXT, _AS_NUMBER
]
Percent = Annotated[Decimal, PlainValidator(_decimal(QUANTITY_SCALE, "0", "100")), _AS_TEXT, _AS_NUMBER]
AnyPercent = Annotated[Decimal, PlainValidator(_decimal(PRICE_SCALE - 2)), _AS_TEXT, _AS_NUMBER]
"""A percentage that is a price: a hundredth of it is a unit price, so it has two decimals less than one."""


def whole(low: int, high: int) -> tuple[PlainValidator, WithJsonSchema]:
    """The metadata of an int field in `[low, high]`, for `Annotated[int, *whole(1, 31)]`."""

    def validate(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]{1,18}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _refuse("must be a whole number", f"write a number from {low} to {high}")
        if not low <= value <= high:
            raise _refuse(f"must be from {low} to {high}", f"write a number from {low} to {high}")
        return value

    pattern = {"type": ["integer", "string"], "minimum": low, "maximum": high, "pattern": "^[-+]?[0-9]+$"}
    return PlainValidator(validate), WithJsonSchema(pattern)


Seconds = Annotated[int, *whole(0, 366 * 86_400)]


def _printable(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise _refuse("control characters, or blanks at an end", "write plain text on one line")
    return value


def _matching(pattern: str, remedy: str) -> AfterValidator:
    def validate(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise _refuse("not a valid name", remedy)
        return value

    return AfterValidator(validate)


def _slug(remedy: str, pattern: str, longest: int) -> tuple[AfterValidator, object]:
    return _matching(rf"(?=.{{1,{longest}}}$){pattern}", remedy), Field(json_schema_extra={"pattern": f"^{pattern}$"})


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
TariffName = Annotated[
    str, *_slug("use a to z, 0 to 9 and -, a letter or digit first, at most 64", "[a-z0-9][a-z0-9-]*", 64)
]
Version = Annotated[
    str, *_slug("use letters, digits and . _ -, a letter or digit first, at most 64", "[A-Za-z0-9][A-Za-z0-9._-]*", 64)
]


def _known(known: Callable[[], Iterable[str]], what: str) -> AfterValidator:
    def validate(value: str) -> str:
        names = known()
        if value not in names:
            raise _refuse(what, nearest(value, names))
        return value

    return AfterValidator(validate)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


Currency = Annotated[str, _known(lambda: MINOR_DIGITS, "not a currency code of ISO 4217")]
Zone = Annotated[str, _known(_zones, "not a time zone of the IANA database")]


def _day(value: object) -> date:
    """The date of an unquoted or quoted ISO date."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            raise _refuse("no such date", "write a date of the calendar as YYYY-MM-DD") from None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _refuse("must be a date", "write it as YYYY-MM-DD: 2012-02-01")
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise _refuse("out of range", f"write a date from {FIRST_YEAR} to {LAST_YEAR}")
    return value


_ISO_DATE = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
Day = Annotated[date, PlainValidator(_day), PlainSerializer(date.isoformat, return_type=str), WithJsonSchema(_ISO_DATE)]


CALENDAR: Literal["calendar"] = "calendar"


def _anchor(value: object) -> date | str:
    if value == CALENDAR:
        return CALENDAR
    if isinstance(value, date | str) and str(value)[:1].isdigit():
        return _day(value)
    raise _refuse("neither `calendar` nor a date", "write calendar, or a date as YYYY-MM-DD: 2024-01-31")


Anchor = Annotated[
    date | Literal["calendar"],
    PlainValidator(_anchor),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^(calendar|[0-9]{4}-[0-9]{2}-[0-9]{2})$"}),
]
"""Where something that recurs begins: with the calendar's own units, or on a date."""


class MonthDay(NamedTuple):
    """A day of every year; February 29 of leap years only."""

    month: int
    day: int

    def __str__(self) -> str:
        return f"{self.month:02d}-{self.day:02d}"

    @classmethod
    def parse(cls, value: object) -> Self:
        """The day of text as `MM-DD`.

        >>> MonthDay.parse("02-29")
        MonthDay(month=2, day=29)
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str) and re.fullmatch(r"[0-9]{2}-[0-9]{2}", value):
            try:
                day = date.fromisoformat(f"{_LEAP_YEAR}-{value}")
            except ValueError:
                raise _refuse("no such day", "write a day of the calendar as MM-DD") from None
            return cls(day.month, day.day)
        raise _refuse("must be a day of the year", 'write it as MM-DD in quotes: "05-01"')


_MONTH_DAY_PATTERN = "[0-9]{2}-[0-9]{2}"
EveryYear = Annotated[
    MonthDay,
    PlainValidator(MonthDay.parse),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_MONTH_DAY_PATTERN}$"}),
]


def _holiday(value: object) -> date | MonthDay:
    if isinstance(value, MonthDay) or (isinstance(value, str) and re.fullmatch(_MONTH_DAY_PATTERN, value)):
        return MonthDay.parse(value)
    if isinstance(value, date | str):
        return _day(value)
    raise _refuse("must be a date", 'write it as YYYY-MM-DD, or as "MM-DD" for every year')


Holiday = Annotated[
    date | MonthDay,
    PlainValidator(_holiday),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^([0-9]{{4}}-)?{_MONTH_DAY_PATTERN}$"}),
]


class Hours(NamedTuple):
    """A range `[start, end)` of local wall time in minutes after midnight; `end` is at most 1440."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{clock(self.start)}-{clock(self.end)}"

    @classmethod
    def parse(cls, value: object) -> Self:
        """The range of text as `HH:MM-HH:MM`.

        >>> Hours.parse("12:00-24:00")
        Hours(start=720, end=1440)
        """
        if isinstance(value, cls):
            return value
        match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise _refuse("must be a range of hours", 'write it as "HH:MM-HH:MM", from "00:00" to "24:00"')
        start_hour, start_minute, end_hour, end_minute = map(int, match.groups())
        hours = cls(start_hour * 60 + start_minute, end_hour * 60 + end_minute)
        if hours.end > DAY_MINUTES:
            raise _refuse("ends after 24:00", 'write "24:00" for the end of the day')
        if hours.start >= hours.end:
            raise _refuse(
                "does not start before it ends", 'write hours over midnight as two: "22:00-24:00", "00:00-06:00"'
            )
        return hours


def clock(minute: int) -> str:
    """The wall time: `clock(750)` is 12:30."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


ClockRange = Annotated[
    Hours,
    PlainValidator(Hours.parse),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _CLOCK_PATTERN}),
]
