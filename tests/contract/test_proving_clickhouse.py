"""Proofs from ClickHouse: what is stored as it was is proved, and every damage is named."""

import json
import os
from collections.abc import Iterator
from decimal import Decimal
from itertools import count

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from agents.errors import NoAnswerError
from agents.proving.archive import prove_archived, subject_of
from agents.proving.meaning import meaning
from agents.proving.proof import Proof, Verdict
from agents.stream.messages import Close, Tick
from ratestream.cli import app
from schemas.charge import Charge, ChargeKind
from schemas.instants import DAY_US
from schemas.rejection import Reason
from sinks.clickhouse import ClickHouse
from tests.small_archive import Archive, RememberedPartition
from tests.small_books import account, graduated, per_unit, reading, tariff

PLAN = {
    "fees": [{"name": "Service", "amount": "3", "per": "period"}],
    "tax": [{"name": "VAT", "percent": "5"}],
    "closing": {"grace_s": 86_400, "lateness_s": 60 * 86_400, "silence_s": 5 * 86_400},
}
FIRST = tariff(graduated(("10", "0.30"), (None, "0.123456")), **PLAN)
SECOND = tariff(per_unit("0.5"), version="2", effective_from="2024-02-10", **PLAN)
_numbers = count()


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("chdb", reason="NOT RUN on chDB: pip install 'ratestream[embedded]'")
    return f"chdb://{tmp_path_factory.mktemp('chdb')}/data"


@pytest.fixture(scope="module")
def sink(dsn: str) -> Iterator[ClickHouse]:
    with ClickHouse(dsn) as sink:
        sink.migrate()
        yield sink


@pytest.fixture
def tenant() -> str:
    """Each test has a tenant of its own in the same tables."""
    return f"tenant-{next(_numbers)}"


@pytest.fixture
def archive(tenant: str) -> Archive:
    """Months of an account: interim, late and void usage, a container, a closing, and a version published late."""
    of = {"tenant": tenant}
    rated = RememberedPartition()
    rated.on("2024-01-01", FIRST, account(progressive={"thresholds": ["2"]}, **of), account(account="flat", **of))
    rated.on(
        "2024-01-05", reading("r1", "4.5", "2024-01-04", **of), reading("n1", "1", "2024-01-04", account="flat", **of)
    )
    long = reading("r2", "7.25", "2024-01-10", "2024-01-19", **of)
    assert rated.on("2024-01-20", long, long, replace(long, quantity=Decimal(9))) == [Reason.ID_REUSED]
    rated.on("2024-02-01", reading("r3", "1", "2024-01-31", **of))
    rated.rate(
        rated.marker(Close("2024-01"), rated.now),  # it takes effect after what was read with it
        rated.message(reading("r4", "1.5", "2024-01-31", **of), received=rated.now),
    )
    assert [None for _ in rated.sweeps()]
    together = reading("r5", "3", "2024-02-02", **of), reading("r6", "30", "2024-02-03", **of)
    rated.rate(rated.message(*together, received=rated.now + 4 * DAY_US))
    rated.on(
        "2024-02-07", reading("r7", "2", "2024-01-30", **of), reading("r8", None, "2024-02-06", corrects="r1", **of)
    )
    rated.on("2024-03-01", reading("r9", "1", "2024-02-20", **of), SECOND, reading("r10", "1", "2024-02-21", **of))
    rated.on("2024-03-03", reading("r11", "5", "2024-03-02", **of))
    rated.on("2024-05-10")
    rated.command(Tick(), rated.now)
    return Archive.of(rated, partition=next(_numbers))


def proof_of(archive: Archive, sink: ClickHouse, period: str = "2024-01", account: str = "home") -> Proof:
    """The proof of what is stored, once all of it is."""
    archive.fill(sink)
    tenant = archive.charges[0].tenant
    return prove_archived(sink, subject_of(sink, tenant, account, period))


def charge_of(archive: Archive, usage_id: str) -> Charge:
    return next(charge for charge in archive.charges if charge.usage_id == usage_id)


def told(proof: Proof) -> str:
    return "\n".join(meaning(proof))


@pytest.mark.parametrize("period", ["2024-01", "2024-02", "2024-03"])
def test_what_is_stored_as_it_was_is_proved(archive: Archive, sink: ClickHouse, period: str) -> None:
    proof = proof_of(archive, sink, period)
    assert proof.verdict is Verdict.PROVED, proof
    assert [*meaning(proof)] == []
    assert {charge.version for charge in archive.charges if charge.kind is ChargeKind.USAGE} == {"1", "2"}
    assert len(proof.statements) == {"2024-01": 2, "2024-02": 2, "2024-03": 2}[period]
    assert all(one.counted is not None and one.counted.charges_digest for one in proof.statements)


def test_a_charge_changed_by_the_least_that_there_is(archive: Archive, sink: ClickHouse) -> None:
    charge = charge_of(archive, "r2")
    archive.charges[archive.charges.index(charge)] = replace(charge, amount=charge.amount + 1)
    proof = proof_of(archive, sink)
    assert proof.verdict is Verdict.NOT_PROVED
    (found,) = proof.charges
    assert (found.id, found.field, found.stored, found.recomputed, found.record) == (
        *(charge.charge_id, "amount", "1.866048000000000001", "1.866048"),
        "usage default/r2 at offset 2",
    )
    by_charges = {one.field: (one.stored, one.recomputed) for one in proof.statements[-1].differences}
    assert by_charges["exact"] == ("6.524688", "6.524688000000000001")
    assert set(by_charges) == {
        "exact",
        "charges_digest",
        "lines of power under plan 1",
    }
    assert told(proof).startswith("Statement and usage agree: rows of charges were lost, doubled or changed")


def test_a_charge_that_is_missing(archive: Archive, sink: ClickHouse) -> None:
    charge = charge_of(archive, "r3")
    archive.charges.remove(charge)
    proof = proof_of(archive, sink)
    assert proof.verdict is Verdict.NOT_PROVED
    assert [(one.id, one.field, one.stored) for one in proof.charges] == [(charge.charge_id, "", None)]
    assert {"charges", "exact", "charges_digest"} <= {one.field for one in proof.statements[-1].differences}


@pytest.mark.parametrize("changes", [{"charge_id": "0" * 32}, {"usage_start": 0}], ids=["another", "the same again"])
def test_a_charge_too_many(archive: Archive, sink: ClickHouse, changes: dict[str, str | int]) -> None:
    extra = replace(charge_of(archive, "r3"), **changes)
    archive.charges.append(extra)
    proof = proof_of(archive, sink)
    assert proof.verdict is Verdict.NOT_PROVED
    assert [(one.id, one.field, one.recomputed) for one in proof.charges] == [(extra.charge_id, "", None)]
    assert {"charges", "exact", "charges_digest"} <= {one.field for one in proof.statements[-1].differences}


def test_what_no_digest_covers(archive: Archive, sink: ClickHouse) -> None:
    charge = charge_of(archive, "r3")
    archive.charges[archive.charges.index(charge)] = replace(charge, unit="MWh")
    proof = proof_of(archive, sink)
    assert proof.verdict is Verdict.NOT_PROVED
    assert [(one.field, one.stored, one.recomputed) for one in proof.charges] == [("unit", "MWh", "kWh")]
    assert [one for each in proof.statements for one in each.differences] == []


def test_usage_that_is_missing(archive: Archive, sink: ClickHouse) -> None:
    archive.usage = [row for row in archive.usage if row.usage.id != "r3"]
    proof = proof_of(archive, sink)
    assert proof.verdict is Verdict.NOT_PROVED
    assert [(one.source, one.usage_id, one.refused) for one in proof.usage] == [("default", "r3", "")]
    assert told(proof).startswith(
        "Usage default/r3 is charged and is not in the archive.\nCharges and statement agree: the archive has not"
    )
    assert [one for each in proof.statements for one in each.differences if one.by == "charges"] == []
    assert "complete" not in {one.field for one in proof.statements[-1].differences}
    alone = [one for one in proof.charges if not one.field]
    assert [(one.id, one.recomputed) for one in alone] == [(charge_of(archive, "r3").charge_id, None)]


def test_usage_that_was_changed(archive: Archive, sink: ClickHouse) -> None:
    place = next(number for number, row in enumerate(archive.usage) if row.usage.id == "r2")
    row = archive.usage[place]
    archive.usage[place] = row._replace(usage=replace(row.usage, quantity=Decimal("7.250001")))
    archive.usage = [row for row in archive.usage if row.usage.id != "r2" or row.offset == archive.usage[place].offset]
    proof = proof_of(archive, sink)
    assert proof.verdict is Verdict.NOT_PROVED
    first = [one for one in proof.charges if one.id == proof.charges[0].id]
    assert {one.record for one in first} == {f"usage default/r2 at offset {row.offset}"}
    assert {one.field: (one.stored, one.recomputed) for one in first}["quantity"] == ("7.25", "7.250001")
    assert "usage_digest" in {one.field for one in proof.statements[-1].differences}
    assert told(proof).startswith("Charges and statement agree: the archive has not the usage that was rated")


def test_a_statement_that_was_changed(archive: Archive, sink: ClickHouse) -> None:
    statement = archive.statements[-1]
    archive.statements[-1] = replace(statement, total=statement.total + 1)
    period = statement.statement_id.split("/")[-2]
    proof = proof_of(archive, sink, period)
    assert proof.verdict is Verdict.NOT_PROVED
    assert [one.field for one in proof.statements[-1].differences] == ["total"]
    assert proof.charges == []
    assert told(proof).startswith("Charges and usage agree: the statement was changed in ClickHouse.")
    elsewhere = proof_of(archive, sink, "2024-01")
    assert (elsewhere.verdict, elsewhere.elsewhere) == (Verdict.PROVED, [period])


def test_a_statement_that_is_missing(archive: Archive, sink: ClickHouse) -> None:
    interim = next(one for one in archive.statements if one.number == 1)
    archive.statements.remove(interim)
    proof = proof_of(archive, sink)
    assert proof.verdict is Verdict.NOT_PROVED
    (found,) = proof.statements[0].differences
    assert (found.id, found.stored) == (interim.statement_id, None)
    assert told(proof).startswith("The usage makes a statement that is not stored")


def test_usage_from_before_the_archive_cannot_be_guessed(archive: Archive, sink: ClickHouse) -> None:
    archive.usage = [row for row in archive.usage if row.offset > 2]
    archive.rejections = []
    proof = proof_of(archive, sink)
    assert proof.verdict is Verdict.CANNOT
    assert proof.missing.startswith(f"usage before offset 3 of partition {archive.partition} is not in the archive")


def test_a_tariff_version_that_nobody_has_cannot_be_guessed(archive: Archive, sink: ClickHouse) -> None:
    for charge in [one for one in archive.charges if one.version == "1"]:
        archive.charges[archive.charges.index(charge)] = replace(charge, version="0.9")
    proof = proof_of(archive, sink)
    assert proof.missing == "charges name tariff versions that are not among the documents: plan 0.9"
    assert proof.verdict is Verdict.NOT_PROVED  # as charges and statement disagree, whatever the usage says


def test_usage_in_two_partitions_cannot_be_told_apart(archive: Archive, sink: ClickHouse) -> None:
    archive.usage.append(archive.usage[0]._replace(partition=1_000 + archive.partition))
    proof = proof_of(archive, sink)
    assert proof.verdict is Verdict.CANNOT
    assert "rejections are missing" in proof.missing
    assert proof.statements[0].stored is not None
    assert proof.statements[0].differences == []


def test_what_is_not_there_is_no_verdict(archive: Archive, sink: ClickHouse) -> None:
    for period, name in (("2024-01", "nobody"), ("2024-13", "home"), ("2024-09", "home")):
        with pytest.raises(NoAnswerError):
            proof_of(archive, sink, period, name)


def asked(dsn: str, *arguments: str) -> Result:
    environment = {name: None for name in os.environ if name.startswith("RATESTREAM_")}
    return CliRunner().invoke(app, ["prove", *arguments], env={**environment, "RATESTREAM_CLICKHOUSE": dsn})


def test_what_the_command_says(archive: Archive, sink: ClickHouse, dsn: str, tenant: str) -> None:
    charge = charge_of(archive, "r2")
    archive.charges[archive.charges.index(charge)] = replace(charge, amount=charge.amount + 1)
    archive.fill(sink)
    february, january = (asked(dsn, "home", "--tenant", tenant, "--period", f"2024-0{month}") for month in (2, 1))
    assert february.exit_code == 0, february.stderr
    assert february.stdout.startswith("Proof of home, 2024-02 (2024-02-01 to 2024-02-29, UTC): proved\n")
    assert january.exit_code == 70, january.stderr
    assert "not proved" in january.stdout.splitlines()[0]
    assert f"Charge {charge.charge_id}, usage default/r2 at offset 2\n" in january.stdout
    assert "amount   1.866048000000000001  1.866048    usage\n" in january.stdout
    assert max(map(len, (february.stdout + january.stdout).splitlines())) <= 80
    told = asked(dsn, "home", "--tenant", tenant, "--period", "2024-01", "--format", "json")
    document = json.loads(told.stdout)
    assert (told.exit_code, document["verdict"], document["records"]) == (70, "not proved", 12)
    assert [one["field"] for one in document["charges"]] == ["amount"]
    assert document["statements"][1]["facts"]["stored"]["exact"] == "6.524688"
    assert asked(dsn, "home", "--tenant", tenant, "--period", "2024-09").exit_code == 4
