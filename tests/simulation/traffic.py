"""Traffic: usage records of all kinds, one or more in a message, and what is known of each.

No record lies across an hour, so none is split by a price or a period that changes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import NamedTuple

from schemas.codecs import avro_container, avro_single
from schemas.usage import UsageRecord
from tests.simulation.documents import NAMES, NOBODY, STRAY, Name

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S
_SOURCES = ("meter", "gateway", "broken")


class Fact(NamedTuple):
    """What a record says. Its times are seconds since 1970."""

    tenant: str
    account: str
    source: str
    id: str
    meter: str
    quantity: Decimal | None
    start: int
    end: int
    corrects: str | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells it from all others."""
        return self.tenant, self.source, self.id

    @property
    def corrected(self) -> tuple[str, str, str]:
        """The identity of what it corrects."""
        return self.tenant, self.source, self.corrects or ""


class Sent(NamedTuple):
    """A message of `usage`; a content of None is a record that nobody can read."""

    key: bytes | None
    value: bytes | None
    contents: tuple[Fact | None, ...]


@dataclass(eq=False)
class Traffic:
    """The records of one schedule. `now_s` is the time of the brokers."""

    chance: Random
    sent: list[Fact] = field(default_factory=list)
    _awaited: list[Fact] = field(default_factory=list)
    _number: int = 0

    def message(self, now_s: int) -> Sent:
        """The next message."""
        kind = self.chance.random()
        if kind < 0.05:
            return self._unreadable(now_s)
        name = self._name()
        if kind < 0.17:
            return self._container(name, now_s)
        fact = self._fact(name, now_s)
        value = avro_single(_record(fact)) if kind < 0.22 else _as_json(fact)
        return Sent(Name(fact.tenant, fact.account).key, value, (fact,))

    def _name(self) -> Name:
        kind = self.chance.random()
        if kind < 0.93:
            return self.chance.choice(NAMES)
        return STRAY if kind < 0.97 else NOBODY

    def _container(self, name: Name, now_s: int) -> Sent:
        facts = [self._fact(name, now_s) for _ in range(self.chance.randint(2, 7))]
        facts = [fact for fact in facts if (fact.tenant, fact.account) == name] or [self._new(name, now_s)]
        return Sent(name.key, avro_container([_record(fact) for fact in facts], UsageRecord), tuple(facts))

    def _unreadable(self, now_s: int) -> Sent:
        fact = self._new(self._name(), now_s)._replace(source="broken")
        text = _as_json(fact)
        value = self.chance.choice((b"", None, text[:-9], text.replace(b'"start"', b'"strat"'), b"\xc3\x01rubbish"))
        return Sent(Name(fact.tenant, fact.account).key, value, (None,))

    def _fact(self, name: Name, now_s: int) -> Fact:
        kinds: list[tuple[float, Callable[[Name, int], Fact]]] = [
            (0.52, self._new),
            (0.10, self._late),
            (0.08, self._again),
            (0.04, self._reused),
            (0.07, self._void),
            (0.04, self._replacement),
            (0.04, self._void_before),
            (0.05, self._awaited_one),
        ]
        at = self.chance.random()
        for share, make in kinds:
            at -= share
            if at < 0:
                return make(name, now_s)
        return self._wrong(name, now_s)

    def _new(self, name: Name, now_s: int, before_s: int = 2 * _DAY_S) -> Fact:
        chance = self.chance
        self._number += 1
        start = (now_s - chance.randrange(before_s)) // _HOUR_S * _HOUR_S + chance.randrange(1800)
        start = min(start, now_s)
        meter = "energy" if chance.random() < 0.7 else "sms"
        quantity = Decimal(chance.choice((1, 3, 8, 25))) + Decimal(chance.choice(("0", "0.5", "0.123456")))
        end = start + chance.choice((0, 900, 1800))
        fact = Fact(*name, chance.choice(_SOURCES), f"u{self._number}", meter, quantity, start, end)
        self.sent.append(fact)
        return fact

    def _late(self, name: Name, now_s: int) -> Fact:
        return self._new(name, now_s, self.chance.choice((10, 45, 90)) * _DAY_S)

    def _of(self, name: Name) -> list[Fact]:
        return [fact for fact in self.sent if (fact.tenant, fact.account) == name and fact.quantity is not None]

    def _again(self, name: Name, now_s: int) -> Fact:
        sent = self._of(name)
        return self.chance.choice(sent) if sent else self._new(name, now_s)

    def _reused(self, name: Name, now_s: int) -> Fact:
        fact = self._again(name, now_s)
        return fact._replace(quantity=(fact.quantity or Decimal(0)) + 1)

    def _void(self, name: Name, now_s: int) -> Fact:
        return self._correction(self._again(name, now_s), None)

    def _replacement(self, name: Name, now_s: int) -> Fact:
        return self._correction(self._again(name, now_s), Decimal(self.chance.randint(0, 9)))

    def _void_before(self, name: Name, now_s: int) -> Fact:
        fact = self._new(name, now_s)
        self._awaited.append(self.sent.pop())
        return self._correction(fact, None)

    def _awaited_one(self, name: Name, now_s: int) -> Fact:
        mine = [fact for fact in self._awaited if (fact.tenant, fact.account) == name]
        if not mine:
            return self._new(name, now_s)
        fact = self.chance.choice(mine)
        self._awaited.remove(fact)
        self.sent.append(fact)
        return fact

    def _correction(self, fact: Fact, quantity: Decimal | None) -> Fact:
        self._number += 1
        return fact._replace(id=f"c{self._number}", quantity=quantity, corrects=fact.id)

    def _wrong(self, name: Name, now_s: int) -> Fact:
        fact = self._new(name, now_s)
        self.sent.pop()
        wrongs = (
            fact._replace(quantity=Decimal(-1), source="broken"),
            fact._replace(quantity=Decimal(-2), source="broken"),
            fact._replace(end=fact.start - 60, source="broken"),
            fact._replace(start=now_s + 9000, end=now_s + 9000),
            fact._replace(meter="unpriced"),
            fact._replace(start=fact.start - 9000 * _DAY_S, end=fact.end - 9000 * _DAY_S),
        )
        return self.chance.choice(wrongs)


def _instant(at_s: int) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def _text(at_s: int) -> str:
    return _instant(at_s).strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_json(fact: Fact) -> bytes:
    quantity = "" if fact.quantity is None else f'"quantity":"{fact.quantity}",'
    corrects = "" if fact.corrects is None else f'"corrects":"{fact.corrects}",'
    return (
        f'{{"id":"{fact.id}","tenant":"{fact.tenant}","account":"{fact.account}","source":"{fact.source}",'
        f'"meter":"{fact.meter}",{quantity}{corrects}"start":"{_text(fact.start)}","end":"{_text(fact.end)}"}}'
    ).encode()


def _record(fact: Fact) -> UsageRecord:
    return UsageRecord(
        id=fact.id,
        account=fact.account,
        meter=fact.meter,
        quantity=fact.quantity,
        start=_instant(fact.start),
        end=_instant(fact.end),
        source=fact.source,
        tenant=fact.tenant,
        corrects=fact.corrects,
    )
