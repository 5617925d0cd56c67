"""Importing from CGRateS: plans by prefix and time, rates as slots, and what is refused."""

from decimal import Decimal

import pytest

from schemas.importing import cgrates
from schemas.importing.cgrates_files import window_of
from schemas.importing.reading import Given, Imported
from schemas.importing.week import NOTHING, Bound, claims, gap, week_of
from schemas.session_price import Call
from tests.imported import FIXTURES, checked

FILES = {file.name: file.read_bytes() for file in sorted((FIXTURES / "cgrates").glob("*.csv"))}
EURO = Given("EUR")


def plan(name: str, **changes: str) -> Imported:
    """A plan of the fixture with some rows added to its files, by the files' names."""
    files = {
        **FILES,
        **{f"{file}.csv": FILES.get(f"{file}.csv", b"") + rows.encode() for file, rows in changes.items()},
    }
    return next(found for found in cgrates.tariffs(files, EURO) if found.name == name)


def calls(found: Imported) -> dict[str, Call]:
    """The prices by the names of their bands."""
    item = checked(found).meters["call"]
    assert item.unit == "s"
    return {band.name: band.price for band in item.bands or () if isinstance(band.price, Call)}


def refusals(**changes: str) -> list[str]:
    """What is wrong with a plan RP of these rows."""
    return [finding.what for finding in plan("RP", **changes).findings]


def test_each_rating_plan_is_a_tariff() -> None:
    found = cgrates.tariffs(FILES, EURO)
    assert [checked(one).tariff for one in found] == ["rp-retail1", "rp-retail2", "rp-wholesale"]
    assert [checked(one).effective_from.isoformat() for one in found] == ["2014-01-14", "2014-01-14", "2014-02-01"]


def test_bands_are_by_prefix_and_by_time() -> None:
    bands = checked(plan("RP_RETAIL1")).meters["call"].bands or ()
    assert [(band.name, dict(band.where), band.days, [str(hours) for hours in band.hours or ()]) for band in bands] == [
        ("1007 DR_1007_MAXCOST_DISC", {"destination": "1007*"}, None, []),
        ("10 DR_FS_40CNT", {"destination": "10*"}, ("weekdays",), ["08:00-19:00"]),
        ("10 DR_FS_10CNT", {"destination": "10*"}, None, []),
    ]


def test_any_destination_has_no_condition() -> None:
    bands = checked(plan("RP_WHOLESALE")).meters["call"].bands or ()
    assert [dict(band.where) for band in bands] == [{"destination": "1204*"}, {}]


def test_rates_are_slots() -> None:
    price = calls(plan("RP_RETAIL1"))["10 DR_FS_40CNT"]
    assert price.connection_fee == Decimal("0.8")
    assert [(slot.from_s, slot.rate, slot.unit_s, slot.increment_s) for slot in price.slots] == [
        (0, Decimal("0.4"), 60, 30),
        (60, Decimal("0.2"), 60, 10),
    ]
    assert (price.increment_decimals, price.decimals, str(price.mode)) == (5, 4, "up")


def test_a_maximum_keeps_its_strategy() -> None:
    free, cut = (calls(plan(name)) for name in ("RP_RETAIL2", "RP_RETAIL1"))
    assert free["1007 DR_1007_MAXCOST_FREE"].maximum == Decimal("0.62")
    assert free["1007 DR_1007_MAXCOST_FREE"].beyond_maximum == "free"
    assert cut["1007 DR_1007_MAXCOST_DISC"].beyond_maximum == "charged"


def test_who_has_a_plan_is_told() -> None:
    notes = plan("RP_WHOLESALE", ActionPlans="#Id\n").notes
    assert "not in the tariff: ActionPlans.csv" in notes
    assert "cgrates.org call carrier has it from 2014-02-01: give it to those accounts" in notes
    assert any("falls back on the rates of 1001" in note for note in notes)


def test_the_only_price_stands_without_bands() -> None:
    found = plan("RP", RatingPlans="RP,DR_ANY_40CNT,*any,10\n")
    assert found.document is not None
    assert "price" in found.document["meters"]["call"]
    assert any("no rating profile has it" in note for note in found.notes)


def test_where_a_prefix_has_no_rate_the_shorter_one_prices() -> None:
    rows = "RP,DR_1002_20CNT,PEAK,10\nRP,DR_ANY_40CNT,*any,0\n"
    bands = checked(plan("RP", RatingPlans=rows)).meters["call"].bands or ()
    assert [(band.name, dict(band.where), band.days, [str(hours) for hours in band.hours or ()]) for band in bands] == [
        ("1002 DR_1002_20CNT", {"destination": "1002*"}, ("weekdays",), ["08:00-24:00"]),
        ("1002 DR_ANY_40CNT", {"destination": "1002*"}, None, []),
        ("*any DR_ANY_40CNT", {}, None, []),
    ]


def test_the_greatest_weight_wins() -> None:
    rows = "RP,DR_FS_10CNT,*any,10\nRP,DR_FS_40CNT,OFFPEAK_WEEKEND,20\n"
    bands = checked(plan("RP", RatingPlans=rows)).meters["call"].bands or ()
    assert [(band.name, band.days) for band in bands] == [("10 DR_FS_40CNT", ("weekends",)), ("10 DR_FS_10CNT", None)]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"RatingPlans": "RP,DR_NONE,*any,10\n"}, "no destination rate DR_NONE"),
        ({"RatingPlans": "RP,DR_FS_40CNT,NIGHT,10\n"}, "no timing NIGHT"),
        ({"RatingPlans": "RP,DR_FS_40CNT,PEAK,10\n"}, "nothing prices 10 on mon 00:00"),
        (
            {"RatingPlans": "RP,DR_FS_40CNT,*any,10\nRP,DR_FS_10CNT,*any,10\n"},
            "DR_FS_10CNT RT_10CNT and DR_FS_40CNT RT_40CNT both hold on mon 00:00 with weight 10",
        ),
        (
            {"RatingPlans": "RP,DR_X,*any,10\n", "DestinationRates": "DR_X,DST_X,RT_40CNT,*up,4,0,\n"},
            "no destination DST_X",
        ),
        (
            {"RatingPlans": "RP,DR_X,*any,10\n", "DestinationRates": "DR_X,*any,RT_X,*up,4,0,\n"},
            "no rate RT_X",
        ),
        (
            {"RatingPlans": "RP,DR_X,*any,10\n", "DestinationRates": "DR_X,*any,RT_40CNT,*sideways,4,0,\n"},
            "no rounding *sideways",
        ),
        (
            {"RatingPlans": "RP,DR_X,*any,10\n", "DestinationRates": "DR_X,*any,RT_40CNT,*up,4,1,*later\n"},
            "no strategy *later",
        ),
        (
            {
                "RatingPlans": "RP,DR_X,*any,10\n",
                "DestinationRates": "DR_X,*any,RT_SMS,*up,4,0,\n",
                "Rates": "RT_SMS,0,0.01,1,1,0\n",
            },
            "1 is no duration in whole seconds",
        ),
        (
            {"RatingPlans": "RP,DR_FS_40CNT,NEW_YEAR,10\n", "Timings": "NEW_YEAR,*any,1,1,*any,00:00:00\n"},
            "a timing by months (1)",
        ),
        (
            {"RatingPlans": "RP,DR_FS_40CNT,ODD,10\n", "Timings": "ODD,*any,*any,*any,*any,08:00:30\n"},
            "begins at 08:00:30",
        ),
        (
            {
                "RatingPlans": "RP,DR_FS_40CNT,*any,10\nRP,DR_X,*any,10\n",
                "DestinationRates": "DR_X,DST_TEN,RT_10CNT,*up,4,0,\n",
                "Destinations": "DST_TEN,10\n",
            },
            "prefix 10 is in the destinations DST_FS and DST_TEN",
        ),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(changes: dict[str, str], what: str) -> None:
    assert refusals(**changes) == [what]


@pytest.mark.parametrize(
    ("files", "given", "what"),
    [
        ({}, EURO, "no Rates.csv"),
        (FILES, Given(), "a tariff plan names no currency"),
        ({**FILES, "RatingPlans.csv": b"#Id\n"}, EURO, "no rating plan"),
        (
            {**FILES, "Timings.csv": b"\xff"},
            EURO,
            "cannot be read: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        ({**FILES, "Destinations.csv": b"A,1,2\n"}, EURO, "3 columns"),
        ({**FILES, "RatingPlans.csv": b"RP,DR,*any,heavy\n"}, EURO, "not a number: heavy"),
    ],
)
def test_a_folder_that_is_no_plan_is_refused(files: dict[str, bytes], given: Given, what: str) -> None:
    (found,) = cgrates.tariffs(files, given)
    assert [finding.what for finding in found.findings] == [what]


@pytest.mark.parametrize(
    ("days", "expected"),
    [("*any", set(range(7))), ("", set(range(7))), ("1;2;3;4;5", {0, 1, 2, 3, 4}), ("6;7", {5, 6}), ("0", {6})],
)
def test_sunday_is_0_and_7(days: str, expected: set[int]) -> None:
    assert window_of([["T", "*any", "*any", "*any", days, "08:30:00"]]) == (frozenset(expected), 510)


def test_a_timing_holds_until_midnight_unless_a_later_one_begins() -> None:
    days, ten = frozenset(range(5)), Decimal(10)
    week = week_of([Bound("day", days, 480, ten), Bound("evening", days, 1140, ten)], NOTHING)
    assert [(span.start, span.rating) for span in week[0]] == [(0, None), (480, "day"), (1140, "evening")]
    assert gap(week) == "mon 00:00"


def test_a_week_of_one_rating_is_the_rest() -> None:
    assert claims(week_of([Bound("x", frozenset(range(7)), 0, Decimal(1))], NOTHING)) == [("x", {})]
