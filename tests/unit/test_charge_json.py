"""Charges read from JSON quickly are the charges that the layout reads: exact, whole, and nothing else."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.charge import Charge
from schemas.codecs import json_bytes, json_from
from schemas.fixed_point import LIMIT
from sinks.charge_columns import CHARGES, charges_table
from sinks.charge_json import charges_from_json, quick_table
from sinks.errors import Refused
from tests.contract.made_nouns import made_charge
from tests.unit.test_columns import charges

WIDEST = replace(made_charge(0), amount=LIMIT - 1, running_total=1 - LIMIT, used_before=1 - LIMIT, quantity=LIMIT - 1)


@given(st.lists(charges, min_size=1, max_size=4))
@example([WIDEST, replace(made_charge(1), parts=()), made_charge(2)])
@example([replace(made_charge(1), usage_id='"\n\u0000\\é😀', usage_start=-62_135_596_800_000_000)])
def test_they_are_the_rows_of_the_same_charges(made: list[Charge]) -> None:
    values = [json_bytes(charge) for charge in made]
    expected = charges_table([json_from(value, Charge) for value in values])
    assert expected.equals(charges_table(made))
    table = charges_from_json(values)
    assert table.schema == CHARGES
    table.validate(full=True)
    assert table.equals(expected)
    quick = quick_table(values)
    assert (quick is None) == any(_is_widest(charge) for charge in made), "what the stream writes is read quickly"
    assert quick is None or quick.equals(expected)


def _is_widest(charge: Charge) -> bool:
    """Whether a number of it is so near the limit that only the layout can tell on which side it is."""
    parts = [number for part in charge.parts for number in (part.unit_price, part.quantity, part.amount, part.tax)]
    numbers = [charge.used_before, charge.quantity, charge.amount, charge.running_total, *parts]
    return any(float(abs(number)) >= float(LIMIT) for number in numbers)


def test_many_blocks_of_the_reader_are_one_table() -> None:
    made = [made_charge(number) for number in range(20_000)]
    values = [json_bytes(charge) for charge in made]
    assert sum(map(len, values)) > 2 * (4 << 20)
    table = quick_table(values)
    assert table is not None
    assert table.equals(charges_table(made))


Fields = dict[str, Any]


def changed(**values: object) -> bytes:
    """The JSON of a charge with other values; those of its first part begin with `part_`."""
    fields: Fields = json.loads(json_bytes(made_charge(1)))
    for name, value in values.items():
        if name.startswith("part_"):
            fields["parts"][0][name.removeprefix("part_")] = value
        else:
            fields[name] = value
    return json.dumps(fields).encode()


def without(name: str) -> bytes:
    fields: Fields = json.loads(json_bytes(made_charge(1)))
    del fields[name]
    return json.dumps(fields).encode()


WHOLE = json_bytes(made_charge(1))
WRONG = [
    changed(quantity="0.1234567"),
    changed(amount="0.1234567890123456789"),
    changed(part_unit_price="0.1234567890123"),
    changed(used_before="9" * 33),
    changed(used_before="NaN"),
    changed(used_before="1e33"),
    changed(amount=1),
    changed(amount="450356684760857961591.2"),
    changed(amount="-200825002500050025000075"),
    changed(part_amount="1" + "0" * 30),
    changed(part_unit_price="1" + "0" * 26),
    changed(amount=None),
    changed(meter=None),
    changed(meter=5),
    changed(kind="gift"),
    changed(parts=None),
    changed(parts=[None]),
    changed(part_tier=None),
    changed(part_tier="1"),
    changed(part_tier=1.5),
    changed(part_tier=2**32),
    changed(part_tax=None),
    changed(part_more="x"),
    changed(usage_start="2026-01-01"),
    changed(usage_start="2026-01-01T00:00:00"),
    changed(usage_start="2026-13-01T00:00:00Z"),
    changed(usage_end=None),
    changed(more="x"),
    without("corrects"),
    without("parts"),
    WHOLE.replace(b'"electricity"', b'"\xff\xfe"'),
    WHOLE.replace(b'"electricity"', b'"\\ud800"'),
    WHOLE + WHOLE,
    WHOLE[:-1],
    b"[" + WHOLE + b"]",
    b"null",
    WHOLE + b"\nnull",
    b"  ",
    b"",
]


@pytest.mark.parametrize("value", WRONG)
def test_what_is_no_charge_is_no_row(value: bytes) -> None:
    for values in ([value], [WHOLE, value], [value, WHOLE, WHOLE]):
        assert quick_table(values) is None
    with pytest.raises((ValueError, OverflowError, Refused)):
        charges_from_json([WHOLE, value])


def test_a_key_that_occurs_twice_is_left_to_the_layout() -> None:
    assert quick_table([WHOLE[:-1] + b',"meter":"other"}']) is None


def test_what_only_the_layout_reads_is_read_by_the_layout() -> None:
    value = changed(usage_start="2026-01-01T00:00:00.1234567Z")
    expected = charges_table([json_from(value, Charge)])
    assert quick_table([value]) is None
    assert charges_from_json([value]).equals(expected)
    assert expected["usage_start"].cast(pa.int64()).to_pylist() == [1_767_225_600_123_456]
