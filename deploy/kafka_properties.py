"""The settings of one broker: kafka/server.properties, with what a caller puts in its place.

`{NAME_port}` in a value stands for a free port, the same one wherever the same NAME stands, and `{data}` for the data
directory. Where nothing else is said, the broker advertises what it listens on. Both ways to run it read the text.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.ports import free_ports

POM = Path(__file__).parent / "kafka" / "pom.xml"
TEMPLATE = Path(__file__).parent / "kafka" / "server.properties"

_PORT = re.compile(r"\{(\w+)_port\}")


@dataclass(frozen=True)
class Properties:
    """Settings of a broker by name, complete."""

    values: Mapping[str, str]

    @classmethod
    def of(cls, properties: Mapping[str, str], data: str) -> "Properties":
        """The template with these settings over it, its log in `data`."""
        values = _template() | dict(properties)
        controllers = set(values["controller.listener.names"].split(","))
        listened = [listener for listener in values["listeners"].split(",") if _name(listener) not in controllers]
        filled = _fill({"advertised.listeners": ",".join(listened)} | values, data)
        return cls(filled)

    @property
    def listeners(self) -> dict[str, str]:
        """`host:port` by listener, as clients are told, in the order of `advertised.listeners`."""
        advertised = self.values["advertised.listeners"].split(",")
        return {_name(listener): listener.partition("://")[2] for listener in advertised}

    @property
    def ports(self) -> list[int]:
        """The ports that clients connect to."""
        return [int(address.rpartition(":")[2]) for address in self.listeners.values()]

    def listening_everywhere(self) -> "Properties":
        """The same for a container, whose own loopback address nobody outside reaches."""
        return Properties({**self.values, "listeners": self.values["listeners"].replace("127.0.0.1", "0.0.0.0")})  # noqa: S104

    def text(self) -> str:
        """As Java reads a file of properties."""
        return "".join(f"{name}={_escaped(value)}\n" for name, value in self.values.items())


def kafka_version() -> str:
    """The version of Apache Kafka, from kafka/pom.xml."""
    return ET.parse(POM).findtext("{*}properties/{*}kafka.version", default="")  # noqa: S314 - our own file


def _template() -> dict[str, str]:
    lines = TEMPLATE.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _fill(values: Mapping[str, str], data: str) -> dict[str, str]:
    names = {name for value in values.values() for name in _PORT.findall(value)}
    ports = dict(zip(sorted(names), free_ports(), strict=False))
    return {
        name: _PORT.sub(lambda match: str(ports[match[1]]), value).replace("{data}", data)
        for name, value in values.items()
    }


def _name(listener: str) -> str:
    return listener.partition("://")[0].strip()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
