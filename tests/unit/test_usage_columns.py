"""The archive gives usage back as it was, whatever a producer could write."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.codecs.fields import MAX_DIGITS, bounded
from schemas.usage import UsageRecord
from sinks.columns import decode_table, encode_table
from sinks.usage_columns import (
    COMMANDS,
    DOCUMENTS,
    USAGE,
    ArchivedCommand,
    ArchivedDocument,
    ArchivedUsage,
    commands_from_table,
    commands_table,
    documents_from_table,
    documents_table,
    usage_from_table,
    usage_table,
)

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
quantities = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent),
    st.integers(-(10**MAX_DIGITS), 10**MAX_DIGITS),
    st.integers(-MAX_DIGITS, 2),
).filter(lambda quantity: isinstance(bounded(quantity), Decimal))
moments = st.datetimes(timezones=st.just(UTC))
records = st.builds(
    UsageRecord,
    **dict.fromkeys(("id", "account", "meter", "source", "tenant"), words),
    quantity=st.none() | quantities,
    start=moments,
    end=moments,
    unit=st.none() | words,
    session=st.none() | words,
    attributes=st.none() | st.dictionaries(words, words, min_size=1, max_size=3),
    corrects=st.none() | words,
)
archived = st.builds(
    ArchivedUsage,
    usage=records,
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**63 - 1),
    index=st.integers(0, 2**31),
    appended=st.integers(0, 2**53),
)
FIRST = UsageRecord(
    "a", "b", "c", Decimal("0.4994999999"), datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
)
LARGEST = Decimal("9" * MAX_DIGITS)


WRAPPED = [Decimal("-9.5346244739497325839E-26"), Decimal("2.89718177177418256696E-25"), Decimal("0.0000001"), LARGEST]


@pytest.mark.parametrize("quantity", WRAPPED)
def test_a_quantity_keeps_its_digits(quantity: Decimal) -> None:
    rows = [ArchivedUsage(UsageRecord("a", "b", "c", quantity, FIRST.start, FIRST.end), 0, 0, 0, 0)]
    assert usage_from_table(usage_table(rows)) == rows


@given(st.lists(archived, max_size=4))
@example([ArchivedUsage(FIRST, 0, 0, 0, 0)])
@example([ArchivedUsage(UsageRecord("a", "b", "c", LARGEST, FIRST.start, FIRST.end), 0, 0, 0, 0)])
def test_usage_comes_back_unchanged(rows: list[ArchivedUsage]) -> None:
    table = usage_table(rows)
    assert table.schema == USAGE
    table.validate(full=True)
    assert usage_from_table(table) == rows
    assert usage_from_table(decode_table(encode_table(table))) == rows


def test_a_quantity_is_in_one_column_or_in_the_other() -> None:
    quantities = [Decimal("1.5"), None, Decimal("0.0000001"), LARGEST, Decimal("-2E+3")]
    rows = [
        ArchivedUsage(UsageRecord("a", "b", "c", quantity, FIRST.start, FIRST.end), 0, 0, 0, 0)
        for quantity in quantities
    ]
    table = usage_table(rows)
    assert table["quantity"].to_pylist() == [Decimal("1.5"), None, None, None, Decimal(-2000)]
    assert table["quantity_text"].to_pylist() == ["", "", "1E-7", "9" * MAX_DIGITS, ""]


def test_commands_and_documents_come_back_unchanged() -> None:
    commands = [ArchivedCommand(1, 2, 3, b'{"command":"tick"}'), ArchivedCommand(4, 2**63 - 1, 5, b"\xff")]
    table = commands_table(commands)
    assert table.schema == COMMANDS
    assert commands_from_table(table) == commands
    documents = [
        ArchivedDocument("accounts", b"default/a", b"{}", 1, 2, 3),
        ArchivedDocument("tariffs", b"", None, 0, 9, 10),
    ]
    table = documents_table(documents)
    assert table.schema == DOCUMENTS
    assert documents_from_table(table) == documents
