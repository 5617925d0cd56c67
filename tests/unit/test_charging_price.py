"""Charging prices: published OCPI sessions, and what cuts a session, rounds it and limits it."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import permutations
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from pipeline.keeping import Fact
from pipeline.pricing.charging import compile_charging
from schemas.charge import Part
from schemas.fixed_point import AMOUNT_SCALE, QUANTITY_SCALE, to_decimal, to_fixed, to_text
from schemas.instants import SECOND_US, to_us
from schemas.session_price import Charging
from tests.small_books import Json

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
MINUTE_US = 60 * SECOND_US


def component(dimension: str, price: str, step: int = 0, tax: str | None = None) -> Json:
    return {"dimension": dimension, "price": price, "step": step, "tax_percent": tax}


def element(*components: Json, name: str | None = None, **restrictions: object) -> Json:
    return {"name": name, "components": list(components), "restrictions": restrictions}


def charging(*elements: Json, **more: object) -> Json:
    return {"model": "charging", "elements": list(elements), **more}


def instant(text: str) -> int:
    """Microseconds of a local time in Amsterdam, or of one with an offset of its own."""
    moment = datetime.fromisoformat(text)
    return to_us(moment if moment.tzinfo else moment.replace(tzinfo=AMSTERDAM))


class Session:
    """Facts one after the other, from a begin on."""

    def __init__(self, begin: str = "2026-01-12T09:30") -> None:
        self.at = instant(begin)
        self.facts: list[Fact] = []

    def then(self, minutes: str, kwh: str = "0", phase: str = "charging", **attributes: str) -> "Session":
        end = self.at + int(Decimal(minutes) * MINUTE_US)
        energy = to_fixed(Decimal(kwh), QUANTITY_SCALE)
        key = len(self.facts).to_bytes(2)
        self.facts.append(Fact(key, self.at, end, energy, 0, "ev", "s", {"phase": phase, **attributes}))
        self.at = end
        return self


class Priced(NamedTuple):
    excl: Decimal
    incl: Decimal


def parts(document: Json, facts: Sequence[Fact]) -> list[Part]:
    return compile_charging(Charging.model_validate(document), AMSTERDAM).price(facts)


def price(document: Json, session: Session) -> Priced:
    found = parts(document, session.facts)
    net = sum(part.amount for part in found)
    return Priced(to_decimal(net, AMOUNT_SCALE), to_decimal(net + sum(part.tax for part in found), AMOUNT_SCALE))


def lines(document: Json, session: Session) -> list[tuple[str, str, str, str]]:
    """Element, name, quantity and amount of each part."""
    return [
        (part.band, part.name, to_text(part.quantity, QUANTITY_SCALE), to_text(part.amount, AMOUNT_SCALE))
        for part in parts(document, session.facts)
    ]


FLAT = component("flat", "0.50", tax="20")
ENERGY = component("energy", "0.25", 1, "10")
START = charging(element(FLAT, ENERGY))


def reserved(*prices: Json) -> Json:
    return charging(*(element(each, reservation="only") for each in prices), element(FLAT, ENERGY))


EXPIRY_FEE = charging(
    element(component("reservation", "2", 600, "20"), reservation="only"),
    element(component("reservation_fee", "4", tax="20"), reservation="expires"),
    element(FLAT, ENERGY),
)
EXPIRY_TIME = charging(
    element(component("reservation", "3", 600, "20"), reservation="only"),
    element(component("reservation", "6", 600, "20"), reservation="expires"),
    element(FLAT, ENERGY),
)
COMPLEX = charging(
    element(component("flat", "2.50", tax="15")),
    element(component("time", "1.00", 900, "20"), max_current_a="32"),
    element(component("time", "2.00", 600, "20"), min_current_a="32", days=["mon", "tue", "wed", "thu", "fri"]),
    element(component("time", "1.25", 600, "20"), min_current_a="32", days=["sat", "sun"]),
    element(
        component("parking_time", "5", 300, "10"),
        start_time="09:00",
        end_time="18:00",
        days=["mon", "tue", "wed", "thu", "fri"],
    ),
    element(component("parking_time", "6", 300, "10"), start_time="10:00", end_time="17:00", days=["sat"]),
)


@pytest.mark.parametrize(
    ("document", "session", "excl", "incl"),
    [
        (START, Session().then("60", "20"), "5.50", "6.10"),
        (
            charging(element(ENERGY), minimum={"excl": "0.50", "incl": "0.55"}),
            Session().then("9", "1.9"),
            "0.5",
            "0.55",
        ),
        (charging(element(ENERGY), minimum={"excl": "0.50", "incl": "0.55"}), Session().then("9", "20"), "5", "5.5"),
        (START | {"maximum": {"excl": "10", "incl": "11"}}, Session().then("60", "30"), "8", "8.85"),
        (START | {"maximum": {"excl": "10", "incl": "11"}}, Session().then("60", "50"), "10", "11"),
        (
            charging(element(FLAT, ENERGY, component("parking_time", "2", 900, "20"))),
            Session().then("60", "20").then("40", phase="parking"),
            "7",
            "7.9",
        ),
        (charging(element(component("energy", "0.25", 100, "10"))), Session().then("60", "20.45"), "5.125", "5.6375"),
        (charging(element(component("energy", "0.25", 500))), Session().then("1", "0.1152"), "0.125", "0.125"),
        (charging(element(component("energy", "0.25", 25))), Session().then("1", "0.1152"), "0.03125", "0.03125"),
        (charging(element(component("energy", "0.25", 1))), Session().then("1", "0.1152"), "0.029", "0.029"),
        (charging(element(component("energy", "0.25", 0))), Session().then("1", "0.1152"), "0.0288", "0.0288"),
        (charging(element(component("time", "1.9", 300, "5.2"))), Session().then("150"), "4.75", "4.997"),
        (
            charging(element(component("time", "3", 60, "10"), component("parking_time", "5", 300, "20"))),
            Session().then("150").then("42", phase="parking"),
            "11.25",
            "12.75",
        ),
        (
            reserved(component("reservation", "5", 60, "20")),
            Session().then("15", phase="reservation").then("60", "20"),
            "6.75",
            "7.6",
        ),
        (
            charging(
                element(component("flat", "2", tax="20"), component("reservation", "5", 300, "20"), reservation="only"),
                element(FLAT, ENERGY),
            ),
            Session().then("13", phase="reservation").then("60", "20"),
            "8.75",
            "10",
        ),
        (EXPIRY_FEE, Session().then("22", phase="reservation").then("60", "20"), "6.5", "7.3"),
        (EXPIRY_FEE, Session().then("60", phase="reservation", expired="true"), "6", "7.2"),
        (EXPIRY_TIME, Session().then("22", phase="reservation").then("60", "20"), "7", "7.9"),
        (EXPIRY_TIME, Session().then("90", phase="reservation", expired="true"), "9", "10.8"),
        # a reservation that expired is told by any of its records
        (
            EXPIRY_TIME,
            Session().then("45", phase="reservation").then("45", phase="reservation", expired="true"),
            "9",
            "10.8",
        ),
        (COMPLEX, Session().then("147", "5", current_a="16").then("42", phase="parking"), "8.75", "10"),
        (
            COMPLEX,
            Session("2026-01-17T13:30").then("114", "5", current_a="43").then("71", phase="parking"),
            "12.5",
            "14.125",
        ),
    ],
)
def test_published_sessions(document: Json, session: Session, excl: str, incl: str) -> None:
    assert price(document, session) == Priced(Decimal(excl), Decimal(incl))


@pytest.mark.parametrize(
    ("session", "amounts"),
    [
        (
            Session().then("30", "5").then("10", "1.2"),
            [("", "energy", "5", "0"), ("", "energy", "1.2", "0.3")],
        ),
        (Session().then("40", "8"), [("", "energy", "6", "0"), ("", "energy", "2", "0.5")]),
        (
            Session().then("90", "9"),
            [("", "energy", "3", "0"), ("", "energy", "3", "0.75"), ("", "energy", "3", "1.2")],
        ),
    ],
)
def test_the_age_of_a_session_cuts_it(session: Session, amounts: list[tuple[str, str, str, str]]) -> None:
    document = charging(
        element(component("energy", "0", 1), max_duration_s=1800),
        element(component("energy", "0.25", 1), max_duration_s=3600),
        element(component("energy", "0.40", 1)),
    )
    assert lines(document, session) == amounts


def test_power_chooses_the_element_of_each_period() -> None:
    document = charging(
        element(component("energy", "0.20", 1), max_power_kw="16"),
        element(component("energy", "0.35", 1), max_power_kw="32"),
        element(component("energy", "0.50", 1)),
    )
    session = Session().then("10", "1", power_kw="6").then("50", "40", power_kw="48").then("8", "0.5", power_kw="4")
    assert lines(document, session) == [("", "energy", "1.5", "0.3"), ("", "energy", "40", "20")]
    assert price(document, Session().then("10", "1", power_kw="16")).excl == Decimal("0.35")  # max is exclusive
    assert price(document, Session().then("10", "1")).excl == Decimal("0.5")  # power that nobody told meets no limit


def test_steps_round_the_session_once() -> None:
    document = charging(
        element(component("energy", "2", 8000), start_time="00:00", end_time="17:00"),
        element(component("energy", "2", 5000), start_time="17:00", end_time="20:00"),
        element(component("energy", "4", 2000), start_time="20:00", end_time="00:00"),
    )
    session = Session("2026-01-12T16:55+00:00").then("5", "5").then("2", "2").then("5", "5")
    assert lines(document, session) == [("", "energy", "15", "30")]


def test_parking_is_free_for_a_while() -> None:
    document = charging(
        element(component("parking_time", "0", 1, "0"), min_duration_s=0, max_duration_s=1800),
        element(component("parking_time", "3", 1, "0"), min_duration_s=1800),
        element(ENERGY),
    )
    session = Session().then("30", phase="parking").then("15", phase="parking").then("30", "10")
    assert price(document, session) == Priced(Decimal("3.25"), Decimal("3.5"))
    assert lines(document, session)[1:] == [("", "parking", "0.25", "0.75"), ("", "energy", "10", "2.5")]


def test_the_flat_fee_is_due_once() -> None:
    document = charging(
        element(component("flat", "1"), max_duration_s=600), element(component("flat", "5"), min_duration_s=600)
    )
    assert lines(document, Session().then("5").then("10").then("10", phase="parking")) == [("", "flat fee", "0", "1")]
    assert parts(document, Session().then("5", phase="reservation").facts) == []
    assert parts(document, []) == []


SWITCH = charging(
    element(component("time", "1.20", 1800), name="before", end_time="17:00"),
    element(component("time", "2.40", 900), name="after", start_time="17:00"),
    element(component("parking_time", "1.00", 900), end_time="20:00"),
)
BEFORE, AFTER = ("before", "time", "0.083333", "0.1"), ("after", "time", "0.166667", "0.4")


@pytest.mark.parametrize(
    ("after_step", "session", "expected"),
    [
        ("swallowed", Session("2026-01-12T16:55").then("10").then("2", phase="parking"), [BEFORE, AFTER]),
        (
            "own-step",
            Session("2026-01-12T16:55").then("10").then("2", phase="parking"),
            [BEFORE, AFTER, ("", "parking", "0.25", "0.25")],
        ),
        (
            "parking-only",
            Session("2026-01-12T16:55").then("10").then("2", phase="parking"),
            [BEFORE, ("after", "time", "0.083333", "0.2"), ("", "parking", "0.25", "0.25")],
        ),
        # 35 minutes are 45: 25 before 17:00 and 20 after, however parking is billed
        *(
            (
                after_step,
                Session("2026-01-12T16:35").then("35"),
                [("before", "time", "0.416667", "0.5"), ("after", "time", "0.333333", "0.8")],
            )
            for after_step in ("swallowed", "own-step", "parking-only")
        ),
        # parking that lasts longer than the block pays for what lies behind it
        (
            "swallowed",
            Session("2026-01-12T16:55").then("10").then("20", phase="parking"),
            [BEFORE, AFTER, ("", "parking", "0.25", "0.25")],
        ),
        (
            "swallowed",
            Session("2026-01-12T16:55").then("10").then("21", phase="parking"),
            [BEFORE, AFTER, ("", "parking", "0.5", "0.5")],
        ),
        # only the last charging is followed by a block
        (
            "swallowed",
            Session("2026-01-12T17:00").then("5").then("15", phase="parking").then("5"),
            [("after", "time", "0.25", "0.6"), ("", "parking", "0.25", "0.25")],
        ),
    ],
)
def test_parking_after_time_that_was_rounded_up(
    after_step: str, session: Session, expected: list[tuple[str, str, str, str]]
) -> None:
    assert lines(SWITCH | {"after_step": after_step}, session) == expected


def test_free_parking_is_not_billed_by_steps() -> None:
    document = charging(
        element(component("time", "2.40", 900)), element(component("parking_time", "1", 900), end_time="20:00")
    )
    session = Session("2026-01-12T19:55").then("10").then("2", phase="parking")
    assert lines(document, session) == [("", "time", "0.25", "0.6")]


@pytest.mark.parametrize(
    ("document", "session", "excl"),
    [
        # totals over two elements are rounded together, at the price of the last (OCPI 2.2.1)
        (
            charging(
                element(component("energy", "0.20", 500), end_time="17:00"), element(component("energy", "0.27", 500))
            ),
            Session("2026-01-12T16:00").then("60", "4.3").then("60", "1.1"),
            "1.184",
        ),
        (
            charging(element(component("time", "5", 600), end_time="17:00"), element(component("time", "7", 600))),
            Session("2026-01-12T16:54").then("28"),
            "3.3",
        ),
        (
            charging(
                element(component("time", "1", 600), component("parking_time", "2", 600)), after_step="parking-only"
            ),
            Session().then("21").then("16", phase="parking"),
            "1.016666666666666667",
        ),
    ],
)
def test_steps_of_the_component_that_priced_last(document: Json, session: Session, excl: str) -> None:
    assert price(document, session).excl == Decimal(excl)


MANY_BORDERS = charging(
    element(component("flat", "0.35", tax="21")),
    element(component("energy", "0.10", 0, "9"), name="first", max_kwh="2.5"),
    element(component("energy", "0.45", 100, "21"), name="day", start_time="07:00", end_time="22:00", days=["fri"]),
    element(component("energy", "0.30", 100, "21"), name="rest"),
    element(component("time", "0.06", 60), name="long", min_duration_s=5400),
    element(component("parking_time", "2.40", 300, "21"), start_date="2026-01-17"),
    after_step="swallowed",
    maximum={"excl": "40", "incl": "45"},
)


def test_a_session_costs_the_same_in_any_number_and_order_of_records() -> None:
    whole = Session("2026-01-16T21:00").then("120", "24").then("150", phase="parking")
    parted = (
        Session("2026-01-16T21:00")
        .then("10", "2")
        .then("35", "7")
        .then("0")
        .then("75", "15")
        .then("90", phase="parking")
        .then("60", phase="parking")
    )
    expected = parts(MANY_BORDERS, whole.facts)
    assert {part.band for part in expected} == {"", "first", "day", "rest", "long"}
    for order in permutations(parted.facts):
        assert parts(MANY_BORDERS, order) == expected


def test_a_session_goes_over_midnight() -> None:
    document = charging(
        element(component("energy", "1"), name="friday", days=["fri"]),
        element(component("energy", "2"), name="night", start_time="22:00", end_time="06:00", end_date="2026-01-18"),
        element(component("energy", "3"), name="rest"),
    )
    session = Session("2026-01-16T23:00").then("600", "10")
    assert lines(document, session) == [
        ("friday", "energy", "1", "1"),
        ("night", "energy", "6", "12"),
        ("rest", "energy", "3", "9"),
    ]
    days_later = Session("2026-01-17T23:00").then(str(48 * 60), "48")
    assert lines(document, days_later) == [("night", "energy", "1", "2"), ("rest", "energy", "47", "141")]


@pytest.mark.parametrize(
    ("begin", "minutes", "night", "rest"),
    [
        ("2026-10-25T01:00", "240", "3", "1"),  # 02:00 to 03:00 occurs twice, so four hours end at 04:00
        ("2026-03-29T01:00", "120", "1", "1"),  # 02:00 to 03:00 does not exist, so two hours end at 04:00
    ],
)
def test_a_night_on_which_the_clock_changes(begin: str, minutes: str, night: str, rest: str) -> None:
    document = charging(
        element(component("time", "1"), name="night", start_time="22:00", end_time="03:00"),
        element(component("time", "2"), name="rest"),
    )
    found = lines(document, Session(begin).then(minutes))
    assert [(band, quantity) for band, _, quantity, _ in found] == [("night", night), ("rest", rest)]


def test_a_border_in_the_hour_that_occurs_twice_cuts_twice() -> None:
    document = charging(
        element(component("time", "1"), name="half", start_time="02:30", end_time="03:00"),
        element(component("time", "2"), name="rest"),
    )
    found = lines(document, Session("2026-10-25T02:00").then("180"))
    assert [(band, quantity) for band, _, quantity, _ in found] == [("rest", "2"), ("half", "1")]
    assert lines(document, Session("2026-03-29T01:00").then("120")) == [("rest", "time", "2", "4")]


def test_energy_cuts_a_session_and_its_time() -> None:
    document = charging(
        element(component("energy", "0"), component("time", "1"), name="first", max_kwh="1"),
        element(component("energy", "0.20"), component("time", "3"), name="more", min_kwh="1"),
    )
    assert lines(document, Session().then("120", "4")) == [
        ("first", "energy", "1", "0"),
        ("first", "time", "0.5", "0.5"),
        ("more", "energy", "3", "0.6"),
        ("more", "time", "1.5", "4.5"),
    ]
    # energy that was read in one moment is cut too; what is given back is taken from where it came
    assert price(document, Session().then("0", "4")).excl == Decimal("0.6")
    assert price(document, Session().then("0", "4").then("0", "-4")).excl == 0
    assert price(document, Session().then("0", "4").then("0", "-2")).excl == Decimal("0.2")


def test_limits_with_and_without_tax() -> None:
    half = charging(element(component("energy", "1", tax="50")))
    four, twenty = Session().then("60", "4"), Session().then("60", "20")
    assert price(half | {"maximum": {"excl": "10"}}, twenty) == Priced(Decimal(10), Decimal(20))
    assert price(half | {"maximum": {"excl": "25", "incl": "25"}}, twenty) == Priced(Decimal(20), Decimal(25))
    assert price(half | {"minimum": {"excl": "5"}}, four) == Priced(Decimal(5), Decimal(7))
    assert price(half | {"minimum": {"excl": "4", "incl": "7"}}, four) == Priced(Decimal(4), Decimal(7))
    minimum = parts(half | {"minimum": {"excl": "5"}}, four.facts)[-1]
    assert (minimum.name, minimum.tax_percent, minimum.tax) == ("minimum", "", 0)
    # a reservation alone is no session
    assert parts(half | {"minimum": {"excl": "5"}}, Session().then("60", phase="reservation").facts) == []


def test_tax_of_a_component_is_exact_and_told() -> None:
    [part] = parts(charging(element(component("time", "1", tax="7.70"))), Session().then("20").facts)
    assert part.tax_percent == "7.7"
    assert (part.amount, part.tax) == (333333333333333333, 25666666666666667)  # a third, and 7.7 % of the whole third
    [untaxed] = parts(charging(element(component("time", "1"))), Session().then("20").facts)
    assert (untaxed.tax_percent, untaxed.tax) == ("", 0)
    [zero] = parts(charging(element(component("time", "1", tax="0"))), Session().then("20").facts)
    assert (zero.tax_percent, zero.tax) == ("0", 0)


@pytest.mark.parametrize(
    ("attributes", "what"),
    [
        ({"phase": "driving"}, "phase 'driving' is unknown"),
        ({"expired": "yes"}, "expired 'yes' is neither"),
        ({"power_kw": "NaN"}, "power_kw 'NaN' is no number"),
        ({"current_a": "16 A"}, "current_a '16 A' is no number"),
    ],
)
def test_an_attribute_that_cannot_be_used_is_never_a_default(attributes: dict[str, str], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parts(START, [Fact(b"a", 0, SECOND_US, 1, attributes=attributes)])


@pytest.mark.parametrize(
    ("document", "what"),
    [
        (charging(), "at least 1 item"),
        (charging(element()), "at least 1 item"),
        (charging(element(ENERGY, ENERGY)), "the same dimension twice in one element"),
        (charging(element(component("energy", "1", -1))), "must be from 0 to"),
        (charging(element(component("flat", "1", 60))), "flat is due once and has no steps"),
        (charging(element(component("power", "1"))), "should be 'flat'"),
        (charging(element(component("energy", "1", tax="101"))), "must be at most 100"),
        (charging(element(ENERGY, reservation="only")), "energy never occurs during a reservation"),
        (charging(element(ENERGY, start_date="2026-02-01", end_date="2026-02-01")), "start_date is not below end_date"),
        (charging(element(ENERGY, min_kwh="5", max_kwh="5")), "min_kwh is not below max_kwh"),
        (charging(element(ENERGY, min_power_kw="32", max_power_kw="16")), "min_power_kw is not below max_power_kw"),
        (charging(element(ENERGY, min_current_a="32", max_current_a="16")), "min_current_a is not below"),
        (charging(element(ENERGY, min_duration_s=60, max_duration_s=60)), "min_duration_s is not below"),
        (charging(element(ENERGY, max_duration_s=0)), "must be from 1 to"),
        (charging(element(ENERGY, max_kwh="0")), "must be above 0"),
        (charging(element(ENERGY, min_kwh="-1")), "must be at least 0"),
        (charging(element(ENERGY, start_time="17:00", end_time="17:00")), "starts and ends at the same time"),
        (charging(element(ENERGY, start_time="24:00")), "must be a time of day"),
        (charging(element(ENERGY, start_time="5pm")), "must be a time of day"),
        (charging(element(ENERGY, days=[])), "at least 1 item"),
        (charging(element(ENERGY, days=["monday"])), "should be 'mon'"),
        (charging(element(ENERGY), minimum={"excl": "5", "incl": "4"}), "the limit with tax is below the one without"),
        (charging(element(ENERGY), minimum={"incl": "4"}), "excl"),
        (
            charging(element(ENERGY), minimum={"excl": "5"}, maximum={"excl": "4"}),
            "the maximum is below the minimum",
        ),
        (
            charging(element(ENERGY), minimum={"excl": "4", "incl": "6"}, maximum={"excl": "4", "incl": "5"}),
            "the maximum is below the minimum",
        ),
        (charging(element(ENERGY), after_step="free"), "should be 'own-step', 'swallowed' or 'parking-only'"),
    ],
)
def test_what_contradicts_itself_is_refused(document: Json, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        Charging.model_validate(document)


@pytest.mark.parametrize("document", [MANY_BORDERS, SWITCH, COMPLEX, EXPIRY_FEE])
def test_a_charging_document_reads_back_as_written(document: Json) -> None:
    noun = Charging.model_validate(document)
    assert Charging.model_validate(noun.model_dump(mode="json")) == noun
