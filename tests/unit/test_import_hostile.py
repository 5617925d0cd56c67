"""Importing what nobody would write: any change to a foreign tariff is imported or refused, and never an accident."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.importing import cgrates, ocpi, urdb
from schemas.importing.cdr import usage_of
from schemas.importing.reading import Given, Imported, Inexpressible, foreign_json
from schemas.importing.yaml_text import yaml_text
from schemas.tariff import Tariff
from tests.imported import FIXTURES

EURO = Given("EUR")
WHATEVER = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["1e400", "*any", "-1", "2026-02-30", "RESERVATION", "\ud800"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:  # noqa: ANN401
    """The paths of everything in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in inner for place in places(item, (*at, key)))]


def changed(value: Any, place: tuple[str | int, ...], put: object) -> Any:  # noqa: ANN401
    """A copy of the value with something else at the place."""
    if not place:
        return put
    root = copy.deepcopy(value)
    node = root
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = put
    return root


def tell(found: list[Imported]) -> None:
    """Writes what was imported; a document may still be refused as a tariff."""
    for one in found:
        assert (one.document is None) == bool(one.findings)
        if one.document is not None:
            yaml_text([one.document]).encode()
            try:
                Tariff.model_validate(one.document)
            except ValidationError:
                continue


def load(name: str) -> Any:  # noqa: ANN401
    return json.loads((FIXTURES / name).read_bytes())


URDB = [load(file.name) for file in sorted(FIXTURES.glob("urdb-*.json"))]
OCPI = [*load("ocpi-tariffs.json")["data"], load("ocpi-cdr.json")]


@settings(max_examples=200)
@given(st.data())
def test_any_change_to_a_urdb_rate(data: st.DataObject) -> None:
    rate = data.draw(st.sampled_from(URDB))
    place = data.draw(st.sampled_from(places(rate)))
    tell(urdb.tariffs(json.dumps(changed(rate, place, data.draw(WHATEVER))).encode(), EURO))


@settings(max_examples=200)
@given(st.data())
def test_any_change_to_ocpi(data: st.DataObject) -> None:
    value = data.draw(st.sampled_from(OCPI))
    place = data.draw(st.sampled_from(places(value)))
    content = json.dumps(changed(value, place, data.draw(WHATEVER))).encode()
    tell(ocpi.tariffs(content, EURO))
    usage_of(content)


@settings(max_examples=200)
@given(st.data())
def test_any_change_to_a_tariff_plan(data: st.DataObject) -> None:
    files = {file.name: file.read_bytes() for file in sorted((FIXTURES / "cgrates").glob("*.csv"))}
    name = data.draw(st.sampled_from(sorted(files)))
    lines = files[name].split(b"\n")
    index = data.draw(st.integers(0, len(lines) - 1))
    cells = lines[index].split(b",")
    cells[data.draw(st.integers(0, len(cells) - 1))] = data.draw(
        st.binary(max_size=4) | st.sampled_from([b"", b"*any", b"-1", b"9;9", b"1e9", b"99999999999999999999h"])
    )
    tell(cgrates.tariffs({**files, name: b"\n".join([*lines[:index], b",".join(cells), *lines[index + 1 :]])}, EURO))


@pytest.mark.parametrize(
    "content", [b'{"a": 1, "a": 2}', b'"\\ud800"', b"[" * 100_000, b'{"a": "\\ud800"}', b"\x80", b"NaN"]
)
def test_json_that_could_be_read_in_two_ways_is_refused(content: bytes) -> None:
    with pytest.raises(Inexpressible):
        foreign_json(content)
