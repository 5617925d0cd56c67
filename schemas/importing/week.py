"""Week: which of several bindings holds at each moment of a week, and the bands that say so.

A binding holds on some days of the week from a time until midnight. The greatest weight wins, and of equal ones the
one that began last that day; where none holds, what is behind it does.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby, pairwise
from typing import NamedTuple

from schemas.field import DAY_MINUTES, clock
from schemas.importing.reading import Inexpressible, Json

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_GROUPS = {DAYS[:5]: ["weekdays"], DAYS[5:]: ["weekends"]}


class Bound(NamedTuple):
    """A binding: what it prices by, from which minute of which days on."""

    rating: str
    days: frozenset[int]
    start: int
    weight: Decimal


class Span(NamedTuple):
    """Minutes of a day with one rating; None where there is none."""

    start: int
    end: int
    rating: str | None


Week = tuple[tuple[Span, ...], ...]
"""The spans of each day from Monday on; they cover the day."""
NOTHING: Week = ((Span(0, DAY_MINUTES, None),),) * 7


def week_of(bounds: Sequence[Bound], behind: Week) -> Week:
    """The week of these bindings, and where none holds, of what is behind them. Raises Inexpressible."""
    return tuple(_day(day, bounds, behind[day]) for day in range(7))


def gap(week: Week) -> str:
    """The first moment without a rating; "" where there is none."""
    gaps = (f"{DAYS[day]} {clock(span.start)}" for day, spans in enumerate(week) for span in spans if not span.rating)
    return next(gaps, "")


def claims(week: Week) -> list[tuple[str, Json]]:
    """For each band its rating and its days and hours; one has neither and takes the rest."""
    groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for day, spans in enumerate(week):
        ranges: dict[str, list[str]] = {}
        for span in spans:
            ranges.setdefault(str(span.rating), []).append(f"{clock(span.start)}-{clock(span.end)}")
        for rating, hours in ranges.items():
            groups.setdefault((rating, tuple(hours)), []).append(day)
    ratings = [rating for rating, _ in groups]
    rest = max(ratings, key=ratings.count)
    found = [(rating, _when(days, list(hours))) for (rating, hours), days in groups.items() if rating != rest]
    return [*found, (rest, {})]


def _when(days: list[int], hours: list[str]) -> Json:
    names = tuple(DAYS[day] for day in days)
    when: Json = {} if len(days) == len(DAYS) else {"days": _GROUPS.get(names, list(names))}
    return when if hours == [f"00:00-{clock(DAY_MINUTES)}"] else {**when, "hours": hours}


def _day(day: int, bounds: Sequence[Bound], behind: Sequence[Span]) -> tuple[Span, ...]:
    borders = {
        0,
        DAY_MINUTES,
        *(span.start for span in behind),
        *(bound.start for bound in bounds if day in bound.days),
    }
    spans = [Span(start, end, _rating(day, start, bounds, behind)) for start, end in pairwise(sorted(borders))]
    runs = (list(run) for _, run in groupby(spans, key=lambda span: span.rating))
    return tuple(Span(run[0].start, run[-1].end, run[0].rating) for run in runs)


def _rating(day: int, minute: int, bounds: Sequence[Bound], behind: Sequence[Span]) -> str | None:
    holding = [bound for bound in bounds if day in bound.days and bound.start <= minute]
    if not holding:
        return next(span.rating for span in behind if span.start <= minute < span.end)
    best = max((bound.weight, bound.start) for bound in holding)
    ratings = sorted({bound.rating for bound in holding if (bound.weight, bound.start) == best})
    if len(ratings) > 1:
        what = f"{' and '.join(ratings)} both hold on {DAYS[day]} {clock(minute)} with weight {best[0]}"
        raise Inexpressible(what, "give one of them a greater weight", "RatingPlans.csv")
    return ratings[0]
