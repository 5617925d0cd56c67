"""Statements: whether each adds up by itself, and says what the charges of its period come to.

The hash of a charge is worked out here from what is documented of it (schemas/digest.py says the same): an error there
would be found here. A period's own statement is of all its charges. An interim one, and one that a revision has
followed, is of those that came first: for these the charges are taken in the order of their topic. Pure.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

from msgspec.msgpack import encode

from schemas.fixed_point import AMOUNT_SCALE, to_text
from sinks.reconciliation.shapes import Group

DIGESTS = 1 << 256

Owner = tuple[str, str, str]
"""Tenant, account, and when the billing period begins (as JSON says it)."""


class Stated(NamedTuple):
    """What one statement says, what its lines and taxes come to, and the charges that ClickHouse has of its period.

    Amounts are integers of 18 decimals. `is_last` where no revision follows, and it is no interim one.
    `by_line` is how much of `net` its lines show.
    """

    statement_id: str
    owner: Owner
    is_last: bool
    exact: int
    net: int
    tax: int
    total: int
    due: int
    settled: int
    charges: int
    digest: int
    lines_exact: int
    lines_amount: int
    taxes_amount: int
    stored_charges: int
    stored_exact: int
    rounds_total: bool


def faults(stated: Stated) -> Iterator[str]:
    """How a statement does not add up by itself. Lines need not come to a net amount that is rounded as a whole."""
    pairs = [
        ("total", stated.total, "net and tax", stated.net + stated.tax),
        ("due", stated.due, "total less what is settled", stated.total - stated.settled),
        ("exact", stated.exact, "exact amounts of its lines", stated.lines_exact),
        ("tax", stated.tax, "its taxes", stated.taxes_amount),
    ]
    if not stated.rounds_total:
        pairs.append(("net", stated.net, "amounts of its lines", stated.lines_amount))
    for name, said, of, sums in pairs:
        if said != sums:
            yield f"{name} is {amount_text(said)}, {of} come to {amount_text(sums)}"


def amount_text(amount: int) -> str:
    """An amount for a reader, exact."""
    return to_text(amount, AMOUNT_SCALE)


class Digested:
    """Charges of one statement, added up: how many, their exact amount, and the digest that statements print."""

    __slots__ = ("charges", "digest", "exact")

    def __init__(self) -> None:
        self.charges = self.exact = self.digest = 0

    def add(
        self,
        charge_id: str,
        kind: str,
        meter: str,
        period_start: int,
        quantity: int,
        amount: int,
        tariff: str,
        version: str,
    ) -> None:
        """One more charge; quantity and amount are fixed point, the instant is in microseconds."""
        facts = encode((charge_id, kind, meter, period_start, str(quantity), str(amount), tariff, version))
        self.charges += 1
        self.exact += amount
        self.digest = (self.digest + int.from_bytes(blake2b(facts, digest_size=32).digest(), "big")) % DIGESTS

    def against(self, stated: Stated) -> Iterator[str]:
        """How the statement differs from its charges."""
        if self.charges != stated.charges:
            yield f"it says {stated.charges} charges, there are {self.charges}"
        if self.exact != stated.exact:
            yield f"exact is {amount_text(stated.exact)}, its charges come to {amount_text(self.exact)}"
        if self.digest != stated.digest:
            yield f"charges_digest is {stated.digest:064x}, that of its charges {self.digest:064x}"


class InOrder:
    """Checks statements against the charges that came first, read in their order from the topic."""

    def __init__(self, statements: list[Stated]) -> None:
        self._waiting: dict[Owner, dict[int, list[Stated]]] = {}
        for stated in statements:
            self._waiting.setdefault(stated.owner, {}).setdefault(stated.charges, []).append(stated)
        self._sums = {owner: Digested() for owner in self._waiting}
        self.faults: dict[str, list[str]] = {}
        for owner, by_count in self._waiting.items():
            self._judge(owner, by_count)

    def wants(self, owner: Owner) -> Digested | None:
        """Where to add a charge of this statement's; None where nobody asks. `added` comes after."""
        return self._sums.get(owner)

    def added(self, owner: Owner) -> None:
        """A charge was added: judge the statements that end with it."""
        self._judge(owner, self._waiting[owner])

    def _judge(self, owner: Owner, by_count: dict[int, list[Stated]]) -> None:
        sums = self._sums[owner]
        for stated in by_count.pop(sums.charges, ()):
            if told := list(sums.against(stated)):
                self.faults[stated.statement_id] = told

    def finish(self) -> None:
        """No charge comes any more: statements of more charges than there are have a fault."""
        for owner, by_count in self._waiting.items():
            for statements in by_count.values():
                for stated in statements:
                    self.faults[stated.statement_id] = list(self._sums[owner].against(stated))

    def charges(self, owner: Owner) -> int:
        """How many charges the topic has."""
        return self._sums[owner].charges


def owner_of(group: Group) -> Owner:
    """Whose statement the charges of a group are on."""
    return group[0], group[1], group[3]
