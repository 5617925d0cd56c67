"""Proof: the statements of one billing period, recomputed twice, and the verdict.

  1. From the charges in ClickHouse: their number, exact sum, digest, and what their lines add up to (counting.py).
  2. From the usage: rated again from nothing (replay.py) it has to give the same statements, to the last byte of their
     JSON, and the same charges.
Proved is what agrees in all of it. What needs usage that is nowhere any more cannot be proved, which is no verdict on
the statement.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from agents.proving import counting, differences
from agents.proving.counting import Count
from agents.proving.differences import Difference
from agents.proving.history import History
from agents.proving.replay import Replay, Replayed, StuckError
from agents.proving.stored import Stored, in_order
from agents.stream.documents import Name
from pipeline.calendar import Calendar, zone_of
from schemas.account import Account
from schemas.charge import Charge
from schemas.statement import Statement

Origin = Literal["archive", "topic", "nothing"]


class Verdict(StrEnum):
    """What comes of a proof."""

    PROVED = "proved"
    NOT_PROVED = "not proved"
    CANNOT = "cannot be proved"


class StatementProof(Struct, frozen=True):
    """One statement: as stored, what its charges come to, and as the usage gives it; None is what is not there."""

    statement_id: str
    stored: Statement | None
    counted: Count | None
    replayed: Statement | None
    differences: list[Difference]


class UsageFound(Struct, frozen=True):
    """A record that is charged: it did not come this time, or (`refused` says why) it was not accepted."""

    source: str
    usage_id: str
    refused: str = ""


class Proof(Struct, frozen=True):
    """All of it. `records` were rated, from offset `first` to `last` of the partition.

    `missing` says why part of it cannot be known, `elsewhere` which other periods are not as stored.
    """

    name: Name
    period: str
    zone: str
    start: int
    end: int
    origin: Origin
    statements: list[StatementProof]
    charges: list[Difference]
    usage: list[UsageFound] = []
    missing: str = ""
    partition: int | None = None
    records: int = 0
    first: int | None = None
    last: int | None = None
    documents: list[str] = []
    elsewhere: list[str] = []

    @property
    def verdict(self) -> Verdict:
        """Whether stored and recomputed are the same."""
        by_charges = any(one.by == "charges" for each in self.statements for one in each.differences)
        differs = bool(self.charges) or any(each.differences for each in self.statements)
        if by_charges or (differs and not self.missing):
            return Verdict.NOT_PROVED
        return Verdict.CANNOT if self.missing else Verdict.PROVED


class Subject(NamedTuple):
    """Whose statements are to be proved, and of which billing period."""

    name: Name
    calendar: Calendar
    start: int
    end: int

    @classmethod
    def of(cls, account: Account, period: str) -> "Subject":
        """The period of that name. Raises ValueError, which says what to write, where the account has none."""
        calendar = Calendar(zone_of(account), account.billing_day, account.cycle)
        return cls((account.tenant, account.account), calendar, *calendar.period_named(period))

    def proof(self, origin: Origin, statements: list[StatementProof], charges: list[Difference]) -> Proof:
        """A proof about it."""
        place = self.calendar.name(self.start), self.calendar.zone.key, self.start, self.end
        return Proof(self.name, *place, origin, statements, charges)


def prove_charges(statement: Statement, period: str, rows: Sequence[Charge], missing: str = "") -> Proof:
    """The first half alone, where there is no usage: a statement and all rows of its charges.

    `missing` says why there is none, where there should be.
    """
    counted = counting.count(rows)
    found = list(counting.differences(statement, counted))
    proofs = [StatementProof(statement.statement_id, statement, counted, None, found)]
    name, span = (statement.tenant, statement.account), (statement.period_start, statement.period_end)
    return Proof(name, period, statement.zone, *span, "nothing", proofs, [], missing=missing)


def prove(subject: Subject, stored: Stored, history: History, origin: Origin) -> Proof:
    """Both halves."""
    replayed, missing = Replayed(), ""
    try:
        replayed = _replayed(subject, stored, history)
    except StuckError as error:
        missing = str(error)
    charges = list(differences.of_charges(stored.rows(subject.start), replayed.charges, replayed.places))
    statements = _statements(stored, replayed, subject.start, is_whole=not missing)
    usage = [UsageFound(*one) for one in sorted(replayed.unseen)]
    usage += [UsageFound(*one, why) for one, why in sorted(replayed.refused.items())]
    return replace(
        subject.proof(origin, statements, [] if missing else charges),
        usage=[] if missing else usage,
        missing=missing,
        partition=history.partition,
        records=replayed.records,
        first=None if replayed.first is None else replayed.first.offset,
        last=None if replayed.last is None else replayed.last.offset,
        documents=replayed.documents,
        elsewhere=[subject.calendar.name(start) for start in sorted(replayed.elsewhere)],
    )


def _replayed(subject: Subject, stored: Stored, history: History) -> Replayed:
    """What the usage comes to; where the brokers' clocks leave open what was first, as what is stored says."""
    replay = Replay(subject.name, history, stored, subject.start)
    replayed = replay.run()
    if replay.is_certain or _agrees(replayed, stored, subject.start):
        return replayed
    other = Replay(subject.name, history, stored, subject.start, documents_first=False).run()
    return other if _agrees(other, stored, subject.start) else replayed


def _agrees(replayed: Replayed, stored: Stored, start: int) -> bool:
    return sorted(replayed.statements, key=in_order) == stored.of_period(start) and not any(
        differences.of_charges(stored.rows(start), replayed.charges, {})
    )


def _statements(stored: Stored, replayed: Replayed, start: int, *, is_whole: bool) -> list[StatementProof]:
    here = {statement.statement_id: statement for statement in stored.of_period(start)}
    again = {statement.statement_id: statement for statement in replayed.statements}
    rows = [row for each in stored.rows(start).values() for row in each]
    latest = max(here.values(), key=in_order, default=None)
    proofs = []
    for statement_id in sorted({**again, **here}, key=lambda one: in_order(here.get(one) or again[one])):
        own, other = here.get(statement_id), again.get(statement_id)
        chosen = None if own is None else _rows_of(own, other, rows, replayed, is_latest=own is latest)
        counted = None if chosen is None else counting.count(chosen)
        found = [] if own is None or counted is None else list(counting.differences(own, counted))
        if is_whole:
            found += differences.of_statement(own, other)
        proofs.append(StatementProof(statement_id, own, counted, other, found))
    return proofs


def _rows_of(
    own: Statement, again: Statement | None, rows: Sequence[Charge], replayed: Replayed, *, is_latest: bool
) -> list[Charge] | None:
    """The stored charges that a statement sums up; None where that cannot be told.

    The latest one has all but those that joined after it. An interim one or an earlier revision has the first of them,
    which the replay knows if it comes to the same charges.
    """
    if is_latest and again is None:
        return list(rows)
    if again is None or not (is_latest or again.charges_digest == own.charges_digest):
        return None
    place = {charge.charge_id: number for number, charge in enumerate(replayed.charges)}
    unknown = -1 if is_latest else again.charges
    return [row for row in rows if place.get(row.charge_id, unknown) < again.charges]
