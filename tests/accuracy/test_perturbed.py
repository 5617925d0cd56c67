"""Answers come from the pipeline: where a number of a case is changed, an answer changes.

Every number of a case's input has to matter in that case, and every number that the params of a model name in one of
its cases. A number that must not matter is listed with the reason.
"""

import copy
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

import pytest

from tests.accuracy.case import Case, NotCoveredError, load_cases
from tests.accuracy.checking import RefusedError, answers
from tests.accuracy.comparing import told
from tests.accuracy.result import UnclearError
from tests.accuracy.running import RejectedError

Path = tuple[str | int, ...]
CASES = load_cases()
LIKE = 4
"""Of numbers that are alike, such as many lines, so many from either end are tried."""

INPUTS: dict[tuple[str, str], str] = {
    ("late_event_period_preserving", "input.*.run"): "says which run it is, as its place in the list does",
    ("bundle_reorder", "input.*.processed"): "says which call is processed when, as its place in the list does",
    ("ev_session_flat_once", "input.periods"): "a session pays its flat fee once, however many periods it is told in",
    ("threshold_billing", "input.*.day"): "a threshold is about how much is used, not when",
    ("ev_session", "input.FLAT"): "a session pays its flat fee once",
    ("ev_session", "input.RESERVATION_FEE"): "a reservation expires once",
    ("OCPI-MAXDURATION", "input.*.kwh"): "the energy of the first half hour is free",
    ("LAGO-AGG-LATEST", "input.*"): "only the latest value counts",
    ("LAGO-PCT-RATE0", "input.amount"): "the percentage is 0",
    ("LAGO-PCT-MINMAX", "input.amount"): "is the sum of the transactions, which are listed",
    ("LAGO-PCT-MINMAX-FREE30", "input.amount"): "is the sum of the transactions, which are listed",
}
"""Numbers of an input that need not matter in a case, by model or case and place."""
PARAMS: dict[tuple[str, str], str] = {
    ("graduated", "params.fixed"): "is a fee beside the amount that is expected",
    ("graduated_average", "params.tolerance"): "says how far an answer may be off",
    ("proration", "params.days"): "follows from the dates; another number is not covered",
    ("proration", "params.period_days"): "follows from the dates; another number is not covered",
    ("prorated_min_commit", "params.days_used"): "follows from the date; another number is not covered",
    ("prorated_min_commit", "params.days_in_period"): "follows from the date; another number is not covered",
    ("prorated_graduated_stream", "params.period_days"): "follows from the dates; another number is not covered",
    ("byte_hours", "params.hours_in_month"): "says which month it is; another number is no month's, and not covered",
    ("byte_hours+graduated", "params.hours_in_month"): "says which month it is; another number is not covered",
    ("percentage", "params.amount"): "is the input's amount again",
    ("ev_session_duration", "params.per_kwh.>60min"): "no session lasts as long",
    ("ev_session_power", "params.per_kwh.16-32kW"): "no period has this power",
    ("tou_window_commitment", "params.base_overage"): "no window goes beyond its base commitment",
}
"""Numbers of params that need not matter in any case of a model, by model and place."""


def numbers(value: object, path: Path = ()) -> Iterator[Path]:
    """Where there are numbers."""
    if isinstance(value, dict):
        for key, nested in value.items():
            yield from numbers(nested, (*path, key))
    elif isinstance(value, list):
        for index, nested in enumerate(value):
            if index < LIKE or index >= len(value) - LIKE:
                yield from numbers(nested, (*path, index))
    elif number(value) is not None:
        yield path


def number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def changes(value: object) -> Iterator[str | int]:
    """Other numbers in its place, written in the same way."""
    found = number(value)
    if found is None:
        raise TypeError(f"{value!r} is no number")
    for other in (found + 1, found * 2, found * 10, found - 1, found / 2, found + 1000, found * 1_000_000):
        whole = other == other.to_integral_value()
        if other != found and (whole or not isinstance(value, int)):
            yield int(other) if isinstance(value, int) else f"{other:f}"


def place(path: Path) -> str:
    """A place as it is listed here: the indexes of lists are all alike."""
    return ".".join("*" if isinstance(step, int) else step for step in path)


@cache
def answered(case_id: str) -> Any:  # noqa: ANN401 - answers in the form of what is expected
    return told(answers(next(case for case in CASES if case.id == case_id)))


def matters(case: Case, path: Path) -> bool:
    """Whether another number there changes an answer."""
    for other in changes(_at(case.said, path[:-1])[path[-1]]):
        said = copy.deepcopy(dict(case.said))
        _at(said, path[:-1])[path[-1]] = other
        try:
            found = told(answers(Case.of(said)))
        except (NotCoveredError, RefusedError, RejectedError, UnclearError, ValueError, OverflowError):
            continue  # no case at all, and so no answer
        if found != answered(case.id):
            return True
    return False


def _at(said: Any, path: Path) -> Any:  # noqa: ANN401 - any part of a case
    for step in path:
        said = said[step]
    return said


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_every_number_of_the_input_matters(case: Case) -> None:
    places = numbers(case.said.get("input", {}), ("input",))
    asked = [path for path in places if not INPUTS.keys() & {(case.id, place(path)), (case.model, place(path))}]
    assert [place(path) for path in asked if not matters(case, path)] == []


MODELS = sorted({case.model for case in CASES})


@pytest.mark.parametrize("model", MODELS)
def test_every_number_of_the_params_matters_somewhere(model: str) -> None:
    idle: set[str] = set()
    known: set[str] = set()
    for case in (case for case in CASES if case.model == model):
        for path in numbers(case.said.get("params", {}), ("params",)):
            where = place(path)
            if where in known or (model, where) in PARAMS:
                continue
            if matters(case, path):
                known.add(where)
                idle.discard(where)
            else:
                idle.add(where)
    assert idle == set()
