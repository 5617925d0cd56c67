"""A proof end to end: published to a real Kafka, rated by a worker, stored by a sink, and rated once more."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from deploy.broker import Broker
from schemas.codecs import usage_json
from schemas.tariff import Tariff, canonical
from schemas.usage import UsageRecord
from sinks.clickhouse import ClickHouse
from tests.clickhouse.server import FrontServer
from tests.small_books import graduated, per_unit, reading, tariff
from tests.stream.streaming import Desk

WAIT_S = 90
ACCOUNTS = """accounts:
- {account: home, zone: Europe/Berlin, currency: USD, tariffs: [{tariff: plan, from: 2024-01-01}]}
- {account: flat, zone: UTC, currency: USD, tariffs: [{tariff: plan, from: 2024-01-01}]}
"""
PLAN = {"fees": [{"name": "Service", "amount": "3", "per": "period"}], "closing": {"lateness_s": 8_640_000}}
FIRST = tariff(graduated(("10", "0.30"), (None, "0.123456")), **PLAN)
SECOND = tariff(per_unit("0.5"), version="2", effective_from="2024-02-10", **PLAN)


@pytest.fixture
def desk(broker: Broker, prefix: str) -> Iterator[Desk]:
    desk, server = Desk(broker, prefix), FrontServer()
    desk.environment = {**desk.environment, "RATESTREAM_CLICKHOUSE": server.dsn, "RATESTREAM_SINK_WAIT_S": "1"}
    try:
        yield desk
    finally:
        server.stop()


def test_what_worker_and_sink_have_done_is_proved(desk: Desk, tmp_path: Path) -> None:
    desk.ask("migrate")
    with running(desk, tmp_path, "worker", "sink"), ClickHouse(desk.environment["RATESTREAM_CLICKHOUSE"]) as stored:
        declare(desk, tmp_path, FIRST)
        send(desk, tmp_path, *(both(f"j{day}", f"{day}.25", f"2024-01-{day:02}") for day in range(1, 20)))
        wait(stored, rated=38)
        desk.ask("close", "--period", "2024-01")
        wait(stored, closed=2)
        send(desk, tmp_path, both("late", "7", "2024-01-31"), both("f1", "4", "2024-02-01"))
        send(desk, tmp_path, both("f2", "5", "2024-02-11"), both("void", None, "2024-02-02", corrects="f1"))
        wait(stored, rated=46)
        declare(desk, tmp_path, SECOND)
        send(desk, tmp_path, both("f3", "6", "2024-02-12"), both("m1", "1", "2024-03-01"))
        wait(stored, rated=50)
        desk.ask("close", "--period", "2024-02")
        wait(stored, rated=50, closed=4, on_no_statement=2, used=50)
    for account in ("home", "flat"):
        for period in ("2024-01", "2024-02"):
            proof = json.loads(desk.ask("prove", account, "--period", period, "--format", "json"))
            assert (proof["verdict"], proof["records"]) == ("proved", 25), proof
    proof = json.loads(desk.ask("prove", "home", "--period", "2024-02", "--from", "topic", "--format", "json"))
    assert (proof["verdict"], proof["usage_from"], proof["records"]) == ("proved", "topic", 25)
    assert proof["statements"][0]["facts"]["stored"]["usage_records"] == 5
    with ClickHouse(desk.environment["RATESTREAM_CLICKHOUSE"]) as clickhouse:
        clickhouse.execute("ALTER TABLE usage DELETE WHERE usage_id = 'f2-home' SETTINGS mutations_sync = 1")
    assert desk.asked("prove", "home", "--period", "2024-02").exit_code == 70
    assert "proved" in desk.ask("prove", "home", "--period", "2024-02", "--from", "topic")


def both(usage_id: str, quantity: str | None, day: str, **rest: str) -> list[UsageRecord]:
    """A record of each account."""
    return [
        reading(f"{usage_id}-{name}", quantity, f"{day}T12:00", account=name, **_named(rest, name))
        for name in ("home", "flat")
    ]


def _named(rest: dict[str, str], name: str) -> dict[str, str]:
    return {field: f"{value}-{name}" for field, value in rest.items()}


def declare(desk: Desk, tmp_path: Path, version: Tariff) -> None:
    """Publish a tariff version, and the accounts."""
    tariffs, accounts = tmp_path / "tariffs", tmp_path / "accounts.yaml"
    tariffs.mkdir(exist_ok=True)
    (tariffs / f"{version.version}.yaml").write_bytes(canonical(version))
    accounts.write_text(ACCOUNTS)
    desk.ask("publish", "--tariffs", tariffs, "--accounts", accounts)


def send(desk: Desk, tmp_path: Path, *records: list[UsageRecord]) -> None:
    """Publish usage."""
    file = tmp_path / "usage.jsonl"
    file.write_bytes(b"".join(usage_json(one) + b"\n" for some in records for one in some))
    desk.ask("publish", file)


@contextmanager
def running(desk: Desk, tmp_path: Path, *commands: str) -> Iterator[None]:
    """Processes, stopped at the end."""
    with ExitStack() as started:
        for command in commands:
            process = desk.start(command, "--data", tmp_path / command)
            started.callback(stop, process)
        yield


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told


COUNTS = """
SELECT (SELECT countIf(usage_id != '') FROM charges) AS rated, (SELECT count() FROM statements) AS closed,
    (SELECT count() FROM usage) AS used,
    toInt64((SELECT count() FROM charges)) - toInt64((SELECT sum(charges) FROM statements)) AS on_no_statement
"""


def wait(stored: ClickHouse, **until: int) -> None:
    """Until so much is stored."""
    deadline = time.monotonic() + WAIT_S
    while not until.items() <= (found := stored.query_arrow(COUNTS).to_pylist()[0]).items():
        assert time.monotonic() < deadline, f"{found} after {WAIT_S} s, not {until}"
        time.sleep(0.3)
