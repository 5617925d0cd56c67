"""Nouns become tables and come back unchanged; what no column can hold is refused."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.charge import Charge, ChargeKind, Part
from schemas.fixed_point import LIMIT
from schemas.rejection import Position, Reason, Rejection
from sinks.charge_columns import CHARGES, charges_from_table, charges_table
from sinks.columns import AMOUNT, decode_table, encode_table, fixed, to_fixed
from sinks.errors import Damaged, Refused
from sinks.rejection_columns import rejections_from_table, rejections_table
from sinks.statement_columns import statement_lines_table, statements_from_tables, statements_table, taxes_table
from tests.contract.made_nouns import made_charge, made_interim, made_rejection, made_statement

stored = st.integers(1 - LIMIT, LIMIT - 1)
moments = st.integers(-(2**50), 2**53)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
parts = st.builds(
    Part,
    band=words,
    tier=st.integers(0, 2**32 - 1),
    name=st.just("") | words,
    tax_percent=st.just("") | words,
    **dict.fromkeys(("unit_price", "quantity", "amount", "tax"), stored),
)
charges = st.builds(
    Charge,
    kind=st.sampled_from(ChargeKind),
    parts=st.lists(parts, max_size=3).map(tuple),
    **{
        name: words
        if kind is str
        else (stored if name in {"used_before", "quantity", "amount", "running_total"} else moments)
        for name, kind in Charge.__annotations__.items()
        if kind in {str, int}
    },
)


@given(st.lists(charges, max_size=4))
def test_charges_come_back_unchanged(made: list[Charge]) -> None:
    table = charges_table(made)
    assert table.schema == CHARGES
    assert charges_from_table(table) == made
    assert charges_from_table(decode_table(encode_table(table))) == made


def test_any_piece_of_a_table_holds_its_charges() -> None:
    made = [made_charge(number) for number in range(20)]
    table = charges_table(made)
    assert charges_from_table(table.slice(3, 9)) == made[3:12]
    assert charges_from_table(pa.concat_tables([table.slice(15), table.slice(0, 4)])) == made[15:] + made[:4]


@given(st.lists(stored))
def test_decimals_hold_the_integers_exactly(values: list[int]) -> None:
    column = fixed(values, AMOUNT)
    column.validate(full=True)
    assert to_fixed(column) == values


def test_decimals_are_what_they_say() -> None:
    column = fixed([26_125_000_000_000_000_000, -1, 10**37], AMOUNT)
    assert [str(value) for value in column.to_pylist()] == [
        "26.125000000000000000",
        "-1E-18",
        "10000000000000000000.000000000000000000",
    ]


@pytest.mark.parametrize("amount", [LIMIT, -LIMIT, 2**127 - 1, 2**200])
def test_more_than_38_digits_are_refused(amount: int) -> None:
    with pytest.raises(Refused, match="more than 38 digits"):
        charges_table([made_charge(1), replace(made_charge(2), amount=amount)])


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(Refused, match="not valid Unicode"):
        charges_table([replace(made_charge(1), usage_id="\ud800")])


@pytest.mark.parametrize("keep", [0, 7, 100, -1, -9])
def test_a_table_cut_off_is_damaged(keep: int) -> None:
    data = encode_table(charges_table([made_charge(number) for number in range(50)]))
    with pytest.raises(Damaged, match="do not hold a table"):
        decode_table(data[:keep])


def test_statements_come_back_with_their_lines_and_taxes() -> None:
    made = [made_statement(0), made_interim(1, 1), made_statement(1), made_statement(1, revision=1), made_statement(2)]
    tables = statements_table(made), statement_lines_table(made), taxes_table(made)
    assert statements_from_tables(*tables) == made
    backwards = [table.take(list(range(table.num_rows))[::-1]) for table in tables]
    assert statements_from_tables(*backwards) == made[::-1]


def test_rejections_come_back_with_their_bytes() -> None:
    made = [made_rejection(number) for number in range(5)]
    assert rejections_from_table(rejections_table(made)) == made


def test_a_rejection_is_stored_whatever_its_texts_are() -> None:
    made = Rejection(Reason.WRONG_TYPE, "m", Position("a.jsonl", 0, 0, 1), "\ud800", "é", "s", "\udcff", b"\xff", 1, "")
    back = rejections_from_table(rejections_table([made]))[0]
    assert (back.tenant, back.account, back.usage_id, back.original) == ("\\ud800", "é", "\\udcff", b"\xff")
