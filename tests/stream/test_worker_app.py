"""The worker's process: how it ends, what it says, and whether it is well. On a real Kafka."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents.stream.progress import SILENT_S, STILL_S, problems
from deploy.broker import Broker
from ratestream.cli import app
from ratestream.worker import worker_id
from tests.stream.recorded import Workshop, wait_until


@pytest.fixture
def shop(broker: Broker, prefix: str, tmp_path: Path) -> Iterator[Workshop]:
    workshop = Workshop(broker, prefix, tmp_path, 2)
    yield workshop
    workshop.stop()


@pytest.mark.parametrize(
    ("poison", "told"),
    [
        ("bad", "usage[1]@0: ValueError: cannot take ['bad'] (recording_worker.py:"),
        ("open", "ValueError: cannot open this (recording_worker.py:"),
        ("agent", "agent rate: TypeError: 'NoneType' object is not callable (app.py:"),
    ],
)
def test_an_error_that_nobody_foresaw_ends_the_process_with_one_line(shop: Workshop, poison: str, told: str) -> None:
    shop.publish(["bad"], 1)
    worker = shop.start("one", poison=poison, log="error")
    assert worker.process.wait(30) == 70
    lines = [line for line in worker.told().splitlines() if "GroupCoordinatorNotAvailable" not in line]
    assert len(lines) == 1, worker.told()
    assert lines[0].startswith("ratestream worker: ")
    assert told in lines[0]
    assert "start the worker again" in lines[0]
    assert worker.events("commit") == []


@pytest.mark.parametrize("open_s", ["0", "30"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_stop_closes_its_tasks_first(
    shop: Workshop, open_s: str, number: signal.Signals
) -> None:
    worker = shop.start("one", open_s=open_s)
    wait_until(lambda: len(worker.events("open" if open_s == "0" else "opening")) == 2, worker.told)
    worker.signal(number)
    assert worker.process.wait(5) == 0
    assert {event["partition"] for event in worker.events("closed")} == {0, 1}
    assert "worker one has stopped" in worker.told()


def test_bulk_has_tasks_of_its_own(shop: Workshop) -> None:
    worker = shop.start("one", bulk="yes")
    shop.publish(["one"], 0)
    shop.producer.send(shop.topics.usage_bulk, b"many", partition=0)
    wait_until(lambda: len(worker.events("commit")) == 2, worker.told)
    offers = {offer["topic"]: offer["values"] for offer in worker.events("offer")}
    assert offers == {shop.topics.usage: ["one"], shop.topics.usage_bulk: ["many"]}
    worker.signal(signal.SIGTERM)
    assert worker.process.wait(5) == 0


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells in a file who listens")
def test_the_web_server_listens_on_the_loopback_interface_alone(shop: Workshop) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    worker = shop.start("one", web=str(port))
    wait_until(lambda: worker.open() == {0, 1}, worker.told)
    listening = Path(f"/proc/{worker.process.pid}/net/tcp").read_text()
    assert f"0100007F:{port:04X}" in listening
    assert f"00000000:{port:04X}" not in listening
    worker.signal(signal.SIGTERM)
    assert worker.process.wait(10) == 0


def test_health_is_that_partitions_get_on(shop: Workshop) -> None:
    worker = shop.start("one")
    wait_until(lambda: len(worker.open()) == 2, worker.told)
    shop.publish(["a", "b"], 0)
    wait_until(lambda: len(worker.events("commit")) >= 1, worker.told)
    checked = CliRunner().invoke(app, ["worker", "--data", str(worker.directory), "--check"])
    assert (checked.exit_code, checked.output) == (0, "")
    worker.signal(signal.SIGKILL)
    later = datetime.now(UTC) + timedelta(seconds=SILENT_S + 2)
    assert "the worker has ended or hangs" in problems(worker.directory, later)[0]


def test_what_is_held_up_is_told(shop: Workshop, tmp_path: Path) -> None:
    worker = shop.start("one", **{"hold-0": "yes", "until": str(tmp_path / "never")})
    shop.publish(["a", "b"], 0)
    wait_until(worker.offered, worker.told)
    time.sleep(1.5)
    told = json.loads((worker.directory / "progress.json").read_text())
    first, second = told["partitions"]
    assert (first["waiting"], second["waiting"]) == (2, 0)
    assert first["delay_s"] > 0.3
    assert first["still_s"] > 0.3
    assert second["still_s"] == second["delay_s"] == 0


def test_health_where_no_worker_was() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert "no worker has started" in problems(Path("/nonexistent"), now)[0]


@pytest.mark.parametrize(
    ("partition", "told"),
    [
        ({"open": True, "still_s": STILL_S - 1}, []),
        ({"open": True, "still_s": STILL_S + 1}, ["usage[3]: 7 records wait, and none was committed for 61 s."]),
        ({"open": False, "still_s": STILL_S + 1}, []),
        ({"open": False, "still_s": 901}, ["usage[3] restores its state since 901 s."]),
    ],
)
def test_what_is_not_healthy(tmp_path: Path, partition: dict[str, object], told: list[str]) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    whole = {"topic": "usage", "partition": 3, "waiting": 7, **partition}
    (tmp_path / "progress.json").write_text(json.dumps({"at": now.isoformat(), "partitions": [whole]}))
    assert problems(tmp_path, now) == told


def test_a_worker_has_the_name_of_its_place(tmp_path: Path) -> None:
    assert worker_id(tmp_path / "a") == worker_id(tmp_path / "b" / ".." / "a") != worker_id(tmp_path / "b")
