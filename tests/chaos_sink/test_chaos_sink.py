"""CI's smaller set of the harness; `make chaos-sink` runs the whole one. RATESTREAM_TEST_SEED chooses another seed."""

import os
import uuid
from collections.abc import Iterator

import pytest

from deploy.broker import Broker
from tests.chaos_sink.comparison import Report
from tests.chaos_sink.run import Run, Size, prepared

SEED = int(os.environ.get("RATESTREAM_TEST_SEED", "20240331"))


@pytest.fixture(scope="module")
def run(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("sinks")
    with prepared(
        broker.bootstrap, f"test-{uuid.uuid4().hex[:12]}.", folder, SEED, Size(2_500, kills=20, late_s=1.0)
    ) as run:
        yield run


@pytest.fixture(scope="module")
def report(run: Run) -> Report:
    run.hurt()
    return run.finish()


def test_twenty_kills_and_every_fault_leave_each_row_once(report: Report) -> None:
    print(report.table())
    assert report.is_right, f"seed {SEED}\n{report.table()}"
    assert report.doubled_share > 0, "or nothing was ever inserted twice, and FINAL had nothing to show"
    assert all(report.rows.values()), f"a table without rows proves nothing: {report.rows}"
    assert all(report.done.values()), f"a fault met nothing: {report.done}"


DAMAGES = {
    "ALTER TABLE charges DELETE WHERE charge_id = '{charge}'": "charges: ('{charge}',) is missing",
    "INSERT INTO charges SELECT * REPLACE (amount + toDecimal128('0.000000000000000001', 18) AS amount) FROM charges "
    "FINAL WHERE charge_id = '{other}'": "charges: ('{other}',): amount is",
    "INSERT INTO taxes SELECT * REPLACE (toUInt32(line + 1) AS line) FROM taxes FINAL LIMIT 1": "is from nowhere",
    "INSERT INTO statements SELECT * REPLACE (toUInt32(revision + 7) AS revision) FROM statements FINAL LIMIT 1": (
        "is seen more than once"
    ),
    "ALTER TABLE usage UPDATE attributes = map('region', 'nord') WHERE attributes['region'] != ''": "attributes is",
    "ALTER TABLE rejected UPDATE original = concat(original, ' ') WHERE 1": "original is",
}


@pytest.mark.usefixtures("report")
def test_every_damage_is_found_and_named(run: Run) -> None:
    charge, other = (key[0] for key in list(run.database.held("charges").rows)[:2])
    for damage in DAMAGES:
        run.database.ask(damage.format(charge=charge, other=other), mutations_sync="1")
    found = run.compare().differences
    for told in DAMAGES.values():
        assert any(told.format(charge=charge, other=other) in difference for difference in found), told


@pytest.mark.usefixtures("report")
def test_a_sink_that_commits_before_it_inserts_is_found(run: Run) -> None:
    before = len(run.compare().differences)
    sent = run.feed(100)
    run.log.commit_unstored()
    run.sinks.scale(1)
    run.drain()
    run.sinks.scale(0)
    lost = len(run.compare().differences) - before
    assert lost >= len([one for one in sent if one.topic == "charges"])
