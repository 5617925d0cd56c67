"""Tariff documents: what they become, and every way to get one wrong with the line and the remedy it is told."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.band import HOLIDAY, Season
from schemas.documents import read_documents
from schemas.field import Hours, MonthDay
from schemas.price import Graduated, Package
from schemas.problem import Problem
from schemas.tariff import Tariff
from schemas.validation import validate

RIGHT = """\
tariff: tou
version: "1"
effective_from: 2012-01-01
currency: USD
rounding: {at: line, decimals: 2, mode: half-up}
tax:
  - {name: VAT, percent: "5"}
seasons:
  summer: {from: "05-01", to: "10-31"}
  winter: {from: "11-01", to: "04-30"}
holidays: [2012-01-02, "12-25"]
minimum: {amount: "10", prorate: days}
fees:
  - {name: Standing charge, amount: "0.2475", per: day}
  - {name: Subscription, amount: "20", per: period, due: advance, prorate: none}
closing: {grace_s: 0, lateness_s: "60"}
meters:
  calls:
    unit: call
    price: {model: package, size: 1000, package_price: 1.25}
  solar:
    unit: kWh
    tiers_across_bands: pro-rata
    bands:
      - name: peak
        season: summer
        days: [weekdays]
        hours: ["12:00-18:00"]
        price: {model: graduated, tiers: [{up_to: 10, unit_price: 0.2}, {unit_price: 0.3}]}
      - name: off-peak
        season: summer
        price: {model: graduated, tiers: [{up_to: "10.0", unit_price: 0.1}, {unit_price: -0.15}]}
      - name: winter
        season: winter
        price: {model: per_unit, unit_price: 0.1}
""".replace("price: {model: per_unit, unit_price: 0.1}", "price: {model: graduated, tiers: [{unit_price: 0.1}]}")


def checked(tmp_path: Path, text: str) -> tuple[Tariff | None, list[Problem]]:
    file = tmp_path / "tariff.yaml"
    file.write_text(text)
    documents, problems = read_documents(file)
    assert problems == []
    return validate(Tariff, documents[0])


def test_a_right_tariff_is_taken_as_written(tmp_path: Path) -> None:
    tariff, problems = checked(tmp_path, RIGHT)
    assert problems == []
    assert tariff is not None
    assert tariff.effective_from == date(2012, 1, 1)
    assert tariff.holidays == (date(2012, 1, 2), MonthDay(12, 25))
    assert tariff.closing.model_dump() == {
        "grace_s": 0,
        "lateness_s": 60,
        "silence_s": 604_800,
        "late": "next-statement",
    }
    calls, solar = tariff.meters["calls"], tariff.meters["solar"]
    assert isinstance(calls.price, Package)
    assert (calls.price.package_price, calls.price.free_units) == (Decimal("1.25"), Decimal(0))
    assert solar.bands is not None
    peak, off_peak, _ = solar.bands
    assert peak.hours == (Hours(720, 1080),)
    assert isinstance(off_peak.price, Graduated)
    assert [tier.unit_price for tier in off_peak.price.tiers] == [Decimal("0.1"), Decimal("-0.15")]


def test_defaults(tmp_path: Path) -> None:
    text = "tariff: t\nversion: a\neffective_from: 2012-01-01\ncurrency: KWD\n"
    text += 'meters: {m: {unit: h, price: {model: per_unit, unit_price: "1"}}}\n'
    tariff, problems = checked(tmp_path, text)
    assert problems == []
    assert tariff is not None
    assert (tariff.decimals, tariff.rounding.at, tariff.rounding.mode) == (3, "line", "half-up")
    closing = tariff.closing
    assert (closing.grace_s, closing.lateness_s, closing.silence_s) == (86_400, 35 * 86_400, 7 * 86_400)
    meter = tariff.meters["m"]
    assert (meter.decimals, meter.excess_decimals, meter.negative) == (6, "round", "reject")
    assert checked(tmp_path, text + "description: |\n  two\n  lines\n")[1] == []
    assert (tariff.tax, tariff.fees, tariff.minimum, tariff.holidays) == ((), (), None, ())


# (written in the right document, written instead, line, path, part of what is told, part of the remedy)
WRONG = [
    # keys
    ("currency: USD", "curency: USD", 4, "curency", "unknown key", 'did you mean "currency"?'),
    ("currency: USD", "", 1, "currency", "is missing", '`currency: "USD"`'),
    ("unit: kWh", "units: kWh", 22, "meters.solar.units", "unknown key", '"unit"'),
    ("unit: kWh", "", 21, "meters.solar.unit", "is missing", '`unit: "kWh"`'),
    ("unit_price: -0.15", "unitprice: 1", 32, "meters.solar.bands[1].price.tiers[1].unitprice", "unknown key",
     '"unit_price"'),
    # text that YAML reads as something else
    ('version: "1"', "version: 1.10", 2, "version", "must be text (1.10)", 'quote it: version: "1.10"'),
    ('version: "1"', "version: 2013-05-01", 2, "version", "must be text", 'quote it: version: "2013-05-01"'),
    ('version: "1"', "version: 7", 2, "version", "must be text (7)", 'quote it: version: "7"'),
    ('version: "1"', "version: true", 2, "version", "must be text (true)", 'version: "true"'),
    ('version: "1"', 'version: "a@b"', 2, "version", "not a valid name", "letters, digits"),
    ("unit: kWh", "unit: 7", 22, "meters.solar.unit", "must be text (7)", 'quote it: unit: "7"'),
    ("unit: kWh", 'unit: ""', 22, "meters.solar.unit", "must not be empty", "write"),
    ("unit: kWh", 'unit: " kWh"', 22, "meters.solar.unit", "blanks at an end", "plain text"),
    ("name: winter", f"name: {'x' * 201}", 33, "meters.solar.bands[2].name", "longer than 200", "shorten"),
    ("tariff: tou", "tariff: Tou", 1, "tariff", "not a valid name", "a to z"),
    ("tariff: tou", f"tariff: {'a' * 65}", 1, "tariff", "not a valid name", "at most 64"),
    # words of a closed list
    ("currency: USD", "currency: usd", 4, "currency", "ISO 4217", 'did you mean "USD"?'),
    ("currency: USD", "currency: XAU", 4, "currency", "ISO 4217", "XAF"),
    ("at: line", "at: lines", 5, "rounding.at", "not one of the known words", '"line"'),
    ("mode: half-up", "mode: halfup", 5, "rounding.mode", "not one of the known words", '"half-up"'),
    ("per: day", "per: week", 14, "fees[0].per", "not one of", "day, month, once"),
    ("days: [weekdays]", "days: [monday]", 27, "meters.solar.bands[0].days[0]", "not one of", '"mon"'),
    ("days: [weekdays]", "days: []", 27, "meters.solar.bands[0].days", "must not be empty", "remove"),
    # numbers
    ("decimals: 2", "decimals: 13", 5, "rounding.decimals", "must be from 0 to 12", "0 to 12"),
    ("decimals: 2", "decimals: 1.5", 5, "rounding.decimals", "whole number", "0 to 12"),
    ("decimals: 2", "decimals: true", 5, "rounding.decimals", "whole number", "0 to 12"),
    ('percent: "5"', 'percent: "5%"', 7, "tax[0].percent", 'must be a number ("5%")', "without units"),
    ('percent: "5"', "percent: 101", 7, "tax[0].percent", "at most 100", "smaller"),
    ('percent: "5"', "percent: -1", 7, "tax[0].percent", "at least 0", "larger"),
    ('amount: "20"', 'amount: "1,000"', 15, "fees[1].amount", "must be a number", "thousands separators"),
    ('amount: "20"', "amount: 1_000", 15, "fees[1].amount", "must be a number", "thousands separators"),
    ('amount: "20"', "amount: NaN", 15, "fees[1].amount", "must be a number", "digits"),
    ('amount: "20"', "amount: .inf", 15, "fees[1].amount", "must be a number", "digits"),
    ('amount: "20"', "amount: 12:00", 15, "fees[1].amount", "must be a number", "digits"),
    ('amount: "20"', "amount: true", 15, "fees[1].amount", "must be a number (true)", "digits"),
    ('amount: "20"', "amount: null", 15, "fees[1].amount", "must be a number (null)", "digits"),
    ('amount: "20"', "amount: 1e15", 15, "fees[1].amount", "out of range", "smaller"),
    ('amount: "20"', "amount: 1e9999", 15, "fees[1].amount", "out of range", "smaller"),
    ('amount: "20"', "amount: 0.1234567890123", 15, "fees[1].amount", "more than 12 decimals", "round it"),
    ('amount: "20"', "amount: 1e-9999", 15, "fees[1].amount", "more than 12 decimals", "round it"),
    ("up_to: 10,", "up_to: 0.0000001,", 29, "meters.solar.bands[0].price.tiers[0].up_to", "6 decimals", "round it"),
    ("up_to: 10,", "up_to: 0,", 29, "meters.solar.bands[0].price.tiers[0].up_to", "must be above 0", "larger"),
    ("size: 1000", "size: 0", 20, "meters.calls.price.size", "must be above 0", "larger"),
    ("size: 1000", "size: 1000, free_units: -1", 20, "meters.calls.price.free_units", "at least 0", "larger"),
    ("grace_s: 0", "grace_s: -1", 16, "closing.grace_s", "must be from 0", "write a number"),
    # dates and hours
    ("effective_from: 2012-01-01", "effective_from: 2012-02-30", 3, "effective_from", "no such date", "YYYY-MM-DD"),
    ("effective_from: 2012-01-01", "effective_from: 2012-1-1", 3, "effective_from", "must be a date", "2012-02-01"),
    ("effective_from: 2012-01-01", "effective_from: 0212-01-01", 3, "effective_from", "out of range", "1900"),
    ('"12-25"]', '"13-01"]', 11, "holidays[1]", "no such day", "MM-DD"),
    ('"12-25"]', "1]", 11, "holidays[1]", "must be a date", "MM-DD"),
    ('"10-31"', '"10-32"', 9, "seasons.summer.to", "no such day", "MM-DD"),
    ("12:00-18:00", "18:00-12:00", 28, "meters.solar.bands[0].hours[0]", "does not start before", "22:00-24:00"),
    ("12:00-18:00", "12:00-24:30", 28, "meters.solar.bands[0].hours[0]", "after 24:00", '"24:00"'),
    ("12:00-18:00", "12-18", 28, "meters.solar.bands[0].hours[0]", "must be a range of hours", "HH:MM-HH:MM"),
    # structure
    ("days: [weekdays]", "days: weekdays", 27, "meters.solar.bands[0].days", "must be a list", "[one, two]"),
    ("rounding: {at: line, decimals: 2, mode: half-up}", "rounding: line", 5, "rounding", "a mapping", "at, decimals"),
    ("seasons:\n", "seasons: []\nx:\n", 8, "seasons", "must be a mapping", "key: value"),
    # prices
    ("model: package", "model: packages", 20, "meters.calls.price.model", "unknown price model", '"package"'),
    ("model: package, ", "", 20, "meters.calls.price", "has no model",
     "graduated_percentage, package, per_unit, percentage, volume"),
    ("price: {model: package, size: 1000, package_price: 1.25}", "price: 1.25", 20, "meters.calls.price",
     "must be a mapping with a model (1.25)", '{model: per_unit, unit_price: "1.25"}'),
    ("{unit_price: -0.15}", "{up_to: 20, unit_price: 1}", 32, "meters.solar.bands[1].price.tiers[1].up_to",
     "the last tier has no up_to", "remove it"),
    ("up_to: 10,", "", 29, "meters.solar.bands[0].price.tiers[0]", "only the last tier", "make it the last"),
    ("{unit_price: -0.15}", "{up_to: 10, unit_price: 1}, {unit_price: 1}", 32,
     "meters.solar.bands[1].price.tiers[1].up_to", "does not rise: the tier before ends at 10.0", "rising order"),
    ("[{unit_price: 0.1}]", "[]", 35, "meters.solar.bands[2].price.tiers", "must not be empty", "at least one"),
    ("    price: {model: package, size: 1000, package_price: 1.25}\n", "", 18, "meters.calls",
     "neither price nor bands", "`bands` for prices by time"),
    ("    unit: kWh", "    unit: kWh\n    price: {model: per_unit, unit_price: 1}", 21, "meters.solar",
     "both price and bands", "write `price`"),
    ("    unit: call", "    unit: call\n    tiers_across_bands: pro-rata", 20, "meters.calls.tiers_across_bands",
     "pro-rata without bands", "remove it"),
    # fees and tax
    ("per: day", "per: day, prorate: none", 14, "fees[0].prorate", "always due by its days", "remove prorate"),
    ("name: Subscription", "name: Standing charge", 15, "fees[1].name", "the same name twice", "another name"),
    # seasons and bands
    ('"10-31"', '"10-30"', 8, "seasons", "10-31 is in no season", "end or start there"),
    ('to: "04-30"', 'to: "05-02"', 10, "seasons.winter", "05-01 is in two seasons, summer and winter", "move"),
    ("season: summer\n        days", "season: sumer\n        days", 26, "meters.solar.bands[0].season",
     "no such season", '"summer"'),
    ("name: off-peak", "name: peak", 30, "meters.solar.bands[1].name", "the same name", "another name"),
    ("season: summer\n        price", "season: summer\n        days: [weekends]\n        price", 24,
     "meters.solar.bands", "no band for summer mon 00:00", "for the rest"),
    ("season: summer\n        price", 'season: summer\n        hours: ["17:59-24:00"]\n        price', 30,
     "meters.solar.bands[1]", "peak and off-peak both claim summer mon 17:59", "change the days or hours"),
    ('["12:00-18:00"]', '["12:00-18:00", "13:00-14:00"]', 25, "meters.solar.bands[0]",
     "peak claims summer mon 13:00 twice", "change"),
    ("season: winter", "x: 1", 34, "meters.solar.bands[2].x", "unknown key",
     "days, hours, meters, name, price, season, where"),
    ('        days: [weekdays]\n        hours: ["12:00-18:00"]\n', "", 28, "meters.solar.bands[1]",
     "two bands take the rest of summer: peak and off-peak", "days or hours"),
    # tiers across bands
    ('up_to: "10.0"', "up_to: 11", 32, "meters.solar.bands[1].price", "the same bounds", "separate"),
    ("{unit_price: -0.15}", "{unit_price: 1, flat_fee: 1}", 32, "meters.solar.bands[1].price",
     "tiers without flat fees", "separate"),
    ('{model: graduated, tiers: [{up_to: "10.0", unit_price: 0.1}, {unit_price: -0.15}]}',
     "{model: per_unit, unit_price: 1}", 32, "meters.solar.bands[1].price", "needs graduated prices", "separate"),
    ("      - name: off-peak\n        season: summer\n", "      - name: off-peak\n", 24, "meters.solar.bands",
     "needs a season in all bands or in none", "name the season"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("right", "wrong", "line", "path", "what", "remedy"), WRONG, ids=[f"{case[3]}: {case[4]}" for case in WRONG]
)
def test_a_wrong_tariff_is_told_with_line_and_remedy(
    tmp_path: Path, right: str, wrong: str, line: int, path: str, what: str, remedy: str
) -> None:
    assert RIGHT.count(right) == 1
    tariff, problems = checked(tmp_path, RIGHT.replace(right, wrong))
    assert tariff is None
    told = [problem for problem in problems if problem.path == path and what in str(problem)]
    assert told, [str(problem) for problem in problems]
    assert told[0].line == line
    assert remedy in told[0].remedy
    assert told[0].file.endswith("tariff.yaml")


def test_all_problems_are_told_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    text = RIGHT.replace("currency: USD", "currency: US").replace("unit: call", "unit: 1").replace("at: line", "at: x")
    _, problems = checked(tmp_path, text)
    assert [problem.line for problem in problems] == [4, 5, 19]
    assert str(problems[2]) == f'{tmp_path}/tariff.yaml:19: meters.calls.unit: must be text (1) - quote it: unit: "1"'


def test_a_document_that_is_no_mapping(tmp_path: Path) -> None:
    _, problems = checked(tmp_path, "- a\n- b\n")
    assert "must be a mapping" in str(problems[0])
    assert "tariff, version" in problems[0].remedy


@pytest.mark.parametrize("value", [0.2, 1.0, float("nan")])
def test_a_float_is_never_taken(value: float) -> None:
    document = {"tariff": "t", "version": "1", "effective_from": date(2012, 1, 1), "currency": "USD"}
    meters = {"m": {"unit": "h", "price": {"model": "per_unit", "unit_price": value}}}
    with pytest.raises(ValidationError, match="a float is not exact"):
        Tariff.model_validate({**document, "meters": meters})


def test_a_tariff_does_not_change(tmp_path: Path) -> None:
    tariff, _ = checked(tmp_path, RIGHT)
    assert tariff is not None
    with pytest.raises(ValidationError, match="frozen"):
        tariff.currency = "EUR"  # type: ignore[misc]


def test_a_band_for_holidays_that_nobody_lists(tmp_path: Path) -> None:
    text = RIGHT.replace('holidays: [2012-01-02, "12-25"]\n', "").replace("[weekdays]", "[weekdays, holidays]")
    _, problems = checked(tmp_path, text)
    assert [(problem.line, problem.path) for problem in problems] == [(26, "meters.solar.bands[0].days")]
    assert "the tariff lists no holidays" in str(problems[0])


def test_without_holidays_nobody_needs_to_claim_them(tmp_path: Path) -> None:
    text = RIGHT.replace('holidays: [2012-01-02, "12-25"]\n', "")
    text = text.replace("season: winter\n", "season: winter\n        days: [weekdays, weekends]\n")
    assert checked(tmp_path, text)[1] == []
    assert "no band for winter holidays 00:00" in str(checked(tmp_path, text + "holidays: ['12-25']\n")[1])


def test_what_a_band_claims(tmp_path: Path) -> None:
    tariff, _ = checked(tmp_path, RIGHT)
    assert tariff is not None
    bands = tariff.meters["solar"].bands
    assert bands is not None
    assert [bands[0].claims(day_type) for day_type in (0, 4, 5, HOLIDAY)] == [[(720, 1080)], [(720, 1080)], [], []]
    assert [band.is_rest for band in bands] == [False, True, True]


def test_a_season_may_go_over_the_end_of_the_year() -> None:
    winter = Season.model_validate({"from": "11-01", "to": "04-30"})
    days = [date(2011, 10, 31), date(2011, 11, 1), date(2012, 2, 29), date(2012, 4, 30), date(2012, 5, 1)]
    assert [winter.holds(day) for day in days] == [False, True, True, True, False]
