"""Account documents: what they become, and every way to get one wrong."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.account import AccountFile
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
    ("per: period", "per: month", 10, "accounts[0].fees[0].per", "not one of the known words", "day, period"),
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
