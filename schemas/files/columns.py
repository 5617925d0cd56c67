"""Columns: which column of a table is which field of a usage record.

A column is the field of its name unless a mapping says otherwise; columns that are no field become attributes. A
table whose columns do not make a usage record is refused row by row, so that no row is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.codecs.fields import REQUIRED, Refusal, shown
from schemas.rejection import Reason
from schemas.usage import UsageRecord

FIELDS = UsageRecord.__struct_fields__


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """How the columns of a CSV or Parquet file are meant.

    `columns` says for a field in which column it stands, `constants` for a field which value it has in every row.
    Raises ValueError for a field that no usage record has, or that is given twice.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (*self.columns, *self.constants):
            if name not in FIELDS or name == "attributes":
                known = ", ".join(known for known in FIELDS if known != "attributes")
                raise ValueError(f"a column mapping cannot give {name!r}: the fields are {known}")
        twice = self.columns.keys() & self.constants.keys()
        if twice:
            raise ValueError(f"the column mapping gives {min(twice)!r} a column and a constant: remove one")

    def __bool__(self) -> bool:
        return bool(self.columns or self.constants)


NO_MAPPING = ColumnMapping()
"""Every column is the field of its name."""


class Plan(NamedTuple):
    """Where the fields of a table's rows stand: column indexes by field, attributes by name, and constants."""

    width: int
    fields: dict[str, int]
    attributes: dict[str, int]
    constants: Mapping[str, str]


def plan_of(names: Sequence[str], mapping: ColumnMapping) -> Plan | Refusal:
    """How to read rows under these column names, or why none can be read."""
    repeated = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if repeated is not None or "" in names:
        what = f"the column name {shown(repeated or '')} occurs twice" if repeated else "a column has no name"
        return Refusal(Reason.UNREADABLE, f"{what}. Give each column one name of its own")
    index = {name: number for number, name in enumerate(names)}
    absent = next((name for name in mapping.columns.values() if name not in index), None)
    if absent is not None:
        what = f"there is no column {shown(absent)}, which the column mapping names"
        return Refusal(Reason.MISSING_FIELD, f"{what}. Correct the mapping or the file")
    wanted = {name: mapping.columns.get(name, name) for name in FIELDS if name not in mapping.constants}
    fields = {
        name: index[column]
        for name, column in wanted.items()
        if column in index and (name in mapping.columns or column not in mapping.columns.values())
    }
    lacking = [name for name in REQUIRED if name not in fields and name not in mapping.constants]
    if lacking:
        what = f"there is no column for {', '.join(lacking)} among {shown(', '.join(names))}"
        return Refusal(Reason.MISSING_FIELD, f"{what}. Name the columns as the fields, or give a column mapping")
    used = set(fields.values())
    attributes = {name: number for number, name in enumerate(names) if number not in used}
    return Plan(len(names), fields, attributes, mapping.constants)


def is_header(names: Sequence[str], mapping: ColumnMapping) -> bool:
    """Whether these can be column names at all: one of them is a field's, or one that the mapping names."""
    return not set(names).isdisjoint((*FIELDS, *mapping.columns.values()))
