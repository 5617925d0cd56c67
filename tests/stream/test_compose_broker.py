"""The broker's settings in docker-compose.yml start a Kafka that serves: here on other ports, in another directory."""

import re
from pathlib import Path

import pytest
import yaml
from kafka import KafkaAdminClient

from deploy.broker import start_broker
from deploy.errors import NoBrokerError

COMPOSE_FILE = Path(__file__).parents[2] / "docker-compose.yml"
PREFIX = "KAFKA_"
OF_THE_IMAGE = {"KAFKA_HEAP_OPTS", "KAFKA_LOG_DIRS"}


def test_its_settings_start_a_kafka(tmp_path: Path) -> None:
    told = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))["services"]["kafka"]["environment"]
    names = [name for name in told if name.startswith(PREFIX) and name not in OF_THE_IMAGE]
    properties = {name.removeprefix(PREFIX).lower().replace("_", "."): _here(told[name]) for name in names}
    try:
        broker = start_broker(tmp_path / "kafka", properties=properties)
    except NoBrokerError as error:
        pytest.skip(f"NOT RUN on Kafka: {error}")
    try:
        assert list(broker.listeners) == ["INSIDE", "OUTSIDE"]
        for bootstrap in broker.listeners.values():
            admin = KafkaAdminClient(bootstrap_servers=bootstrap)
            try:
                assert [member["broker_id"] for member in admin.describe_cluster()["brokers"]] == [1]
            finally:
                admin.close()
    finally:
        broker.stop()


def _here(value: str) -> str:
    """The same on this machine: a free port in place of each one that the container has to itself."""
    of_voters = re.sub(r"@[\w.]+:9093$", "@127.0.0.1:{CONTROLLER_port}", value)
    return re.sub(r"(\w+)://[\w.]*:\d+", r"\1://127.0.0.1:{\1_port}", of_voters)
