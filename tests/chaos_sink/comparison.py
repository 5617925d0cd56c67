"""Comparison: every difference between the rows that have to be there and those that are, and the table of figures."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.chaos_sink.expected import Row, Rows
from tests.chaos_sink.stored import Held

_SHOWN = 20


@dataclass
class Report:
    """What is wrong, and how much of everything there was."""

    differences: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    lying: dict[str, int] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    @property
    def doubled_share(self) -> float:
        """How many of the rows that lie there are there once more, seen once by FINAL."""
        lying = sum(self.lying.values())
        return (lying - sum(self.rows.values())) / lying if lying else 0.0

    def __add__(self, other: "Report") -> "Report":
        """Both, as one."""
        return Report(
            self.differences + other.differences,
            *(dict(Counter(own) + Counter(its)) for own, its in zip(self._figures(), other._figures(), strict=True)),
        )

    def _figures(self) -> tuple[dict[str, int], ...]:
        return self.rows, self.lying, self.done

    def table(self) -> str:
        """For people."""
        lines = [f"  {what:<44} {count:>8,}" for what, count in self.done.items()]
        lines += [f"  {f'rows of {name}':<44} {count:>8,}" for name, count in self.rows.items()]
        lines.append(f"  {'lying there twice, seen once':<44} {self.doubled_share:>8.2%}")
        lines += [f"  WRONG: {difference}" for difference in self.differences[:_SHOWN]]
        if len(self.differences) > _SHOWN:
            lines.append(f"  WRONG: and {len(self.differences) - _SHOWN:,} more")
        return "\n".join(lines)


def compare(due: Mapping[str, Rows], held: Mapping[str, Held]) -> Report:
    """All tables."""
    report = Report()
    for table, found in held.items():
        report.differences += _differences(table, due.get(table, {}), found)
        report.rows[table] = len(found.rows)
        report.lying[table] = found.lying
    return report


def _differences(table: str, due: Rows, held: Held) -> Iterator[str]:
    for key in due.keys() - held.rows.keys():
        yield f"{table}: {key} is missing"
    for key in held.rows.keys() - due.keys():
        yield f"{table}: {key} is from nowhere"
    for key in held.doubled:
        yield f"{table}: {key} is seen more than once"
    for key in due.keys() & held.rows.keys():
        yield from (f"{table}: {key}: {what}" for what in _wrong(due[key], held.rows[key], held.types))


def _wrong(due: Row, found: Row, types: Mapping[str, str]) -> Iterator[str]:
    for unknown in due.keys() - found.keys():
        yield f"there is no column {unknown}"
    for name, value in found.items():
        wanted = _plain(due.get(name, [] if types[name].startswith("Array") else None), types[name])
        if wanted != (has := _plain(value, types[name])):
            yield f"{name} is {has!r} instead of {wanted!r}"


def _plain(value: Any, kind: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The value in one way of writing it, by the type of its column."""
    if value is None:
        return None
    if isinstance(value, list):
        return [_plain(one, kind.removeprefix("Array(")) for one in value]
    if kind.removeprefix("Nullable(").startswith("Decimal"):
        return Decimal(value)
    if kind.removeprefix("Nullable(").startswith("DateTime64"):
        return datetime.fromisoformat(value).astimezone(UTC)
    return value
