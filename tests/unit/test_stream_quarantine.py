"""Quarantine: a source that sends nothing but faults is cut off at the same record, whatever is read together."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from msgspec.structs import replace

from agents.stream.messages import Release
from agents.stream.partition import Slices
from agents.stream.quarantine import NOT_ITS_FAULT, Quarantine
from agents.stream.table import Place, Table
from schemas.rejection import Reason
from schemas.usage import UsageRecord
from tests.simulation.disk import Disk, DiskStore
from tests.small_books import account, per_unit, reading, tariff
from tests.small_partition import SmallPartition

ONE, TWO = ("default", "one"), ("default", "two")
Verdicts = Sequence[tuple[tuple[str, str], bool]]


def table_over(disk: Disk) -> Table:
    return Table(DiskStore(disk, lambda _: None))


def sent(source: str, verdicts: str) -> Verdicts:
    """Verdicts as a text: `x` rejected, `.` taken."""
    return [(("default", source), verdict == ".") for verdict in verdicts]


@pytest.mark.parametrize(
    ("after", "found", "cut_off"),
    [
        (3, sent("one", "xx"), []),
        (3, sent("one", "xxx"), [ONE]),
        (3, sent("one", "xx.xx"), []),
        (3, sent("one", "xx.xxx"), [ONE]),
        (3, sent("one", "xxx.xxx"), [ONE]),  # what comes by then is rejected as quarantined
        (3, [*sent("one", "xx"), *sent("two", "...x"), *sent("one", "x")], [ONE]),
        (1, [*sent("two", "x"), *sent("one", "x")], [TWO, ONE]),
        (0, sent("one", "x" * 50), []),
    ],
)
def test_a_row_of_rejections_cuts_a_source_off(after: int, found: Verdicts, cut_off: Sequence[object]) -> None:
    at_once = Quarantine(table_over(Disk()), after)
    assert at_once.judge(found) == cut_off
    one_by_one = Quarantine(table_over(Disk()), after)
    assert [source for verdict in found for source in one_by_one.judge([verdict])] == cut_off
    assert at_once.held == one_by_one.held == set(cut_off)
    assert at_once.changes() == one_by_one.changes()


def test_rows_outlast_a_process() -> None:
    table = table_over(disk := Disk())
    quarantine = Quarantine(table, 3)
    quarantine.judge([*sent("one", "xxx"), *sent("two", "xx"), *sent("three", "x.")])
    table.write(table.entries(quarantine.changes(), 0), Place())
    again = Quarantine(table_over(disk), 3)
    assert again.held == {ONE}
    assert again.judge(sent("two", "x")) == [TWO]
    assert Quarantine(table_over(disk), 2).held == {ONE, TWO}
    assert Quarantine(table_over(disk), 0).held == set()


def test_a_release_takes_the_source_and_its_row_out() -> None:
    table = table_over(disk := Disk())
    quarantine = Quarantine(table, 2)
    quarantine.judge(sent("one", "xx"))
    table.write(table.entries(quarantine.changes(), 0), Place())
    quarantine.release(ONE)
    quarantine.release(TWO)  # never was in quarantine
    table.write(table.entries(quarantine.changes(), 0), Place())
    assert (quarantine.held, quarantine.counts) == (set(), False)
    assert not [key for key in disk.values if key.startswith(b"q")]
    assert quarantine.judge(sent("one", "x")) == []
    assert quarantine.judge(sent("one", "x")) == [ONE]


def test_changes_are_told_once() -> None:
    quarantine = Quarantine(table_over(Disk()), 3)
    quarantine.judge(sent("one", "x"))
    assert quarantine.changes()
    assert quarantine.changes() == {}
    quarantine.judge(sent("two", "."))
    assert quarantine.changes() == {}


@pytest.mark.parametrize(
    ("before", "sources", "reach"),
    [
        (0, [ONE, ONE], None),
        (0, [ONE, ONE, ONE], 3),
        (0, [ONE, TWO, ONE, TWO, ONE, ONE], 5),
        (2, [TWO, ONE, TWO], 2),
        (2, [TWO, TWO], None),
    ],
)
def test_how_far_records_can_be_judged_together(before: int, sources: list[tuple[str, str]], reach: int | None) -> None:
    quarantine = Quarantine(table_over(Disk()), 3)
    quarantine.judge(sent("one", "x" * before))
    assert quarantine.reach(sources) == reach
    assert quarantine.may_cut_off(len(sources)) or reach is None


def usage(usage_id: str, source: str, verdict: str) -> UsageRecord:
    """A record that is rejected where the verdict is not `.`."""
    record = reading(usage_id, "1", "2024-01-05", source=source)
    wrongs: dict[str, UsageRecord] = {
        "x": replace(record, quantity=Decimal(-1)),
        "m": replace(record, meter="unheard-of"),
        "a": replace(record, account="nobody"),
    }
    return wrongs.get(verdict, record)


def small(**rest: object) -> SmallPartition:
    stream = SmallPartition(quarantine_after=3, **rest)  # type: ignore[arg-type]
    assert stream.publish(tariff(per_unit("2")), account()) == []
    return stream


X, HELD = Reason.NEGATIVE, Reason.QUARANTINED


@pytest.mark.parametrize("together", [1, 2, 5, 100])
@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize("records", [1, 2, 512])
def test_the_batches_do_not_show(together: int, container: bool, records: int) -> None:
    stream = small(slices=Slices(records=records))
    order = [("one", "x"), ("two", "x"), ("one", "x"), ("two", "."), ("one", "x"), ("one", "."), ("two", "x")]
    sent_records = [usage(f"u{number}", *of) for number, of in enumerate([*order, ("two", "x"), ("one", "x")])]
    for start in range(0, len(sent_records), together):
        some = sent_records[start : start + together]
        stream.rate(stream.message(*some)) if container else stream.take(*some)
    assert [rejection.reason for rejection in stream.rejections] == [X, X, X, X, HELD, X, X, HELD]
    assert [charge.usage_id for charge in stream.charges] == ["u3"]
    counts = stream.table.applied.counts
    assert (counts.received, counts.accepted, counts.rejected, counts.duplicates) == (9, 1, 8, 0)


def test_a_released_source_is_taken_again_and_can_be_replayed() -> None:
    stream = small()
    good = usage("good", "one", ".")
    assert stream.take(*(usage(f"u{number}", "one", "x") for number in range(3)), good) == [X, X, X, HELD]
    assert "rejected release" in stream.rejections[-1].message
    stream.restart()
    assert stream.take(good) == [HELD]
    assert stream.rate(stream.marker(Release("default", "one")), stream.message(good)) == []
    assert [charge.usage_id for charge in stream.charges] == ["good"]


def test_what_is_not_the_sources_fault_neither_counts_nor_breaks_the_row() -> None:
    stream = small()
    verdicts = "xmxax"
    reasons = stream.take(*(usage(f"u{number}", "one", verdict) for number, verdict in enumerate(verdicts)))
    assert reasons == [X, Reason.UNKNOWN_METER, X, Reason.UNKNOWN_ACCOUNT, X]
    assert set(reasons) - {X} < NOT_ITS_FAULT
    assert stream.take(usage("good", "one", ".")) == [HELD]


def test_a_duplicate_is_taken() -> None:
    stream = small()
    good = usage("good", "one", ".")
    assert stream.take(good, *(usage(f"u{number}", "one", "x") for number in range(2)), good) == [X, X]
    assert stream.take(usage("u2", "one", "x"), good) == [X]


def test_sources_of_other_tenants_go_on() -> None:
    stream = small()
    stream.publish(account(tenant="other"))
    assert stream.take(*(usage(f"u{number}", "one", "x") for number in range(3))) == [X, X, X]
    assert stream.take(replace(usage("good", "one", "."), tenant="other")) == []


def test_what_names_no_source_cuts_nobody_off() -> None:
    stream = small()
    assert stream.take(*(b"{" for _ in range(5))) == [Reason.UNREADABLE] * 5
    assert stream.take(usage("good", "one", ".")) == []
