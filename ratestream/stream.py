"""Stream: the topics that a command works with, and what it did there as text, JSON or CSV."""

import logging
import os
import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.json import encode

from agents.stream import topics
from agents.stream.connection import Connection, connection
from agents.stream.topics import Topics
from ratestream.options import Output
from ratestream.screen import printable


class Stream(NamedTuple):
    """The topics of the environment's settings, checked; `partitions` of each topic about accounts."""

    connection: Connection
    topics: Topics
    partitions: int

    @property
    def place(self) -> str:
        """Where that is, for a reader."""
        return f"{self.connection.prefix}* at {', '.join(self.connection.brokers)}"


def open_stream() -> Stream:
    """Raises SettingError, BrokerError, and LayoutError where the topics would break the guarantees."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # our own errors tell the same, once
    found = connection(os.environ)
    layout = topics.check(found)
    return Stream(found, Topics.of(found.prefix), layout.partitions)


def tell(facts: Mapping[str, object], lines: Iterable[str], output: Output) -> None:
    """What was done: the facts as one JSON object or one row of CSV, the lines for a reader."""
    if output is Output.JSON:
        sys.stdout.write(encode(facts).decode() + "\n")
    elif output is Output.CSV:
        from ratestream.rows import write_csv

        write_csv(list(facts), [facts])
    else:
        for line in lines:
            print(printable(line))
