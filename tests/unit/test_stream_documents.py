"""Documents of the stream: what is published while usage is being rated, taken or refused, as a directory does it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from agents.directory import Directory
from agents.errors import SuccessionError
from agents.reference import Reference
from agents.stream.documents import Documents
from agents.stream.keys import account_key, partition_of
from agents.succession import decode_past, past_key
from pipeline.entries import Key
from pipeline.ledger import Ledger
from pipeline.processing import Pipeline
from pipeline.terms import Plans
from schemas.account import Account
from schemas.catalogue import Catalogue
from schemas.rejection import Reason
from schemas.tariff import Tariff, canonical
from tests.small_books import LATER, Json, account, amounts, per_unit, reading, tariff, us
from tests.small_partition import SmallPartition

POWER: Json = {"power": {"unit": "kWh", "price": per_unit("2")}}
SMS: Json = {"sms": {"unit": "message", "price": per_unit("1")}}
FIRST = tariff(meters=POWER)
FLAT = tariff(per_unit("3"), tariff="flat")
HOME = account()
HOME_KEY = account_key("default", "home")
RATED = [reading("u1", "1", "2024-01-05"), reading("u2", "1", "2024-02-10")]
FOLLOWING = [reading("u3", "1", "2024-02-20"), reading("u4", "1", "2024-03-05"), reading("u5", "1", "2024-04-05")]


def version(name: str, effective_from: str, meters: Json | None = None, currency: str = "USD") -> Tariff:
    """A version of `plan` at 5 a unit."""
    changed = {"power": {"unit": "kWh", "price": per_unit("5")}} if meters is None else meters
    return tariff(version=name, effective_from=effective_from, meters=changed, currency=currency)


def json_of(document: Account) -> bytes:
    return document.model_dump_json(by_alias=True, exclude_defaults=True).encode()


def with_usage(*more: Tariff | Account) -> SmallPartition:
    """A partition that has rated usage of the first days of two months."""
    stream = SmallPartition()
    assert stream.publish(FIRST, FLAT, HOME, *more) == []
    assert stream.take(*RATED) == []
    return stream


def stored(stream: SmallPartition) -> dict[Key, bytes]:
    """What is stored, but for how far the inputs have been applied."""
    return {key: value for key, value in stream.disk.values.items() if key not in (b"@", b"!place")}


class Case(NamedTuple):
    """Documents that follow, whether they are taken, and the amounts of the usage that follows."""

    documents: Sequence[Tariff | Account]
    is_taken: bool
    follows: Sequence[int]
    says: str = ""


CASES = {
    "nothing": Case([], True, [2, 2, 2]),
    "the same documents": Case([FIRST, HOME], True, [2, 2, 2]),
    "a version for later": Case([version("2", "2024-03-01")], True, [2, 5, 5]),
    "a version within what was rated": Case([version("2", "2024-02-01")], True, [2, 5, 5]),
    "a version before all that was rated": Case([version("2", "2023-01-01")], True, [2, 5, 5]),
    "a version for later in the same month": Case([version("2", "2024-02-15")], True, [5, 5, 5]),
    "a version without the meter, for later": Case([version("2", "2024-03-01", SMS)], True, [2]),
    "a version that takes the meter away": Case([version("2", "2024-02-01", SMS)], False, [2, 2, 2], "no tariff from"),
    "a version that has changed": Case([version("1", "2000-01-01")], False, [2, 2, 2], "never changes"),
    "a change of plan for later": Case(
        [account(("plan", "2024-01-01", "2024-03-01"), ("flat", "2024-03-01", None))], True, [2, 3, 3]
    ),
    "a change of plan within what was rated": Case(
        [account(("plan", "2024-01-01", "2024-02-01"), ("flat", "2024-02-01", None))], True, [2, 3, 3]
    ),
    "another plan from the beginning": Case([account(("flat", "2024-01-01", None))], True, [2, 3, 3]),
    "an end for later": Case([account(("plan", "2024-01-01", "2024-03-01"))], True, [2]),
    "an end before what was rated": Case(
        [account(("plan", "2024-01-01", "2024-02-01"))], False, [2, 2, 2], "no tariff"
    ),
    "another zone": Case([account(zone="Europe/Berlin")], False, [2, 2, 2], "cannot change"),
    "another cycle": Case([account(billing_day=15)], False, [2, 2, 2], "cannot change"),
    "a fee": Case([account(fees=[{"name": "Meter", "amount": "1", "per": "period"}])], True, [2, 2, 2]),
    "a version and a plan": Case(
        [version("2", "2024-03-01"), account(("plan", "2024-01-01", "2024-04-01"), ("flat", "2024-04-01", None))],
        True,
        [2, 5, 3],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_was_rated_stays_in_force_and_the_rest_follows_the_documents(name: str) -> None:
    case = CASES[name]
    stream = with_usage()
    before = stored(stream)
    refused = stream.publish(*case.documents)
    assert bool(refused) != case.is_taken
    if refused:
        assert case.says in refused[0]
        assert stored(stream) == before
    stream.take(*FOLLOWING)
    assert amounts([charge for charge in stream.charges if charge.usage_id and charge.usage_id > "u2"]) == case.follows


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_a_directory_makes_of_the_same_documents(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    stream = with_usage()
    refused = stream.publish(*case.documents)
    stream.restart()
    with Directory(tmp_path) as directory:
        reference = Reference(directory)
        reference.adopt(Catalogue.of([FIRST, FLAT], [HOME]), us("2024-01-01"))
        ledger = Ledger(reference.plans(), directory)
        Pipeline(ledger).process(RATED, [LATER] * len(RATED))
        directory.commit(ledger.changes())
        given = Catalogue.of(
            [each for each in case.documents if isinstance(each, Tariff)],
            [each for each in case.documents if isinstance(each, Account)],
        )
        told = ""
        try:
            reference.adopt(given, LATER)
        except SuccessionError as error:
            told = str(error)
        assert bool(told) == bool(refused)
        assert case.says in told
        assert in_force(Documents(stream.table, 0, 1).plans) == in_force(Reference(directory).plans())
        past = stream.table.get(past_key("default", "home"))
        pasts = {} if past is None else {("default", "home"): decode_past(past)}
        assert pasts == Reference(directory).behind()


def in_force(plans: Plans) -> tuple[Account, list[tuple[bytes, int, int]]]:
    """The account, and which tariffs are in force for it when."""
    plan = plans.account("default", "home")
    assert plan is not None
    return plan.account, [(canonical(entry.tariff), entry.start, entry.end) for entry in plan.assignments]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_plan_change_while_usage_flows_holds_for_later_usage_only(restarts: bool) -> None:
    stream = SmallPartition()
    stream.publish(FIRST, FLAT, HOME)
    days = [reading(f"d{day}", "1", f"2024-01-{day:02}") for day in range(1, 31)]
    stream.take(*days[:10])
    stream.publish(account(("plan", "2024-01-01", "2024-01-21"), ("flat", "2024-01-21", None)))
    if restarts:
        stream.restart()
    stream.take(*days[10:], reading("late", "1", "2024-01-04"), reading("void", None, "2024-01-25", corrects="d25"))
    assert amounts(stream.charges) == [2] * 20 + [3] * 10 + [2, -3]


def test_tariffs_come_first_whatever_the_order() -> None:
    stream = SmallPartition()
    assert stream.publish(HOME, FLAT, FIRST) == []
    assert stream.take(*RATED) == []


def test_an_account_is_taken_once_its_tariff_is_there() -> None:
    stream = SmallPartition()
    assert "no such tariff" in stream.publish(HOME)[0]
    assert stream.take(RATED[0]) == [Reason.UNKNOWN_ACCOUNT]
    assert stream.publish(FIRST) == []
    assert stream.take(RATED[0]) == [Reason.UNKNOWN_ACCOUNT]
    assert stream.publish(HOME) == []
    assert stream.take(RATED[0]) == []


def test_an_account_is_refused_with_its_tariff() -> None:
    stream = with_usage()
    refused = stream.publish(
        tariff(per_unit("1"), tariff="flat", version="2", currency="EUR"), account(("euro", "2024-01-01", None))
    )
    assert len(refused) == 2
    assert "its other versions are in USD" in refused[0]
    assert "no such tariff" in refused[1]


BAD: dict[str, tuple[bytes, bytes | None, str]] = {
    "no document": (HOME_KEY, None, "never deleted"),
    "no JSON": (HOME_KEY, b"{", "Invalid JSON"),
    "no text": (HOME_KEY, b"\xff\x00", "Publish a valid document"),
    "not an object": (HOME_KEY, b"[]", "Publish a valid document"),
    "a field that is not one": (HOME_KEY, json_of(HOME).replace(b'"zone"', b'"zones"'), "zones"),
    "a zone that is none": (HOME_KEY, json_of(HOME).replace(b'"UTC"', b'"Moon"'), "zone"),
    "an unknown tariff": (HOME_KEY, json_of(account(("nothing", "2024-01-01", None))), "no such tariff"),
    "a tariff before it begins": (HOME_KEY, json_of(account(("plan", "1999-01-01", None))), "takes effect only on"),
    "two tariffs for a meter": (
        HOME_KEY,
        json_of(account(("plan", "2024-01-01", None), ("flat", "2024-02-01", None))),
        "priced twice",
    ),
    "another currency": (HOME_KEY, json_of(account(currency="EUR")), "the account in EUR"),
    "another account's key": (account_key("default", "house"), json_of(HOME), "Publish it with the key 'default/home'"),
    "another tenant's key": (account_key("other", "home"), json_of(HOME), "Publish it with the key 'default/home'"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("is_known", [False, True])
def test_an_account_that_cannot_be_taken_changes_nothing(name: str, is_known: bool) -> None:
    key, value, says = BAD[name]
    stream = with_usage() if is_known else SmallPartition()
    stream.publish(FIRST, FLAT)
    before = stored(stream)
    message = stream.published("accounts", key, value)
    (rejection,) = stream.adopt(message)
    assert rejection.reason is Reason.INVALID_DOCUMENT
    assert says in rejection.message
    assert (rejection.position.origin, rejection.position.offset) == ("accounts", message.offset)
    assert (rejection.tenant, rejection.account) == tuple(key.decode().split("/"))
    assert (stream.rejected[-1].key, stream.rejected[-1].value) == (key, value or b"")
    assert stored(stream) == before
    assert stream.table.applied.accounts == message.offset + 1
    assert bool(stream.take(FOLLOWING[0])) != is_known


def test_an_account_without_a_key_is_refused() -> None:
    stream = with_usage()
    (rejection,) = stream.adopt(stream.published("accounts", None, json_of(HOME)))
    assert "Publish it with the key" in rejection.message
    assert stream.rejected[-1].key is None


def test_an_account_of_another_partition_is_refused() -> None:
    home = partition_of(HOME_KEY, 4)
    for number in range(4):
        stream = SmallPartition(number=number, partitions=4)
        assert bool(stream.publish(FIRST, HOME)) == (number != home)


BAD_TARIFFS: dict[str, tuple[bytes | None, str]] = {
    "no document": (None, "Publish a valid version"),
    "no JSON": (b"{", "Invalid JSON"),
    "not finite": (canonical(FIRST).replace(b'"2"', b'"NaN"'), "Publish a valid version"),
    "many problems": (json.dumps({f"x{number}": 1 for number in range(9)}).encode(), "more. Publish"),
    "the key of another version": (canonical(version("1", "2000-01-01")), "Publish it with the key"),
    "another currency": (canonical(version("2", "2024-03-01", currency="EUR")), "is in EUR"),
    "a meter taken away": (canonical(version("2", "2024-02-05", SMS)), "Let its tariffs end later"),
}


@pytest.mark.parametrize("name", BAD_TARIFFS)
def test_a_tariff_that_cannot_be_taken_changes_nothing(name: str) -> None:
    value, says = BAD_TARIFFS[name]
    stream = with_usage()
    before = stored(stream)
    (rejection,) = stream.adopt(stream.published("tariffs", b"plan@2", value))
    assert rejection.reason is Reason.INVALID_DOCUMENT
    assert says in rejection.message
    assert "\n" not in rejection.message
    assert stored(stream) == before
    assert stream.take(FOLLOWING[0]) == []
    assert amounts(stream.charges[-1:]) == [2]


def test_of_two_documents_for_one_version_the_first_holds() -> None:
    stream = SmallPartition()
    assert len(stream.publish(FIRST, version("1", "2000-01-01"), HOME)) == 1
    stream.take(RATED[0])
    assert amounts(stream.charges) == [2]


def test_of_two_versions_for_one_date_the_later_one_holds() -> None:
    stream = SmallPartition()
    stream.publish(FIRST, HOME, version("b", "2024-01-01"))
    stream.publish(version("a", "2024-01-01", {"power": {"unit": "kWh", "price": per_unit("7")}}))
    stream.take(RATED[0])
    stream.restart()
    stream.take(RATED[1])
    assert amounts(stream.charges) == [7, 7]


def test_of_two_documents_for_one_account_the_later_one_holds() -> None:
    stream = SmallPartition()
    assert stream.publish(FIRST, FLAT, HOME, account(("flat", "2024-01-01", None))) == []
    stream.take(RATED[0])
    assert amounts(stream.charges) == [3]


def test_one_contradiction_refuses_the_version_for_all() -> None:
    """Only the account that has sent the meter is against it."""
    stream = SmallPartition()
    both = tariff(meters={**POWER, **SMS})
    stream.publish(both, HOME, account(account="other"))
    stream.take(RATED[1], replace(RATED[1], id="o", account="other", meter="sms"))
    before = stored(stream)
    assert "meter 'sms' would have no tariff" in stream.publish(version("2", "2024-02-01", POWER))[0]
    assert stored(stream) == before


def test_the_same_documents_again_change_nothing() -> None:
    stream = with_usage()
    declared = Documents(stream.table, 0, 1).declared("default", "home")
    assert declared == us("2024-01-01")
    before = stored(stream)
    assert stream.publish(FIRST, FLAT, HOME) == []
    assert [[key for key, _ in entries] for entries in stream.entries[-1:]] == [[b"@"]]
    assert stored(stream) == before


def test_an_account_was_declared_when_it_was_first_published() -> None:
    stream = with_usage()
    changed = account(fees=[{"name": "Meter", "amount": "1", "per": "period"}])
    message = stream.published("accounts", HOME_KEY, json_of(changed))
    assert stream.adopt(message._replace(appended=LATER)) == []
    documents = Documents(stream.table, 0, 1)
    assert documents.declared("default", "home") == us("2024-01-01")
    with pytest.raises(KeyError):
        documents.declared("default", "nobody")


def test_names_come_in_order_and_go_on_after_a_cursor() -> None:
    stream = SmallPartition()
    accounts = [account(account=name, tenant=tenant) for name in ("b", "a", "aa") for tenant in ("t", "default")]
    stream.publish(FIRST, *accounts)
    documents = Documents(stream.table, 0, 1)
    found = list(documents.names_after(b""))
    assert sorted(name for _, name in found) == sorted((each.tenant, each.account) for each in accounts)
    for number, (cursor, _) in enumerate(found):
        assert list(documents.names_after(cursor)) == found[number + 1 :]
