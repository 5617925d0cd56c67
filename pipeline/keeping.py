"""Keeping: what is kept of usage whose price is not a function of a quantity alone, and how it is priced.

Such usage is kept as facts, in groups that are priced by themselves: a session, a window, a resource, or all of the
period. A record changes one or a few groups; its charge is what their prices change by. Facts are in the order of
time, so a price is the same in whatever order they came.
"""

from abc import ABC, abstractmethod
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from schemas.charge import Part
from schemas.fixed_point import RoundingMode, to_step


class Fact(Struct, frozen=True, array_like=True, gc=False):
    """What is kept of one record, or of its share in a range.

    `key` identifies it, "" for the sum of several; `start` and `end` are microseconds. `quantity` counts millionths of
    the usage unit, times the divisor of a conversion where the item has one.
    """

    key: bytes
    start: int
    end: int
    quantity: int
    band: int = 0
    meter: str = ""
    session: str = ""
    attributes: dict[str, str] = {}


Groups = Mapping[str, tuple[Fact, ...]]
"""The facts of one item in one range, by the group that is priced by itself."""

NO_GROUPS: Groups = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(ABC):
    """The price of groups of facts. What is said here holds unless a price says otherwise.

    `attributes` are those that facts keep. `is_whole`: a record is never cut, and counts where it begins. `is_sum`:
    only the sum of a group's quantities matters, by band. `is_weighed`: facts hold converted quantities, rather than
    measured ones that are converted when priced. `is_carried`: the next range begins with the sum of this one's
    quantities.
    """

    attributes: tuple[str, ...] = ()
    is_whole: bool = True
    is_sum: bool = False
    is_weighed: bool = True
    is_carried: bool = False

    def borders(self, start: int, end: int) -> list[int]:  # noqa: ARG002 - asked of all prices
        """The instants inside `[start, end)` at which facts are cut, besides those of bands."""
        return []

    def group(self, fact: Fact) -> str:  # noqa: ARG002 - asked of all prices
        """The group that a fact belongs to."""
        return ""

    @abstractmethod
    def price(self, facts: Sequence[Fact]) -> list[Part]:
        """The price of one group."""


def with_facts(kept: Kept, groups: Groups, facts: Sequence[Fact], sign: int) -> dict[str, tuple[Fact, ...]]:
    """The groups that the facts change, with them (sign 1) or without them (sign −1)."""
    changed: dict[str, list[Fact]] = {}
    for fact in facts:
        name = kept.group(fact)
        found = changed.get(name)
        if found is None:
            found = changed[name] = list(groups.get(name, ()))
        if kept.is_sum or not fact.key:
            _add(found, fact, sign)
        elif sign > 0:
            insort(found, fact, key=event_order)
        else:
            found.remove(fact)
    return {name: tuple(found) for name, found in changed.items()}


def event_order(fact: Fact) -> tuple[int, int, bytes, int]:
    """By time; the rest makes the order of simultaneous facts certain."""
    return fact.start, fact.end, fact.key, fact.band


def _add(found: list[Fact], fact: Fact, sign: int) -> None:
    """Add the quantity to the fact that holds the sum of its band; there is none where the sum is nothing."""
    for index, other in enumerate(found):
        if not other.key and other.band == fact.band:
            quantity = other.quantity + sign * fact.quantity
            found[index : index + 1] = [replace(other, quantity=quantity)] if quantity else []
            return
    if fact.quantity:
        merged = replace(fact, key=b"", quantity=sign * fact.quantity, session="", attributes={})
        insort(found, merged, key=event_order)


class RoundEach(NamedTuple):
    """How the price of each group is rounded: to a multiple of `step`."""

    step: int
    mode: RoundingMode

    def parts(self, exact: Iterable[Part]) -> list[Part]:
        """What rounding adds to the price of one group."""
        price = sum(part.amount for part in exact)
        change = to_step(price, self.step, self.mode) - price
        return [Part("", 0, 0, 0, change, "rounding")] if change else []


def price_of_groups(kept: Kept, groups: Groups, rounding: RoundEach | None = None) -> list[Part]:
    """The price of all groups, in the order of their names, each rounded by itself where that is asked for."""
    parts: list[Part] = []
    for name in sorted(name for name in groups if groups[name]):
        price = kept.price(groups[name])
        parts += price if rounding is None else [*price, *rounding.parts(price)]
    return parts
