"""The catalogue: files and directories, and how tariffs and accounts must agree."""

from datetime import date
from pathlib import Path

import pytest

from schemas.catalogue import load_catalogue
from schemas.problem import DocumentError


def tariff(name: str, version: str, effective_from: str, currency: str = "GBP", meter: str = "power") -> str:
    price = "price: {model: per_unit, unit_price: 1}"
    return (
        f'tariff: {name}\nversion: "{version}"\neffective_from: {effective_from}\ncurrency: {currency}\n'
        f"meters: {{{meter}: {{unit: kWh, {price}}}}}\n"
    )


def account(name: str, *entries: str, tenant: str = "default") -> str:
    listed = "".join(f"      - {{{entry}}}\n" for entry in entries)
    head = f"  - account: {name}\n    tenant: {tenant}\n    zone: UTC\n    currency: GBP\n    tariffs:\n"
    return head + listed


def file(tmp_path: Path, name: str, content: str) -> Path:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def problems(tmp_path: Path, tariffs: str, accounts: str) -> list[str]:
    paths = file(tmp_path, "t.yaml", tariffs), file(tmp_path, "a.yaml", f"accounts:\n{accounts}")
    with pytest.raises(DocumentError) as told:
        load_catalogue(*paths)
    assert str(told.value).splitlines() == [str(problem) for problem in told.value.problems]
    return [str(problem).replace(f"{tmp_path}/", "") for problem in told.value.problems]


TWO_VERSIONS = tariff("day", "2", "2012-06-01") + "---\n" + tariff("day", "1", "2012-01-01")


def test_versions_are_in_the_order_of_their_dates(tmp_path: Path) -> None:
    tariffs = file(tmp_path, "t.yaml", TWO_VERSIONS)
    accounts = file(tmp_path, "a.yaml", "accounts:\n" + account("x", "tariff: day, from: 2012-01-01"))
    catalogue = load_catalogue(tariffs, accounts)
    assert [version.version for version in catalogue.tariffs["day"]] == ["1", "2"]
    assert catalogue.accounts["default", "x"].tariffs[0].from_ == date(2012, 1, 1)


def test_directories_hold_documents_and_other_files(tmp_path: Path) -> None:
    file(tmp_path, "tariffs/day.yaml", tariff("day", "1", "2012-01-01"))
    file(tmp_path, "tariffs/night.yml", tariff("night", "1", "2012-01-01", meter="heat"))
    text = '{"tariff": "gas", "version": "1", "effective_from": "2012-01-01", "currency": "GBP",\n "meters": '
    text += '{"gas": {"unit": "kWh", "price": {"model": "per_unit", "unit_price": 0.1}}}}'
    file(tmp_path, "tariffs/gas.json", text)
    file(tmp_path, "tariffs/README.md", "not a document")
    file(tmp_path, "tariffs/.hidden.yaml", "not: [a document")
    entries = ("tariff: day, from: 2012-01-01", "tariff: night, from: 2012-01-01", "tariff: gas, from: 2012-01-01")
    file(tmp_path, "accounts/one.yaml", "accounts:\n" + account("x", *entries))
    file(tmp_path, "accounts/two.yaml", "accounts:\n" + account("x", *entries[:1], tenant="other"))
    catalogue = load_catalogue(tmp_path / "tariffs", tmp_path / "accounts")
    assert sorted(catalogue.tariffs) == ["day", "gas", "night"]
    assert sorted(catalogue.accounts) == [("default", "x"), ("other", "x")]


def test_problems_of_all_files_are_told_together(tmp_path: Path) -> None:
    file(tmp_path, "tariffs/a.yaml", tariff("day", "1", "2012-01-01").replace("unit: kWh", "unit: 1"))
    file(tmp_path, "tariffs/b.yaml", "tariff: [\n")
    bad_account = file(tmp_path, "accounts.yaml", "accounts:\n" + account("x", "tariff: day, from: never"))
    with pytest.raises(DocumentError) as told:
        load_catalogue(tmp_path / "tariffs", bad_account)
    assert [(Path(problem.file).name, problem.line) for problem in told.value.problems] == [
        ("a.yaml", 5),
        ("b.yaml", 2),
        ("accounts.yaml", 7),
    ]


def test_a_directory_without_documents(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="no document in the directory - put a"):
        load_catalogue(tmp_path, tmp_path)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as told:
        load_catalogue(tmp_path / "tariffs", tmp_path / "accounts.yaml")
    assert [problem.what for problem in told.value.problems] == ["cannot be read", "cannot be read"]


DAY = tariff("day", "1", "2012-01-01")
GAS = tariff("gas", "1", "2012-01-01", meter="gas")
FROM_START = "tariff: day, from: 2012-01-01"

DISAGREEMENTS = [
    (
        "same version twice",
        DAY + "---\n" + tariff("day", "1", "2013-01-01"),
        account("x", FROM_START),
        't.yaml:8: version: day@1 is already at t.yaml:2 ("1") - give the new version another name',
    ),
    (
        "two versions on one date",
        DAY + "---\n" + tariff("day", "2", "2012-01-01"),
        account("x", FROM_START),
        (
            "t.yaml:9: effective_from: version 1 at t.yaml:1 takes effect on the same date (2012-01-01)"
            " - date one of them later"
        ),
    ),
    (
        "account twice",
        DAY,
        account("x", FROM_START) + account("x", FROM_START),
        (
            'a.yaml:8: accounts[1].account: account of tenant default is already at a.yaml:2 ("x")'
            " - remove one, or put all its tariffs under one account"
        ),
    ),
    (
        "unknown tariff",
        DAY,
        account("x", "tariff: dya, from: 2012-01-01"),
        (
            'a.yaml:7: accounts[0].tariffs[0].tariff: no such tariff ("dya")'
            ' - publish it among the tariffs, or did you mean "day"?'
        ),
    ),
    (
        "other currency",
        tariff("day", "1", "2012-01-01", "EUR"),
        account("x", FROM_START),
        (
            'a.yaml:7: accounts[0].tariffs[0].tariff: day@1 is in EUR, the account in GBP ("day")'
            " - give the account a tariff in GBP, or change its currency"
        ),
    ),
    (
        "other currency in a later version",
        DAY + "---\n" + tariff("day", "2", "2012-06-01", "EUR"),
        account("x", FROM_START) + account("y", "tariff: day, from: 2012-01-01, until: 2012-06-01"),
        (
            'a.yaml:7: accounts[0].tariffs[0].tariff: day@2 is in EUR, the account in GBP ("day")'
            " - give the account a tariff in GBP, or change its currency"
        ),
    ),
    (
        "before the first version",
        TWO_VERSIONS,
        account("x", "tariff: day, from: 2011-12-31"),
        (
            "a.yaml:7: accounts[0].tariffs[0].from: day takes effect only on 2012-01-01 (version 1) (2011-12-31)"
            " - start the entry on 2012-01-01, or publish an earlier version"
        ),
    ),
    (
        "a meter priced by two tariffs",
        DAY + "---\n" + tariff("night", "1", "2012-01-01"),
        account("x", FROM_START, "tariff: night, from: 2012-03-01"),
        (
            "a.yaml:8: accounts[0].tariffs[1]: meter power is priced twice from 2012-03-01: by day and by night"
            " - end one entry by then: until: 2012-03-01"
        ),
    ),
    (
        "a tariff that overlaps itself",
        TWO_VERSIONS,
        account("x", "tariff: day, from: 2012-02-01, until: 2012-09-01", "tariff: day, from: 2012-08-31"),
        (
            "a.yaml:8: accounts[0].tariffs[1]: meter power is priced twice from 2012-08-31: by day and by day"
            " - end one entry by then: until: 2012-08-31"
        ),
    ),
    (
        "a meter that a later version adds",
        DAY + "---\n" + GAS + "---\n" + tariff("gas", "2", "2012-06-01", meter="power"),
        account("x", FROM_START, "tariff: gas, from: 2012-01-01"),
        (
            "a.yaml:8: accounts[0].tariffs[1]: meter power is priced twice from 2012-06-01: by day and by gas"
            " - end one entry by then: until: 2012-06-01"
        ),
    ),
]


@pytest.mark.parametrize(
    ("tariffs", "accounts", "told"), [case[1:] for case in DISAGREEMENTS], ids=[case[0] for case in DISAGREEMENTS]
)
def test_what_does_not_agree_is_told(tmp_path: Path, tariffs: str, accounts: str, told: str) -> None:
    assert problems(tmp_path, tariffs, accounts) == [told]


AGREEMENTS = [
    ("one after the other", ("tariff: day, from: 2012-01-01, until: 2012-03-01", "tariff: night, from: 2012-03-01")),
    (
        "one after the other, told by the last day",
        ("tariff: day, from: 2012-01-01, last_day: 2012-02-29", "tariff: night, from: 2012-03-01"),
    ),
    (
        "listed in another order",
        ("tariff: night, from: 2012-03-01", "tariff: day, from: 2012-01-01, until: 2012-03-01"),
    ),
    ("side by side on two meters", (FROM_START, "tariff: gas, from: 2012-01-01")),
    ("away and back", ("tariff: day, from: 2012-01-01, until: 2012-02-01", "tariff: day, from: 2012-03-01")),
]


@pytest.mark.parametrize("entries", [case[1] for case in AGREEMENTS], ids=[case[0] for case in AGREEMENTS])
def test_what_agrees_is_taken(tmp_path: Path, entries: tuple[str, ...]) -> None:
    tariffs = file(tmp_path, "t.yaml", "---\n".join([DAY, GAS, tariff("night", "1", "2012-01-01")]))
    accounts = file(tmp_path, "a.yaml", "accounts:\n" + account("x", *entries))
    assert len(load_catalogue(tariffs, accounts).accounts) == 1
