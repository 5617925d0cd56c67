"""Every published bill comes out right, and a case that says what is not covered fails."""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.settings import check_names
from tests.accuracy.case import CASES, OWN_CASES, Case, load_cases
from tests.accuracy.checking import check
from tests.accuracy.table import table_lines

OWN = [Case.of(said) for said in json.loads((OWN_CASES / "published_bills.json").read_text(), parse_float=str)]
LOADED = load_cases()
SOME = next(case for case in OWN if case.id == "FP-SLAB-15")


@pytest.mark.parametrize("case", LOADED, ids=[case.id for case in LOADED])
def test_a_published_bill(case: Case) -> None:
    verdict = check(case)
    assert verdict.right, verdict.told()


def test_the_project_s_own_cases_are_whole() -> None:
    assert len({case.id for case in OWN}) == len(OWN) == 184
    assert all(case.said["source"] and case.said["status"] for case in OWN)


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    """What is told of a case that was right before this change."""
    said = copy.deepcopy(dict(SOME.said))
    change(said)
    verdict = check(Case.of(said))
    assert not verdict.right
    return verdict.told()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda said: said.update(model="barter"), "not covered: no translation for model barter"),
        (lambda said: said.update(colour="red"), "not covered: a case has no colour"),
        (lambda said: said["params"].update(colour="red"), "does not read params.colour"),
        (lambda said: said["input"].update(colour="red"), "not covered: input should have one quantity, not 2"),
        (lambda said: said["params"].pop("tiers"), "not covered: params has no tiers"),
        (lambda said: said.update(expected="701"), "the answer: expected 701, found 700"),
        (lambda said: said.update(expected="700.004"), "the answer: expected 700.004, found 700"),
        (lambda said: said.update(expected={"total": "700"}), "total: expected 700, found nothing"),
        (lambda said: said.update(expected=["700"]), "[0]: expected 700, found nothing"),
        (lambda said: said.update(expected=None), "the answer: expected None, found 700"),
        (lambda said: said["params"].update(tiers=[[20, 1], [10, 2], [None, 3]]), "up_to does not rise"),
        (lambda said: said["input"].update(qty="-1"), "negative"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_covered_or_wrong_is_told(change: Callable[[dict[str, Any]], object], told: str) -> None:
    assert told in changed(change)


def test_an_answer_that_is_not_expected_is_wrong() -> None:
    late = next(case for case in OWN if case.id == "OM-PERIODPRESERVING")
    said = copy.deepcopy(dict(late.said))
    del said["expected"][2]["p1"]
    assert "[2].p1: expected nothing, found 10" in check(Case.of(said)).told()


def test_a_case_that_asks_for_more_is_not_covered() -> None:
    converted = next(case for case in OWN if case.id == "OM-UNITCONF-GRAD")
    said = copy.deepcopy(dict(converted.said))
    said["expected"]["colour"] = "red"
    assert "has no answer for colour" in check(Case.of(said)).told()


def test_the_table_counts_by_source_and_model() -> None:
    wrong = Case.of({**SOME.said, "id": "wrong", "expected": "1"})
    lines = list(table_lines([check(SOME), check(wrong)]))
    assert lines == [
        "source               right",
        "flexprice/flexprice    1 of 2",
        "",
        "model      right",
        "graduated    1 of 2",
        "",
        "1 of 2 published bills come out right",
    ]


def test_other_files_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, cases in (("b.json", [dict(SOME.said)]), ("a.json", {"cases": [{**SOME.said, "id": "first"}]})):
        (tmp_path / name).write_text(json.dumps(cases))
    monkeypatch.setenv(CASES, str(tmp_path))
    check_names(os.environ)
    assert [case.id for case in load_cases()] == ["first", SOME.id]
    monkeypatch.setenv(CASES, str(tmp_path / "b.json"))
    assert [case.id for case in load_cases()] == [SOME.id]
    monkeypatch.setenv(CASES, str(tmp_path / "nowhere.json"))
    with pytest.raises(OSError, match=r"nowhere\.json"):
        load_cases()
