"""Account documents: what they become, and every way to get one wrong."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.account import Account, AccountFile, Cycle
from schemas.documents import read_documents
from schemas.problem import Problem
from schemas.validation import validate

RIGHT = """\
accounts:
  - account: uk-home-0
    zone: Europe/London
    currency: GBP
    billing_day: 31
    tariffs:
      - {tariff: uk-electricity, from: 2020-04-01}
      - {tariff: uk-gas, from: 2020-04-01, until: 2022-12-01}
    fees:
      - {name: Paper bill, amount: 1.5, per: period}
    tax: []
  - {account: "42", tenant: acme, zone: UTC, currency: USD, tariffs: [{tariff: a, from: 2012-01-01}]}
"""


def checked(tmp_path: Path, text: str) -> tuple[AccountFile | None, list[Problem]]:
    file = tmp_path / "accounts.yaml"
    file.write_text(text)
    documents, problems = read_documents(file)
    assert problems == []
    return validate(AccountFile, documents[0])


def test_right_accounts_are_taken_as_written(tmp_path: Path) -> None:
    file, problems = checked(tmp_path, RIGHT)
    assert problems == []
    assert file is not None
    home, other = file.accounts
    assert (home.tenant, home.billing_day, home.tax) == ("default", 31, ())
    assert home.tariffs[1].until == date(2022, 12, 1)
    assert home.fees[0].amount == Decimal("1.5")
    assert (other.tenant, other.billing_day, other.tax, other.fees) == ("acme", 1, None, ())


WRONG = [
    ("account: uk-home-0", "account: 17", 2, "accounts[0].account", "must be text (17)", 'quote it: account: "17"'),
    ("account: uk-home-0", 'account: ""', 2, "accounts[0].account", "must not be empty", "write"),
    ("account: uk-home-0", "acount: uk-home-0", 2, "accounts[0].acount", "unknown key", '"account"'),
    ("Europe/London", "Europe/Londn", 3, "accounts[0].zone", "not a time zone", '"Europe/London"'),
    ("Europe/London", "europe/london", 3, "accounts[0].zone", "not a time zone", 'mean "Europe/London"?'),
    ("Europe/London", '"+01:00"', 3, "accounts[0].zone", "not a time zone", "use one of"),
    ("Europe/London", "right/Europe/London", 3, "accounts[0].zone", "not a time zone", '"Europe/London"'),
    ("GBP", "GPB", 4, "accounts[0].currency", "ISO 4217", '"GBP"'),
    ("billing_day: 31", "billing_day: 32", 5, "accounts[0].billing_day", "must be from 1 to 31 (32)", "1 to 31"),
    ("billing_day: 31", "billing_day: 0", 5, "accounts[0].billing_day", "must be from 1 to 31 (0)", "1 to 31"),
    ("until: 2022-12-01", "until: 2020-04-01", 8, "accounts[0].tariffs[1].until", "not after from", "a later date"),
    ("uk-gas, from: 2020-04-01", "uk-gas", 8, "accounts[0].tariffs[1].from", "is missing", "2020-04-01"),
    ("{tariff: uk-gas, ", "{tariff: uk-gas@2, ", 8, "accounts[0].tariffs[1].tariff", "not a valid name", "a to z"),
    ("tariffs: [{tariff: a, from: 2012-01-01}]", "tariffs: []", 12, "accounts[1].tariffs", "not be empty", "write"),
    ("per: period", "per: decade", 10, "accounts[0].fees[0].per", "not one of the known words", "day, month, once"),
    (
        "per: period",
        "per: once, prorate: thirty",
        10,
        "accounts[0].fees[0].prorate",
        "is due in full",
        "remove prorate",
    ),
    ("per: period", "per: day, prorate: thirty", 10, "accounts[0].fees[0].prorate", "by its days", "remove prorate"),
    (
        "until: 2022-12-01",
        "until: 2022-12-01, last_day: 2022-11-30",
        8,
        "accounts[0].tariffs[1].last_day",
        "both",
        "one",
    ),
    ("until: 2022-12-01", "last_day: 2020-03-31", 8, "accounts[0].tariffs[1].last_day", "before from", "a later date"),
    ("GBP", "GBP\n    cycle: {every: 3}", 6, "accounts[0].billing_day", "cycle both say", "an anchor on such a day"),
    ("billing_day: 31", "cycle: {every: 5}", 5, "accounts[0].cycle.anchor", "every 5 months begin", "first date"),
    ("billing_day: 31", "cycle: {unit: week, every: 2}", 5, "accounts[0].cycle.anchor", "every 2 weeks begin", "date"),
    (
        "billing_day: 31",
        "cycle: {unit: fortnight}",
        5,
        "accounts[0].cycle.unit",
        "not one of the known words",
        "quarter",
    ),
    ("billing_day: 31", "cycle: {every: 0}", 5, "accounts[0].cycle.every", "from 1 to 366", "1 to 366"),
    (
        "billing_day: 31",
        "cycle: {anchor: monday}",
        5,
        "accounts[0].cycle.anchor",
        'nor a date ("monday")',
        "write calendar",
    ),
    ("billing_day: 31", "cycle: {anchor: 2023-02-29}", 5, "accounts[0].cycle.anchor", "no such date", "YYYY-MM-DD"),
    ("billing_day: 31", "clock: utc", 5, "accounts[0].clock", "not one of the known words", "fixed-offset, zone"),
    ("tax: []", "tax: none", 11, "accounts[0].tax", "must be a list", "start each item"),
    ("zone: UTC, ", "", 12, "accounts[1].zone", "is missing", '`zone: "Europe/London"`'),
]


@pytest.mark.parametrize(
    ("right", "wrong", "line", "path", "what", "remedy"), WRONG, ids=[f"{case[3]}: {case[1]}" for case in WRONG]
)
def test_a_wrong_account_is_told_with_line_and_remedy(
    tmp_path: Path, right: str, wrong: str, line: int, path: str, what: str, remedy: str
) -> None:
    assert RIGHT.count(right) == 1
    file, problems = checked(tmp_path, RIGHT.replace(right, wrong))
    assert file is None
    told = [problem for problem in problems if problem.path == path and what in str(problem)]
    assert told, [str(problem) for problem in problems]
    assert told[0].line == line
    assert remedy in told[0].remedy


@pytest.mark.parametrize(
    "cycle",
    [
        {},
        {"every": 6},
        {"every": 2, "unit": "quarter"},
        {"unit": "week"},
        {"every": 30, "unit": "day", "anchor": "2025-01-01"},
        {"every": 5, "anchor": "2024-01-31"},
    ],
)
def test_a_cycle_is_stored_as_it_was_written(cycle: dict[str, object]) -> None:
    entry = {"tariff": "a", "from": "2012-01-01", "last_day": "2012-12-31"}
    home = Account.model_validate(
        {"account": "1", "zone": "UTC", "currency": "USD", "cycle": cycle, "tariffs": [entry]}
    )
    assert Account.model_validate_json(home.model_dump_json(by_alias=True, exclude_defaults=True)) == home
    assert (home.cycle == Cycle()) == (cycle == {})
    assert home.tariffs[0].end == date(2013, 1, 1)


def test_a_billing_day_and_the_default_cycle_do_not_contradict_each_other(tmp_path: Path) -> None:
    _, problems = checked(tmp_path, RIGHT.replace("billing_day: 31", "billing_day: 31\n    cycle: {unit: month}"))
    assert problems == []
