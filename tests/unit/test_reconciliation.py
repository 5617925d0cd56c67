"""The comparison by itself: a damage to any row is found, and nothing else is; what is in flight is no alarm."""

from hypothesis import given
from hypothesis import strategies as st

from sinks.reconciliation.differences import Difference, Kind, Row, differences
from sinks.reconciliation.shapes import BETWEEN, CHARGE_SHAPE, Group, fixed, hash_of
from sinks.reconciliation.statements import Digested, InOrder, Stated, faults
from sinks.reconciliation.tallies import Sums, Tally, batches, compare

ACCOUNTS = ("anna", "bert", "carl")


def row(number: int, *, amount: int = 5, is_due: bool = True, place: str = "") -> Row:
    account = ACCOUNTS[number % len(ACCOUNTS)]
    group: Group = ("default", account, "power", "2024-01-01T00:00:00Z")
    texts = ["" for _ in CHARGE_SHAPE.columns]
    texts[CHARGE_SHAPE.columns.index("charge_id")] = str(number)
    texts[CHARGE_SHAPE.columns.index("amount")] = str(amount)
    return Row(group, (account, str(number)), str(number), BETWEEN.join(texts), place or f"charges[0]@{number}", is_due)


def tally(rows: list[Row]) -> Tally:
    result = Tally()
    for one in rows:
        result.add(one.group, fixed(one.text.split(BETWEEN)[18]), hash_of(one.text))
    return result


def found(due: list[Row], there: list[Row]) -> tuple[list[Difference], int]:
    """What a course finds: only groups that do not agree are looked into."""
    settled, coming = ([one for one in due if one.is_due is wanted] for wanted in (True, False))
    compared = compare(tally(settled), tally(coming), tally(there))
    suspects = set(compared.suspects)
    within = [[one for one in rows if one.group in suspects] for rows in (due, there)]
    looked = differences(CHARGE_SHAPE, *within)
    return looked.differences, compared.on_the_way + looked.on_the_way


streams = st.integers(2, 30).flatmap(
    lambda count: st.tuples(st.just(count), st.integers(0, count - 1), st.sets(st.integers(0, count - 1)))
)
"""How many rows, from which on they are in flight, and which of those have not arrived."""


@given(streams)
def test_what_is_in_flight_is_no_alarm(stream: tuple[int, int, set[int]]) -> None:
    count, settled, lost = stream
    due = [row(number, is_due=number < settled) for number in range(count)]
    there = [row(number) for number in range(count) if number < settled or number not in lost]
    assert found(due, there) == ([], count - len(there))


@given(streams, st.integers(0), st.sampled_from(["lost", "made up", "changed", "doubled", "doubled there"]))
def test_one_damage_is_found_and_nothing_else(stream: tuple[int, int, set[int]], which: int, damage: str) -> None:
    count, settled, lost = stream
    settled = max(settled, 1)
    hit = which % settled
    due = [row(number, is_due=number < settled) for number in range(count)]
    there = [row(number) for number in range(count) if number < settled or number not in lost]
    kind, name = Kind.DOUBLED, str(hit)
    if damage == "lost":
        there.remove(row(hit))
        kind = Kind.MISSING
    elif damage == "made up":
        there.append(row(count + hit))
        kind, name = Kind.EXTRA, str(count + hit)
    elif damage == "changed":
        there[there.index(row(hit))] = row(hit, amount=6)
        kind = Kind.DIFFERENT
    elif damage == "doubled":
        due.append(row(hit, place="charges[0]@100"))
    else:
        there.append(row(hit))
    told, _ = found(due, there)
    assert [(one.kind, one.name) for one in told] == [(kind, name)]
    assert told[0].told == {Kind.DIFFERENT: "amount 5 and 6", Kind.DOUBLED: "2 times"}.get(kind, "")


def test_two_rows_that_swap_their_amounts_are_found() -> None:
    """Count and sum agree: only the hashes tell."""
    due = [row(0, amount=1), row(3, amount=2)]
    there = [row(0, amount=2), row(3, amount=1)]
    assert [one.kind for one in found(due, there)[0]] == [Kind.DIFFERENT] * 2


def test_batches_hold_no_more_than_asked_for_but_each_has_a_group() -> None:
    sums = Tally()
    groups: list[Group] = [("", str(number), "", "") for number in range(5)]
    for number, group in enumerate(groups):
        sums.put(group, Sums(number * 10))
    assert list(batches(groups, (sums,), 30)) == [groups[:3], groups[3:4], groups[4:]]


def stated(charges: int, exact: int, digest: int, *, name: str = "s/1", is_last: bool = True) -> Stated:
    return Stated(
        statement_id=name,
        owner=("default", "anna", "2024-01-01T00:00:00Z"),
        is_last=is_last,
        exact=exact,
        net=10,
        tax=2,
        total=12,
        due=7,
        settled=5,
        charges=charges,
        digest=digest,
        lines_exact=exact,
        lines_amount=10,
        taxes_amount=2,
        stored_charges=charges,
        stored_exact=exact,
        rounds_total=False,
    )


def test_a_statement_adds_up_or_says_where_not() -> None:
    right = stated(1, 10, 0)
    assert list(faults(right)) == []
    for name in ("total", "due", "tax", "net", "settled", "lines_exact", "lines_amount", "taxes_amount", "exact"):
        wrong = right._replace(**{name: getattr(right, name) + 1})
        assert list(faults(wrong)), name
    assert list(faults(right._replace(lines_amount=11, rounds_total=True))) == []


def test_statements_of_the_charges_that_came_first() -> None:
    """Each is judged when the charges that it counts have come; one that waits for more than there are is wrong."""
    charges = [(str(number), "usage", "power", 0, 1, number, "plan", "1") for number in range(1, 5)]
    sums = [Digested() for _ in range(6)]
    for number, one in enumerate(charges):
        for later in sums[number + 1 :]:
            later.add(*one)
    right = [stated(n, sums[n].exact, sums[n].digest, name=f"s/{n}") for n in (0, 2, 4)]
    wrong = [stated(3, sums[3].exact + 1, sums[3].digest, name="wrong"), stated(5, 0, 0, name="more")]
    order = InOrder([*right, *wrong])
    owner = right[0].owner
    for one in charges:
        added = order.wants(owner)
        assert added is not None
        added.add(*one)
        order.added(owner)
    order.finish()
    assert order.faults.keys() == {"wrong", "more"}
    assert order.faults["more"][0] == "it says 5 charges, there are 4"
    assert order.wants(("default", "bert", "")) is None
