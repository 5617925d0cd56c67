"""The journal's tables are gathered by name, also where an older program wrote some of them."""

from agents.journal import encode_entry, encode_tables, merged_tables
from sinks.charge_columns import CHARGES, charges_from_table, charges_table
from tests.contract.made_nouns import made_charge, made_statement


def entry(*numbers: int) -> bytes:
    """A batch of these charges."""
    return encode_entry([made_charge(number) for number in numbers], [], []) or b""


def test_entries_are_gathered_in_their_order() -> None:
    ((name, table),) = merged_tables([entry(1, 2), entry(3)])
    assert (name, charges_from_table(table)) == ("charges", [made_charge(number) for number in (1, 2, 3)])


def test_what_has_fewer_columns_is_a_table_of_its_own() -> None:
    known = [column for column in CHARGES.names if column != "parts.tax"]
    older = encode_tables({"charges": charges_table([made_charge(1)]).select(known)}) or b""
    tables = list(merged_tables([older, entry(2), older]))
    assert [(name, table.num_columns, table.num_rows) for name, table in tables] == [
        ("charges", len(known), 2),
        ("charges", len(CHARGES.names), 1),
    ]


def test_a_statement_is_three_tables() -> None:
    found = dict(merged_tables([encode_entry([], [made_statement(1)], []) or b""]))
    assert sorted(found) == ["statement_lines", "statements", "taxes"]
    assert encode_entry([], [], []) is None
