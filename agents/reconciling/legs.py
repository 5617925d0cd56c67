"""Legs: the steps from usage to statements, each with its two sides, and what to do about what differs there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from sinks.reconciliation.differences import Difference, Kind
from sinks.reconciliation.stored import Held, Received
from sinks.reconciliation.tallies import Sums


class Leg(StrEnum):
    """One step: what it is called."""

    BULK = "usage-bulk"
    USAGE = "usage"
    RATED = "rated"
    CHARGES = "charges"
    BILLED = "billed"
    STATEMENTS = "statements"
    LINES = "lines"
    TAXES = "taxes"
    REJECTED = "rejected"


SIDES: Mapping[Leg, tuple[str, str]] = {
    Leg.BULK: ("topic usage-bulk", "topics usage and rejected"),
    Leg.USAGE: ("topic usage", "table usage"),
    Leg.RATED: ("usage accepted, but voids", "topic charges, one a record"),
    Leg.CHARGES: ("topic charges", "table charges"),
    Leg.BILLED: ("table charges", "table statements"),
    Leg.STATEMENTS: ("topic statements", "table statements"),
    Leg.LINES: ("topic statements, lines", "table statement_lines"),
    Leg.TAXES: ("topic statements, taxes", "table taxes"),
    Leg.REJECTED: ("topic usage-rejected", "table rejected"),
}
"""What each leg compares: what has to be there, with what came of it."""

STORED = frozenset({Leg.USAGE, Leg.CHARGES, Leg.STATEMENTS, Leg.LINES, Leg.TAXES, Leg.REJECTED})
"""The legs from a topic to a table."""

_OF_TABLE = {
    Kind.MISSING: "Stop the sink, set its group's offset of that topic back to before it, and start the sink again: "
    "what is there replaces itself.",
    Kind.EXTRA: "Nobody but the sink may write to the table. Find out who did, and delete the row.",
    Kind.DIFFERENT: "Somebody has changed the row. Find out who did; then stop the sink, set its group's offset of "
    "that topic back to before it, and start the sink again: it replaces the row.",
    Kind.CLASHING: "Two writers said different things of one row, and either may win. Find the second writer; then let "
    "the sink insert it once more, as for a row that is missing.",
    Kind.DOUBLED: "The topic, or the table under several keys, has it more than once, and its account may be charged "
    "twice. Find the second writer: only workers write to the topic, only the sink to the table.",
}
_OF_RATING = {
    Kind.MISSING: "It was rated and has no charge. Stop the workers, keep their directories and topics, and report "
    "this; `ratestream prove` shows what its statement should be.",
    Kind.EXTRA: "Nobody sent the usage that it charges. Find out who wrote it: only workers may. Credit the account.",
}
_OF_BULK = {
    Kind.MISSING: "It was split and is not on usage. Stop the workers, keep the topics, and report this; sending the "
    "message again does no harm, since duplicates are told.",
}
_OF_BILLING = {
    Kind.DIFFERENT: "See the charges of its account and period above, if any differ: mend those first. Otherwise prove "
    "it with `ratestream prove`.",
}


def advice(leg: Leg, kind: Kind) -> str:
    """What to do about a difference."""
    if leg in STORED:
        return _OF_TABLE[kind]
    return {Leg.RATED: _OF_RATING, Leg.BULK: _OF_BULK, Leg.BILLED: _OF_BILLING}[leg][kind]


class Compared(NamedTuple):
    """What became of one leg, whose two sides are `due` and `found`.

    `left_out` counts what differs beyond `differences`, where fewer were asked for: each at least one.
    """

    leg: Leg
    groups: int
    due: Sums
    found: Sums
    on_the_way: int
    left_out: int
    differences: list[Difference]

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return not self.left_out and not self.differences


@dataclass
class Report:
    """One reconciliation."""

    began_s: float
    legs: list[Compared] = field(default_factory=list)
    received: Received = field(default_factory=Received)
    undecodable: int = 0
    """Of what was received: rejected before it was a record."""
    only_archived: int = 0
    """Records of the archive whose messages the topic no longer holds."""
    held: dict[str, Held] = field(default_factory=dict)
    took_s: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs in any leg."""
        return all(leg.is_clean for leg in self.legs)

    @property
    def on_the_way(self) -> int:
        """How many rows had not arrived yet, all legs together."""
        return sum(leg.on_the_way for leg in self.legs)

    @property
    def differences(self) -> int:
        """How many there are at least: a group that was not looked into counts as one."""
        return sum(len(leg.differences) + leg.left_out for leg in self.legs)
