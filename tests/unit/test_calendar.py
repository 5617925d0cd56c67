"""Calendar: billing periods and local days where clocks and months are awkward."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from pipeline.calendar import Calendar, days_between, local_date, midnight, same_offset_pieces
from schemas.account import Cycle
from schemas.instants import SECOND_US, from_us, to_iso
from schemas.zone import fixed_zone, zone_named
from tests.small_books import us

HOUR_US = 3600 * SECOND_US


def period(zone: str, billing_day: int, local: str) -> tuple[str, str]:
    start, end = Calendar(ZoneInfo(zone), billing_day).period(us(local, zone))
    return to_iso(start), to_iso(end)


@pytest.mark.parametrize(
    ("billing_day", "local", "start", "end"),
    [
        (1, "2026-02-01", "2026-02-01", "2026-03-01"),
        (1, "2026-12-31T23:59:59.999999", "2026-12-01", "2027-01-01"),
        (15, "2026-03-14", "2026-02-15", "2026-03-15"),
        (15, "2026-03-15", "2026-03-15", "2026-04-15"),
        (28, "2026-02-28", "2026-02-28", "2026-03-28"),
        (29, "2026-02-28", "2026-02-28", "2026-03-29"),  # 29 clamps in a common year
        (29, "2028-02-28", "2028-01-29", "2028-02-29"),  # and not in a leap year
        (30, "2026-03-01", "2026-02-28", "2026-03-30"),
        (31, "2026-02-27", "2026-01-31", "2026-02-28"),
        (31, "2026-02-28", "2026-02-28", "2026-03-31"),
        (31, "2026-04-29", "2026-03-31", "2026-04-30"),
        (31, "2028-02-29", "2028-02-29", "2028-03-31"),
    ],
)
def test_period_of_a_billing_day(billing_day: int, local: str, start: str, end: str) -> None:
    assert period("UTC", billing_day, local) == (f"{start}T00:00:00Z", f"{end}T00:00:00Z")


@pytest.mark.parametrize(
    ("zone", "local", "start", "end"),
    [
        # 743 and 721 hours: the months in which the clocks change
        ("America/Toronto", "2012-03-20", "2012-03-01T05:00:00Z", "2012-04-01T04:00:00Z"),
        ("America/Toronto", "2012-11-20", "2012-11-01T04:00:00Z", "2012-12-01T05:00:00Z"),
        ("Europe/London", "2013-03-31", "2013-03-01T00:00:00Z", "2013-03-31T23:00:00Z"),
        ("Europe/London", "2013-10-31", "2013-09-30T23:00:00Z", "2013-11-01T00:00:00Z"),
        ("Asia/Kathmandu", "2024-01-01", "2023-12-31T18:15:00Z", "2024-01-31T18:15:00Z"),
        ("Pacific/Kiritimati", "2024-01-01", "2023-12-31T10:00:00Z", "2024-01-31T10:00:00Z"),
        ("America/Los_Angeles", "2023-12-31T23:59", "2023-12-01T08:00:00Z", "2024-01-01T08:00:00Z"),
    ],
)
def test_period_in_a_zone(zone: str, local: str, start: str, end: str) -> None:
    assert period(zone, 1, local) == (start, end)


def test_the_first_instant_of_a_period_is_its_own_and_the_last_is_before_the_next() -> None:
    calendar = Calendar(ZoneInfo("Europe/London"), 1)
    start, end = calendar.period(us("2013-03-15", "Europe/London"))
    assert calendar.period(start) == calendar.period(end - 1) == (start, end)
    assert calendar.period(end)[0] == calendar.period(start - 1)[1] + end - start == end


def test_periods_follow_each_other_whichever_is_asked_for_first() -> None:
    zone = ZoneInfo("America/Toronto")
    instants = [us(f"{year}-{month:02d}-10", "UTC") for year in (2030, 2010, 2020) for month in range(1, 13)]
    shared = Calendar(zone, 31)
    assert [shared.period(instant) for instant in instants] == [Calendar(zone, 31).period(i) for i in instants]


@pytest.mark.parametrize(
    ("zone", "local", "first_instant"),
    [
        ("America/Sao_Paulo", "2017-10-15", "2017-10-15T03:00:00Z"),  # 00:00 does not exist: the day begins at 01:00
        ("America/Havana", "2019-11-03", "2019-11-03T04:00:00Z"),  # 00:00 occurs twice: the first
        ("America/St_Johns", "2009-11-01", "2009-11-01T02:30:00Z"),  # 00:01 goes back to 23:01 of the day before
        ("Australia/Lord_Howe", "2019-04-07", "2019-04-06T13:00:00Z"),
    ],
)
def test_midnight_is_the_first_instant_of_the_date(zone: str, local: str, first_instant: str) -> None:
    day = date.fromisoformat(local)
    found = midnight(day, ZoneInfo(zone))
    assert to_iso(found) == first_instant
    assert local_date(found, ZoneInfo(zone)) == day
    assert local_date(found - 1, ZoneInfo(zone)) < day


@pytest.mark.parametrize(
    ("zone", "local", "hours"),
    [
        ("America/Toronto", "2012-03-11", 23),
        ("America/Toronto", "2012-11-04", 25),
        ("Europe/London", "2013-03-31", 23),
        ("Europe/London", "2013-10-27", 25),
        ("Europe/London", "2013-10-28", 24),
        ("America/Sao_Paulo", "2017-10-15", 23),
        ("Australia/Lord_Howe", "2019-04-07", 24.5),
        ("Australia/Lord_Howe", "2019-10-06", 23.5),
    ],
)
def test_length_of_a_local_day_and_its_pieces(zone: str, local: str, hours: float) -> None:
    of_zone, day = ZoneInfo(zone), date.fromisoformat(local)
    start, end = midnight(day, of_zone), midnight(date.fromordinal(day.toordinal() + 1), of_zone)
    pieces = same_offset_pieces(start, end, of_zone)
    assert (end - start) / HOUR_US == hours
    assert days_between(start, end, of_zone) == 1
    assert [piece[0] for piece in pieces] == [start, *(piece[1] for piece in pieces[:-1])]
    assert pieces[-1][1] == end
    assert sum(last - first for first, last, _ in pieces) == end - start


def test_pieces_are_cut_at_the_second_of_the_change() -> None:
    day = us("2012-03-11", "America/Toronto"), us("2012-03-12", "America/Toronto")
    pieces = same_offset_pieces(*day, ZoneInfo("America/Toronto"))
    assert [(to_iso(start), offset // HOUR_US) for start, _, offset in pieces] == [
        ("2012-03-11T05:00:00Z", -5),
        ("2012-03-11T07:00:00Z", -4),
    ]


@pytest.mark.parametrize(
    ("zone", "billing_day", "name", "start"),
    [
        ("UTC", 1, "2012-02", "2012-02-01"),
        ("UTC", 31, "2012-02", "2012-02-29"),
        ("America/Toronto", 15, "2012-12", "2012-12-15"),
        ("America/Sao_Paulo", 15, "2017-10", "2017-10-15T01:00"),
        ("Pacific/Kiritimati", 1, "2024-01", "2024-01-01"),
    ],
)
def test_a_period_is_named_by_the_month_in_which_it_begins(zone: str, billing_day: int, name: str, start: str) -> None:
    calendar = Calendar(ZoneInfo(zone), billing_day)
    assert calendar.period_named(name)[0] == us(start, zone)
    assert calendar.name(calendar.period_named(name)[0]) == name


@pytest.mark.parametrize(
    "name", ["", "2012", "2012-13", "2012-00", "2012-2", "0001-01", "12-02", "February", "2012-02-01", "latest"]
)
def test_another_form_of_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Calendar(ZoneInfo("UTC"), 1).period_named(name)


def cycle(words: str) -> Cycle:
    """The cycle of a text: every, unit, anchor."""
    every, unit, *anchor = words.split()
    return Cycle.model_validate({"every": every, "unit": unit, "anchor": anchor[0] if anchor else "calendar"})


CYCLES = [
    # the cycle, an instant in one of its periods, that period's first day, the next one's, its name
    ("1 month", "2024-05-20", "2024-05-01", "2024-06-01", "2024-05"),
    ("2 month", "2024-04-30", "2024-03-01", "2024-05-01", "2024-03"),
    ("6 month", "2024-12-31T23:59:59", "2024-07-01", "2025-01-01", "2024-07"),
    ("1 quarter", "2024-05-20", "2024-04-01", "2024-07-01", "2024-Q2"),
    ("1 quarter", "2023-12-31", "2023-10-01", "2024-01-01", "2023-Q4"),
    ("2 quarter", "2024-05-20", "2024-01-01", "2024-07-01", "2024-Q1"),
    ("1 year", "2024-12-31", "2024-01-01", "2025-01-01", "2024"),
    ("1 week", "2024-02-04T23:59", "2024-01-29", "2024-02-05", "2024-W05"),
    ("1 week", "2021-01-03", "2020-12-28", "2021-01-04", "2020-W53"),
    ("1 week", "2024-12-31", "2024-12-30", "2025-01-06", "2025-W01"),
    ("1 day", "2024-02-29T12:00", "2024-02-29", "2024-03-01", "2024-02-29"),
    ("1 month 2026-01-31", "2026-02-27", "2026-01-31", "2026-02-28", "2026-01"),
    ("1 month 2026-01-31", "2026-04-29", "2026-03-31", "2026-04-30", "2026-03"),
    ("1 month 2026-01-31", "2025-03-01", "2025-02-28", "2025-03-31", "2025-02"),  # before the anchor
    ("1 month 2028-01-31", "2028-03-01", "2028-02-29", "2028-03-31", "2028-02"),
    ("5 month 2024-01-31", "2024-07-01", "2024-06-30", "2024-11-30", "2024-06"),
    ("1 quarter 2023-11-30", "2024-02-29", "2024-02-29", "2024-05-30", "2024-02"),
    ("1 year 2024-02-29", "2025-02-28", "2025-02-28", "2026-02-28", "2025-02"),
    ("1 year 2024-02-29", "2028-02-28", "2027-02-28", "2028-02-29", "2027-02"),
    ("3 year 2024-05-15", "2024-05-14", "2021-05-15", "2024-05-15", "2021-05"),
    ("2 week 2024-01-03", "2024-01-16", "2024-01-03", "2024-01-17", "2024-01-03"),
    ("30 day 2025-01-01", "2025-01-30T23:59", "2025-01-01", "2025-01-31", "2025-01-01"),
    ("30 day 2025-01-01", "2024-12-31", "2024-12-02", "2025-01-01", "2024-12-02"),
]


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Asia/Kathmandu"])
@pytest.mark.parametrize(("words", "local", "start", "end", "name"), CYCLES)
def test_periods_of_a_cycle(words: str, local: str, start: str, end: str, name: str, zone: str) -> None:
    calendar = Calendar(ZoneInfo(zone), cycle=cycle(words))
    found = calendar.period(us(local, zone))
    assert found == (us(start, zone), us(end, zone))
    assert calendar.name(found[0]) == name
    assert Calendar(ZoneInfo(zone), cycle=cycle(words)).period_named(name) == found


@pytest.mark.parametrize("words", sorted({words for words, *_ in CYCLES}))
def test_every_period_of_a_cycle_follows_the_one_before_and_has_a_name_of_its_own(words: str) -> None:
    zone = ZoneInfo("America/Toronto")
    calendar = Calendar(zone, cycle=cycle(words))
    start, end = calendar.period(us("2023-01-01", zone.key))
    names = []
    while end < us("2029-01-01", zone.key):
        names.append(calendar.name(start))
        assert calendar.period_named(names[-1]) == calendar.period(end - 1) == (start, end)
        assert calendar.period(end)[0] == end
        start, end = calendar.period(end)
    assert len(set(names)) == len(names) >= 1
    assert sorted(names) == names


@pytest.mark.parametrize(
    ("words", "name", "told"),
    [
        ("1 quarter", "2024-05", "write the quarter in which it begins as YYYY-Qn"),
        ("1 quarter", "2024-Q5", "YYYY-Qn"),
        ("2 quarter", "2024-Q2", "no period begins in 2024-Q2: that quarter is in the one called 2024-Q1"),
        ("1 year", "2024-01", "as YYYY"),
        ("1 week", "2023-W53", "as YYYY-Www"),
        ("1 week", "2024-W00", "as YYYY-Www"),
        ("30 day 2025-01-01", "2025-02-30", "as YYYY-MM-DD"),
        ("30 day 2025-01-01", "2025-01-30", "no period begins in 2025-01-30: that day is in the one called 2025-01-01"),
        ("3 month 2024-01-31", "2024-02", "in the one called 2024-01"),
    ],
)
def test_a_name_that_no_period_has_is_told(words: str, name: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Calendar(ZoneInfo("UTC"), cycle=cycle(words)).period_named(name)


def test_a_date_that_a_zone_left_out_has_no_period() -> None:
    """Samoa went from 29 to 31 December 2011."""
    apia = ZoneInfo("Pacific/Apia")
    calendar = Calendar(apia, cycle=cycle("1 day"))
    start, end = calendar.period(us("2011-12-29T12:00", apia.key))
    assert (calendar.name(start), calendar.name(calendar.period(end)[0])) == ("2011-12-29", "2011-12-31")
    with pytest.raises(ValueError, match="no period begins in 2011-12-30"):
        calendar.period_named("2011-12-30")


@pytest.mark.parametrize(
    ("offset_s", "name"), [(0, "UTC+00:00"), (-18_000, "UTC-05:00"), (20_700, "UTC+05:45"), (1_172, "UTC+00:19:32")]
)
def test_a_fixed_zone_has_one_offset_at_all_times(offset_s: int, name: str) -> None:
    zone = fixed_zone(offset_s)
    assert (zone.key, zone_named(name)) == (name, zone)
    for instant in ("1850-01-01", "1987-07-01", "2024-01-01", "2024-07-01", "2900-07-01"):
        assert same_offset_pieces(us(instant), us(instant) + 1, zone)[0][2] == offset_s * SECOND_US
        assert midnight(date.fromisoformat(instant), zone) == us(instant) - offset_s * SECOND_US
        assert from_us(us(instant)).astimezone(zone).replace(tzinfo=zone) == from_us(us(instant))
    assert zone_named("Europe/London") is ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("zone", "end"),
    [
        ("UTC", "2024-01-01T00:00:00Z"),
        ("Europe/Berlin", "2023-12-31T23:00:00Z"),
        ("America/Los_Angeles", "2024-01-01T08:00:00Z"),
    ],
)
def test_a_calendar_year_ends_where_its_zone_says(zone: str, end: str) -> None:
    assert to_iso(Calendar(ZoneInfo(zone), cycle=cycle("1 year")).period(us("2023-06-01"))[1]) == end
