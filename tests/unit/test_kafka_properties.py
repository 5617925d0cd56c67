"""A broker's settings: ports that fit together, and what a caller says goes first."""

import re

from deploy.kafka_properties import Properties, kafka_version
from deploy.ports import PORTS

SASL = {
    "listeners": (
        "PLAINTEXT://127.0.0.1:{plaintext_port},SASL://127.0.0.1:{sasl_port},CONTROLLER://127.0.0.1:{controller_port}"
    ),
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
}


def test_it_advertises_what_it_listens_on_but_not_the_controller() -> None:
    plain = Properties.of({}, data="/data")
    assert list(plain.listeners) == ["PLAINTEXT"]
    assert plain.values["listeners"].startswith(plain.values["advertised.listeners"] + ",CONTROLLER://127.0.0.1:")
    assert plain.values["log.dirs"] == "/data"
    assert "{" not in plain.text()


def test_one_name_is_one_port_and_two_names_are_two() -> None:
    values = Properties.of(SASL, data="/data").values
    ports = [int(port) for port in re.findall(r":(\d+)", values["listeners"])]
    assert len(set(ports)) == 3
    assert set(ports) <= set(PORTS)
    assert values["controller.quorum.voters"] == f"1@127.0.0.1:{ports[2]}"


def test_listeners_of_a_caller_are_told_by_name() -> None:
    properties = Properties.of(SASL, data="/data")
    assert list(properties.listeners) == ["PLAINTEXT", "SASL"]
    assert [f"127.0.0.1:{port}" for port in properties.ports] == list(properties.listeners.values())


def test_what_a_caller_advertises_stays() -> None:
    advertised = "PLAINTEXT://kafka.example:{plaintext_port}"
    properties = Properties.of({"advertised.listeners": advertised}, data="/data")
    (port,) = properties.ports
    assert properties.listeners == {"PLAINTEXT": f"kafka.example:{port}"}
    assert f"PLAINTEXT://127.0.0.1:{port}," in properties.values["listeners"]


def test_a_container_listens_everywhere_and_advertises_the_same() -> None:
    inside = Properties.of({}, data="/data")
    outside = inside.listening_everywhere()
    assert "127.0.0.1" not in outside.values["listeners"]
    assert outside.listeners == inside.listeners


def test_values_of_many_lines_are_written_as_java_reads_them() -> None:
    pem = "-----BEGIN-----\nabc\\d\n-----END-----"
    assert r"ssl.key=-----BEGIN-----\nabc\\d\n-----END-----" in Properties.of({"ssl.key": pem}, data="/data").text()


def test_the_version_is_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", kafka_version())
