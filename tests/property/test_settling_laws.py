"""Laws of settling: credits, interim statements and revisions say who pays and when, never how much there is to pay."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace as replace_world

from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace

from pipeline.settling import balances
from schemas.account import Account
from schemas.fixed_point import PRICE_SCALE, QUANTITY_ONE, to_fixed
from schemas.statement import Statement, StatementKind
from schemas.usage import UsageRecord
from tests.property.price_documents import decimals
from tests.property.strategies import World, examples, plain_usage, usage, worlds
from tests.small_books import Books


@st.composite
def settled_worlds(draw: st.DrawFn, *, progressive: bool = True) -> World:
    """Worlds with credits, progressive billing or none, and either policy for late usage."""
    world = draw(worlds())
    document = world.account.model_dump(mode="json", by_alias=True)
    document["credits"] = [
        {"name": "old", "amount": draw(decimals(0, 60, 2)), "from": "2024-01-01", "until": "2024-03-01"},
        {"name": "new", "amount": draw(decimals(0, 90, 2)), "from": "2024-02-01", "priority": draw(st.integers(1, 2))},
    ]
    if progressive:
        document["progressive"] = draw(st.sampled_from([None, {"thresholds": ["5", "12"], "repeat": "7"}]))
    late = draw(st.sampled_from(["next-statement", "revision"]))
    tariffs = tuple(
        tariff.model_copy(update={"closing": tariff.closing.model_copy(update={"late": late})})
        for tariff in world.tariffs
    )
    return replace_world(world, tariffs=tariffs, account=Account.model_validate(document))


def taken(world: World, records: Sequence[UsageRecord], size: int) -> Books:
    """Everything closed, with a restart after each batch of a size."""
    books = world.books()
    for first in range(0, len(records), size):
        books.take(*records[first : first + size])
        books.restart()
    books.close_all()
    return books


def latest(books: Books) -> list[Statement]:
    """The last revision of each period's own statement."""
    own = [statement for statement in books.statements if statement.kind is StatementKind.STATEMENT]
    return list({statement.period_start: statement for statement in own}.values())


@examples(100)
@given(settled_worlds(), usage(most=16), st.integers(1, 5))
def test_batches_and_restarts_settle_the_same(world: World, records: list[UsageRecord], size: int) -> None:
    parts, whole = taken(world, records, size), taken(world, records, len(records))
    assert json.encode(parts.statements) == json.encode(whole.statements)
    assert parts.state().drawn == whole.state().drawn


@examples(100)
@given(settled_worlds(), usage(most=16))
def test_what_was_paid_adds_up(world: World, records: list[UsageRecord]) -> None:
    """Each credit pays what it has, once; each statement says what is left to pay."""
    books = taken(world, records, len(records))
    drawn: Counter[str] = Counter()
    for statement in [*latest(books), *(s for s in books.statements if s.kind is StatementKind.INTERIM)]:
        paid = sum(one.amount for one in statement.settlements)
        assert statement.due == statement.total - paid
        assert all(one.amount >= 0 and one.remaining >= 0 for one in statement.settlements)
        drawn.update({one.name: one.amount for one in statement.settlements if one.name in ("old", "new")})
    amounts = {c.name: to_fixed(c.amount, PRICE_SCALE) * QUANTITY_ONE for c in world.account.credits}
    assert {one.name: one.remaining for one in balances(books.state())} == {n: a - drawn[n] for n, a in amounts.items()}


@examples(100)
@given(settled_worlds(), usage(most=16))
def test_the_last_revision_sums_all_charges(world: World, records: list[UsageRecord]) -> None:
    books = taken(world, records, len(records))
    for statement in latest(books):
        charges = [c for c in books.charges if c.statement_start == statement.period_start]
        assert (sum(c.amount for c in charges), len(charges)) == (statement.exact, statement.charges)
        assert sum(line.exact for line in statement.lines) == statement.exact
    revisions = [(s.period_start, s.revision, s.number) for s in books.statements]
    assert len(set(revisions)) == len(revisions)
    assert len({c.charge_id for c in books.charges}) == len(books.charges)


@examples(100)
@given(settled_worlds(), usage(most=16))
def test_credits_and_interim_statements_change_no_amount(world: World, records: list[UsageRecord]) -> None:
    plain = replace_world(world, account=world.account.model_copy(update={"credits": (), "progressive": None}))
    one, other = taken(world, records, len(records)), taken(plain, records, len(records))
    assert one.charges == other.charges
    assert [_unsettled(s) for s in one.statements if not s.number] == [_unsettled(s) for s in other.statements]


def _unsettled(statement: Statement) -> Statement:
    lines = tuple(replace(line, due=0) for line in statement.lines)
    return replace(statement, lines=lines, settlements=(), due=0)


@examples(100)
@given(settled_worlds(progressive=False), plain_usage(), st.data())
def test_the_order_of_usage_settles_nothing_else(world: World, records: list[UsageRecord], data: st.DataObject) -> None:
    """Without interim statements, which ask as usage comes."""
    settled = []
    for order in (records, data.draw(st.permutations(records))):
        books = world.books(closes=False)
        books.take(*order)
        settled.append([(s.settlements, s.due) for s in books.close_all()])
    assert settled[0] == settled[1]
