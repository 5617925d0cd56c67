"""Bands: which price holds when, by the clock on the wall."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.bands import BandTimeline
from pipeline.calendar import midnight
from schemas.instants import SECOND_US, from_us
from tests.small_books import Json, per_unit, tariff, us

HOUR_US = 3600 * SECOND_US
PRICE = per_unit("1")
DAY = {"name": "day", "hours": ["08:00-20:00"], "price": PRICE}
REST = {"name": "rest", "price": PRICE}
SUMMER = {"summer": {"from": "05-01", "to": "10-31"}, "winter": {"from": "11-01", "to": "04-30"}}


class Clock:
    """The bands of a meter in one zone from one local date until another."""

    def __init__(self, bands: Sequence[Json], zone: str, start: str, end: str, **rest: Any) -> None:  # noqa: ANN401
        document = tariff(bands=list(bands), effective_from="1950-01-01", **rest)
        self.bands = document.meters["power"].bands or ()
        self.zone = ZoneInfo(zone)
        begin, until = (midnight(date.fromisoformat(day), self.zone) for day in (start, end))
        self.timeline = BandTimeline(document, self.bands, self.zone, begin, until)

    def at(self, local: str) -> str:
        """The band at a wall time, or at an instant with an offset."""
        instant = us(local, self.zone.key)
        found, borders = self.timeline.cut(instant, instant)
        assert (len(found), borders) == (1, [])
        return self.bands[found[0]].name

    def cut(self, start: str, end: str) -> tuple[list[str], list[str]]:
        """Bands and the borders between them as wall times."""
        found, borders = self.timeline.cut(us(start, self.zone.key), us(end, self.zone.key))
        walls = [datetime.strftime(from_us(border).astimezone(self.zone), "%d %H:%M") for border in borders]
        return [self.bands[index].name for index in found], walls

    def hours(self, start: str, end: str) -> dict[str, float]:
        """The length of each band between two wall times."""
        first, last = us(start, self.zone.key), us(end, self.zone.key)
        found, borders = self.timeline.cut(first, last)
        lengths: dict[str, float] = {}
        for index, low, high in zip(found, [first, *borders], [*borders, last], strict=True):
            name = self.bands[index].name
            lengths[name] = lengths.get(name, 0) + (high - low) / HOUR_US
        return lengths


@pytest.mark.parametrize(
    ("local", "band"),
    [
        ("2024-01-10T07:59:59.999999", "rest"),
        ("2024-01-10T08:00", "day"),
        ("2024-01-10T19:59:59.999999", "day"),
        ("2024-01-10T20:00", "rest"),
        ("2024-01-01", "rest"),
    ],
)
def test_a_band_holds_from_its_first_minute_until_its_end(local: str, band: str) -> None:
    assert Clock([DAY, REST], "Asia/Tokyo", "2024-01-01", "2024-02-01").at(local) == band


def test_a_range_is_cut_at_every_border_inside_it_and_at_none_that_it_touches() -> None:
    clock = Clock([DAY, REST], "UTC", "2024-01-01", "2024-02-01")
    assert clock.cut("2024-01-10T08:00", "2024-01-10T20:00") == (["day"], [])
    assert clock.cut("2024-01-10T07:00", "2024-01-11T09:00") == (
        ["rest", "day", "rest", "day"],
        ["10 08:00", "10 20:00", "11 08:00"],
    )


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("America/Toronto", ("2012-03-11", "2012-03-12"), {"day": 12, "rest": 11}),
        ("America/Toronto", ("2012-11-04", "2012-11-05"), {"day": 12, "rest": 13}),
        ("Europe/London", ("2013-03-31", "2013-04-01"), {"day": 12, "rest": 11}),
        ("Europe/London", ("2013-10-27", "2013-10-28"), {"day": 12, "rest": 13}),
        ("Australia/Lord_Howe", ("2019-04-07", "2019-04-08"), {"day": 12, "rest": 12.5}),
        ("Australia/Lord_Howe", ("2019-10-06", "2019-10-07"), {"day": 12, "rest": 11.5}),
        ("America/Sao_Paulo", ("2017-10-15T01:00", "2017-10-16"), {"day": 12, "rest": 11}),
        ("America/Havana", ("2019-11-03", "2019-11-04"), {"day": 12, "rest": 13}),
    ],
)
def test_hours_on_the_day_that_clocks_change(zone: str, day: tuple[str, str], expected: dict[str, float]) -> None:
    clock = Clock([DAY, REST], zone, day[0][:7] + "-01", day[1][:4] + "-12-31")
    assert clock.hours(*day) == expected


@pytest.mark.parametrize(
    ("zone", "day", "night_hours"),
    [
        ("America/Toronto", ("2012-03-11", "2012-03-12"), 2),  # 02:00 to 03:00 does not exist
        ("America/Toronto", ("2012-11-04", "2012-11-05"), 4),  # 01:00 to 02:00 occurs twice
        ("Australia/Lord_Howe", ("2019-04-07", "2019-04-08"), 3.5),  # half an hour occurs twice
        ("Australia/Lord_Howe", ("2019-10-06", "2019-10-07"), 2.5),
    ],
)
def test_a_band_over_the_change_has_the_hours_that_occur(zone: str, day: tuple[str, str], night_hours: float) -> None:
    night = {"name": "night", "hours": ["00:00-03:00"], "price": PRICE}
    clock = Clock([night, REST], zone, day[0], day[1])
    assert clock.hours(*day)["night"] == night_hours


def test_both_passes_of_the_hour_that_occurs_twice_are_in_its_band() -> None:
    clock = Clock(
        [{"name": "one", "hours": ["01:00-02:00"], "price": PRICE}, REST], "Europe/London", "2013-10-01", "2013-11-01"
    )
    assert clock.at("2013-10-27T01:30+01:00") == clock.at("2013-10-27T01:30+00:00") == "one"
    assert clock.at("2013-10-27T02:00+00:00") == "rest"
    assert clock.hours("2013-10-27", "2013-10-28") == {"one": 2, "rest": 23}


def test_a_day_that_shows_an_earlier_date_again() -> None:
    """Newfoundland went back from 00:01 to 23:01 of the day before until 2011."""
    clock = Clock([DAY, REST], "America/St_Johns", "2009-10-01", "2009-12-01")
    assert clock.at("2009-11-01T00:00:30-02:30") == "rest"
    assert clock.at("2009-10-31T23:30:00-03:30") == "rest"
    assert clock.at("2009-11-01T12:00-03:30") == "day"
    assert clock.hours("2009-11-01T02:30+00:00", "2009-11-02T03:30+00:00") == {"rest": 13, "day": 12}


def test_a_date_that_a_zone_has_left_out() -> None:
    """Samoa went over the date line and had no 30 December 2011."""
    friday = {"name": "friday", "days": ["fri"], "price": PRICE}
    clock = Clock([friday, REST], "Pacific/Apia", "2011-12-01", "2012-01-01")
    assert clock.at("2011-12-29T23:59:59.5-10:00") == "rest"
    assert clock.at("2011-12-31T00:00+14:00") == "rest"


WEEK = [
    {"name": "holiday", "days": ["holidays"], "price": PRICE},
    {"name": "weekend", "days": ["weekends"], "hours": ["00:00-12:00"], "price": PRICE},
    {"name": "friday-night", "days": ["fri"], "hours": ["22:00-24:00"], "price": PRICE},
    REST,
]


@pytest.mark.parametrize(
    ("local", "band"),
    [
        ("2024-12-25T10:00", "holiday"),  # every year
        ("2023-12-25T10:00", "holiday"),
        ("2024-07-05T23:00", "holiday"),  # a Friday that is a holiday is no longer a Friday
        ("2024-07-12T23:00", "friday-night"),
        ("2023-07-05T23:00", "rest"),  # a dated holiday is of one year
        ("2024-07-06T11:59", "weekend"),
        ("2024-07-06T12:00", "rest"),
        ("2024-07-08T11:59", "rest"),
    ],
)
def test_weekdays_weekends_and_holidays(local: str, band: str) -> None:
    clock = Clock(WEEK, "America/New_York", "2023-01-01", "2025-01-01", holidays=["12-25", "2024-07-05"])
    assert clock.at(local) == band


def test_seasons_change_at_local_midnight_and_have_days_of_their_own() -> None:
    bands = [
        {"name": "summer-day", "season": "summer", "hours": ["08:00-20:00"], "price": PRICE},
        {"name": "summer-rest", "season": "summer", "price": PRICE},
        {"name": "winter", "season": "winter", "price": PRICE},
    ]
    clock = Clock(bands, "America/Los_Angeles", "2013-04-15", "2013-05-15", seasons=SUMMER)
    assert clock.at("2013-04-30T23:59:59") == "winter"
    assert clock.at("2013-05-01") == "summer-rest"
    assert [clock.timeline.days(season) for season in ("winter", "summer", None)] == [16, 14, 30]


def test_the_leap_day_is_in_its_season() -> None:
    seasons = {"a": {"from": "02-29", "to": "02-29"}, "b": {"from": "03-01", "to": "02-28"}}
    bands = [{"name": name, "season": name, "price": PRICE} for name in ("a", "b")]
    leap = Clock(bands, "UTC", "2024-02-01", "2024-04-01", seasons=seasons)
    common = Clock(bands, "UTC", "2023-02-01", "2023-04-01", seasons=seasons)
    assert (leap.at("2024-02-29T12:00"), leap.timeline.days("a"), leap.timeline.days("b")) == ("a", 1, 59)
    assert (common.timeline.days("a"), common.timeline.days("b")) == (0, 59)


def test_a_band_without_claim_on_a_day_has_no_length_there() -> None:
    clock = Clock([{"name": "sunday", "days": ["sun"], "price": PRICE}, REST], "UTC", "2024-01-01", "2024-01-08")
    assert clock.hours("2024-01-01", "2024-01-08") == {"sunday": 24, "rest": 144}
