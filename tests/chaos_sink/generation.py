"""Messages of all topics that the sink reads, as workers and producers write them, from one seed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from random import Random
from typing import Any, NamedTuple

from tests.chaos.book import partition_of

_ACCOUNTS = 40
_MONTHS = 3
_FIRST = datetime(2024, 1, 1, tzinfo=UTC)
_REASONS = ("unreadable", "unknown-account", "too-late", "not-finite")
_SHARES = {"charges": 60, "usage": 20, "statements": 7, "usage-rejected": 8, "accounts": 3, "tariffs": 2}

Headers = tuple[tuple[str, bytes], ...]


class Sent(NamedTuple):
    """A message: where it goes and what it holds; `topic` is without prefix."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: Headers = ()


class Generator:
    """Makes messages one after the other; the same seed makes the same."""

    def __init__(self, seed: int, prefix: str, partitions: int) -> None:
        self._chance = Random(seed)
        self._prefix = prefix
        self._partitions = partitions
        self._number = 0

    def messages(self, count: int) -> list[Sent]:
        """So many nouns, in one message each but for long statements."""
        topics = self._chance.choices(list(_SHARES), list(_SHARES.values()), k=count)
        return [sent for topic in topics for sent in self._of(topic)]

    def _of(self, topic: str) -> Iterator[Sent]:
        self._number += 1
        tenant, account = self._chance.choice(("default", "a/b%c")), f"home-{self._number % _ACCOUNTS}"
        key = f"{tenant.replace('%', '%25').replace('/', '%2F')}/{account}".encode()
        partition = partition_of(key, self._partitions)
        if topic == "charges":
            yield Sent(topic, partition, key, _json(self._charge(tenant, account)))
        elif topic == "statements":
            yield from self._statement(tenant, account, partition, key)
        elif topic == "usage":
            yield self._usage(tenant, account, partition, key)
        elif topic == "usage-rejected":
            yield self._rejection(tenant, account, partition, key)
        elif topic == "accounts":
            document = {"account": account, "tenant": tenant, "zone": "Europe/Zürich", "revision": self._number}
            yield Sent(topic, partition, key, _json(document))
        else:
            version = str(self._number % 5)
            document = {"tariff": "plan", "version": version, "made": self._number}
            yield Sent(topic, 0, f"plan@{version}".encode(), _json(document))

    def _charge(self, tenant: str, account: str) -> dict[str, Any]:
        start, end = self._month()
        moment = start + timedelta(microseconds=self._chance.randrange(28 * 86_400 * 10**6))
        parts = [self._part(tier) for tier in range(self._chance.choice((0, 1, 1, 1, 2, 3)))]
        return {
            "charge_id": self._id("charge"),
            "kind": self._chance.choice(("usage", "usage", "adjustment", "recurring")),
            "tenant": tenant,
            "account": account,
            "source": "meter",
            "usage_id": f"reading-{self._number}",
            "meter": "power",
            "unit": "kWh",
            "usage_start": _instant(moment),
            "usage_end": _instant(moment + timedelta(minutes=15)),
            "period_start": _instant(start),
            "period_end": _instant(end),
            "statement_start": _instant(start),
            "statement_end": _instant(end),
            "used_before": self._decimal(6),
            "quantity": self._decimal(6),
            "parts": parts,
            "amount": self._decimal(18),
            "currency": self._chance.choice(("EUR", "USD")),
            "tariff": "plan",
            "version": "1",
            "running_total": self._decimal(18),
            "corrects": "" if self._number % 9 else self._id("corrected"),
        }

    def _part(self, tier: int) -> dict[str, Any]:
        taxed = self._chance.random() < 0.2
        return {
            "band": self._chance.choice(("", "peak", "off-peak")),
            "tier": tier + 1,
            "unit_price": self._decimal(12),
            "quantity": self._decimal(6),
            "amount": self._decimal(18),
            "name": "parking" if taxed else "",
            "tax_percent": "7.5" if taxed else "",
            "tax": self._decimal(18) if taxed else "0",
        }

    def _statement(self, tenant: str, account: str, partition: int, key: bytes) -> Iterator[Sent]:
        start, end = self._month()
        statement = {
            "statement_id": self._id("statement"),
            "tenant": tenant,
            "account": account,
            "period_start": _instant(start),
            "period_end": _instant(end),
            "zone": "Europe/London",
            "currency": "EUR",
            "revision": self._number,
            "complete": self._number % 2 == 0,
            "lines": [self._line(start, end, number) for number in range(self._chance.randrange(5))],
            "taxes": [self._tax()] if self._number % 3 else [],
            **{name: self._decimal(18) for name in ("exact", "net", "tax", "total")},
            "usage_records": self._number,
            "charges": self._number % 7,
            "usage_first": _instant(start + timedelta(microseconds=1)) if self._number % 4 else None,
            "usage_last": _instant(end - timedelta(microseconds=1)) if self._number % 4 else None,
            "usage_digest": self._id("usage") * 2,
            "charges_digest": self._id("charges") * 2,
            "kind": "statement",
            "number": 0,
            "settlements": [{name: self._decimal(18) for name in ("amount", "remaining")} | {"name": "Credit"}],
            "allowances": [],
            "due": self._decimal(18),
        }
        value = _json(statement)
        if self._number % 5:
            yield Sent("statements", partition, key, value)
            return
        size = len(value) // 3 + 1
        pieces = [value[at : at + size] for at in range(0, len(value), size)]
        of = (("statement-id", str(statement["statement_id"]).encode()), ("parts", b"%d" % len(pieces)))
        for number, piece in enumerate(pieces, 1):
            yield Sent("statements", partition, key, piece, (*of, ("part", b"%d" % number)))

    def _line(self, start: datetime, end: datetime, number: int) -> dict[str, Any]:
        return {
            "kind": "usage",
            "period_start": _instant(start),
            "period_end": _instant(end),
            "tariff": "plan",
            "version": "1",
            "meter": "power",
            "name": "Electricité",
            "band": "",
            "tier": number,
            "unit_price": self._decimal(12),
            "quantity": self._decimal(6),
            "unit": "kWh",
            **{name: self._decimal(18) for name in ("exact", "amount", "gross", "due")},
        }

    def _tax(self) -> dict[str, Any]:
        amounts = {name: self._decimal(18) for name in ("base", "amount")}
        return {"tariff": "plan", "version": "1", "name": "VAT", "percent": "20", **amounts, "item": "power"}

    def _usage(self, tenant: str, account: str, partition: int, key: bytes) -> Sent:
        if self._chance.random() < 0.03:
            command = _json({"command": "tick"})
            return Sent("usage", partition, b"", command, (("ratestream-command", b""),))
        start, _ = self._month()
        record: dict[str, Any] = {
            "id": f"reading-{self._number}",
            "source": "meter",
            "tenant": tenant,
            "account": account,
            "meter": "power",
            "quantity": self._decimal(6) if self._number % 20 else None,
            "start": _instant(start),
            "end": _instant(start + timedelta(seconds=self._number)),
        }
        if self._number % 20 == 0:
            record["corrects"] = "an earlier one"
        if self._number % 3 == 0:
            record |= {"attributes": {"region": "nörd", "direction": "in"}, "session": "s", "unit": "kWh"}
        return Sent("usage", partition, key, _json(record))

    def _rejection(self, tenant: str, account: str, partition: int, key: bytes) -> Sent:
        if self._chance.random() < 0.1:
            return Sent("usage-rejected", partition, key, b"", (("replayed", b""),))
        original = self._chance.randbytes(30)
        said = {
            "reason": self._chance.choice(_REASONS),
            "message": f"message {self._number}: cannot be used. Correct it, then send it again.",
            "topic": f"{self._prefix}usage",
            "partition": partition,
            "offset": self._number,
            "index": self._number % 3,
            "tenant": tenant,
            "account": account,
            "source": "meter",
            "usage-id": f"reading-{self._number}",
            "size": len(original),
            "sha256": sha256(original).hexdigest(),
        }
        headers = tuple((name, str(text).encode()) for name, text in said.items())
        return Sent("usage-rejected", partition, key, original, headers)

    def _id(self, what: str) -> str:
        return sha256(f"{what} {self._number}".encode()).hexdigest()[:32]

    def _month(self) -> tuple[datetime, datetime]:
        number = self._chance.randrange(_MONTHS)
        return _FIRST.replace(month=1 + number), _FIRST.replace(month=2 + number)

    def _decimal(self, decimals: int) -> str:
        digits = Decimal(self._chance.randrange(-(10**12), 10**13)).scaleb(-self._chance.randrange(decimals + 1))
        return f"{digits.normalize():f}"


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
