"""Encoding and simulating: what goes out is what the codecs read back, and what cannot is told."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from random import Random

import pytest

from agents.stream.encoding import CONTAINER_RECORDS, Encoded, Encoding, Unfit, encoded
from agents.stream.simulating import Load, declared, sessions
from pipeline.terms import Plans
from schemas.codecs import decode_message
from schemas.instants import to_us
from schemas.rejection import Position
from schemas.usage import UsageRecord

START = datetime(2024, 5, 1, tzinfo=UTC)
WHOLE = UsageRecord("1", "home", "power", Decimal("1.5"), START, START, "s", "t", "kWh", "session", {"meter": "x"}, "0")
BARE = UsageRecord("2", "home", "power", Decimal(2), START, START + timedelta(microseconds=1))
VOID = UsageRecord("3", "home", "power", None, START, START, corrects="2")
FINE = UsageRecord("4", "home", "power", Decimal("0.1234567"), START, START)


def sent(records: Sequence[UsageRecord], encoding: Encoding) -> tuple[list[Encoded], list[Unfit]]:
    found = list(encoded(records, encoding, 4))
    return [one for one in found if isinstance(one, Encoded)], [one for one in found if isinstance(one, Unfit)]


def read(messages: Sequence[Encoded]) -> list[UsageRecord]:
    batches = [decode_message(one.message.value, Position("", 0, 0)) for one in messages]
    assert [batch.rejections for batch in batches] == [[]] * len(messages)
    assert [len(batch.records) for batch in batches] == [one.records for one in messages]
    return [record for batch in batches for record in batch.records]


@pytest.mark.parametrize("encoding", list(Encoding))
def test_every_field_survives(encoding: Encoding) -> None:
    messages, unfit = sent([WHOLE, BARE, VOID], encoding)
    assert unfit == []
    assert sorted(read(messages), key=lambda one: one.id) == [WHOLE, BARE, VOID]


@pytest.mark.parametrize("encoding", [Encoding.AVRO, Encoding.CONTAINER, Encoding.BULK])
def test_a_record_that_avro_cannot_hold_is_told_and_the_others_go(encoding: Encoding) -> None:
    messages, unfit = sent([BARE, FINE, VOID, FINE], encoding)
    assert read(messages) == [BARE, VOID]
    assert [one.place for one in unfit] == [1, 3]
    assert "more than 6 decimals. Publish it as JSON" in unfit[0].why
    assert sent([FINE], encoding)[0] == []


@pytest.mark.parametrize("encoding", [Encoding.JSON, Encoding.CLOUDEVENTS])
def test_json_holds_any_quantity(encoding: Encoding) -> None:
    messages, unfit = sent([FINE], encoding)
    assert (read(messages), unfit) == ([FINE], [])


def test_a_record_larger_than_a_message_is_told() -> None:
    large = UsageRecord("5", "home", "power", Decimal(1), START, START, session="x" * (8 << 20))
    messages, unfit = sent([BARE, large], Encoding.JSON)
    assert read(messages) == [BARE]
    assert [one.place for one in unfit] == [1]


def test_containers_hold_one_account_each_in_its_order() -> None:
    records = [UsageRecord(str(n), f"a{n % 3}", "power", Decimal(n), START, START) for n in range(30)]
    messages, _ = sent(records, Encoding.CONTAINER)
    assert [one.message.key for one in messages] == [b"default/a0", b"default/a1", b"default/a2"]
    assert read(messages) == [record for rest in range(3) for record in records[rest::3]]


def test_containers_are_bounded_in_records_and_bytes() -> None:
    many = [UsageRecord(str(n), "home", "power", Decimal(n), START, START) for n in range(CONTAINER_RECORDS + 1)]
    assert [one.records for one in sent(many, Encoding.BULK)[0]] == [CONTAINER_RECORDS, 1]
    draw = Random(1)
    texts = [draw.randbytes(500_000).hex() for _ in range(4)]  # deflate makes them half as long, no shorter
    pieces = [{str(at): text[at : at + 4_000] for at in range(0, len(text), 4_000)} for text in texts]
    long = [UsageRecord(str(n), "home", "power", Decimal(1), START, START, attributes=pieces[n]) for n in range(4)]
    messages, _ = sent(long, Encoding.BULK)
    assert [one.records for one in messages] == [1, 1, 1, 1]
    assert read(messages) == long


def test_the_same_seed_draws_the_same_sessions() -> None:
    began = to_us(START)
    load = Load(accounts=20, meters=2, rate=10.0, seed=7)
    once, again = (list(islice(sessions(load, began), 500)) for _ in range(2))
    assert once == again
    other = list(islice(sessions(Load(20, 2, 10.0, 8), began), 500))
    assert [one.quantity for one in once] != [one.quantity for one in other]


def test_sessions_are_as_real_ones_and_end_when_they_are_sent() -> None:
    load = Load(accounts=20, meters=2, rate=10.0, seed=7)
    made = list(islice(sessions(load, to_us(START)), 2000))
    assert len({(one.source, one.id) for one in made}) == 2000
    assert [one.end - START for one in made[::10]] == [timedelta(seconds=n) for n in range(200)]
    lasted = [one.end - one.start for one in made]
    assert timedelta(minutes=1) <= min(lasted) < timedelta(minutes=10) < timedelta(hours=2) < max(lasted)
    assert {one.account for one in made} == {load.account(number) for number in range(20)}
    assert all(one.quantity is not None and 0 < one.quantity < 2000 for one in made)


def test_all_usage_of_a_load_has_a_tariff_of_three_tiers() -> None:
    load = Load(accounts=3, meters=2, rate=1.0, seed=1)
    catalogue = declared(load)
    plans = Plans(catalogue)
    for one in islice(sessions(load, to_us(START)), 50):
        plan = plans.account(one.tenant, one.account)
        assert plan is not None
        assert plan.at(one.meter, to_us(one.start)) is not None
    (tariff,) = catalogue.tariffs[load.tariff]
    assert len(tariff.meters["charger-1"].model_dump(mode="json")["price"]["tiers"]) == 3
