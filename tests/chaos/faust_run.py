"""Faust run: the same messages, kills and comparison, on Faust as its guide writes it.

Only good records and duplicates in one zone, so that nothing is asked of it but to charge each record once. That it is
found wrong shows that the harness can find something wrong.
"""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from time import monotonic, sleep

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from tests.chaos.book import customers
from tests.chaos.customer import PLAIN
from tests.chaos.encoding import as_json
from tests.chaos.expected import expected
from tests.chaos.generation import Generator
from tests.chaos.message import Message
from tests.chaos.topics import Feeder, Topics
from tests.chaos.workers import Workers, environment_of
from tests.oracle.record import Reading

PARTITIONS = 4
_SETTLE_S = 20.0


@dataclass(frozen=True)
class Faults:
    """How often Faust as documented was wrong."""

    kills: int
    due: int
    found: int
    missing: int
    doubled: int
    wrong: int
    """Charges with another amount or running total than the order of their records gives."""

    @property
    def is_wrong(self) -> bool:
        """Whether anything is missing, doubled or wrong."""
        return bool(self.missing or self.doubled or self.wrong)


def run_faust(bootstrap: str, prefix: str, folder: Path, seed: int, *, records: int = 12_000, kills: int = 3) -> Faults:
    """What is wrong after so many kills under load."""
    of = customers(200, zone="UTC")
    messages = [_plain(message) for message in Generator(seed, of, PLAIN).messages(records)]
    topics = Topics(bootstrap, prefix, PARTITIONS)
    _make(topics)
    environment = environment_of(bootstrap, prefix) | {"CHAOS_PARTITIONS": str(PARTITIONS)}
    workers = Workers(
        folder, environment, lambda data: [sys.executable, "-m", f"{__package__}.faust_as_documented", str(data)]
    )
    chance = Random(seed)
    try:
        workers.scale(2)
        with Feeder(topics, messages, lambda: 1e9) as feeder:
            feeder.finish()
        for number in range(kills):
            _wait_for_work(topics, workers, chance.randrange(200, records // kills - 200))
            workers.kill(chance.choice(workers.running), lose_data=number % 2 == 1)
        return _settled(topics, workers, messages, kills)
    finally:
        workers.kill_all()


def _plain(message: Message) -> Message:
    """The same in the one form that the guide's Record reads."""
    (reading,) = message.contents
    if not isinstance(reading, Reading):
        raise TypeError(f"message {message.number} is not one good record")
    return Message(message.number, message.key, as_json(reading), message.contents)


def _make(topics: Topics) -> None:
    admin = KafkaAdminClient(bootstrap_servers=topics.bootstrap)
    try:
        admin.create_topics([NewTopic(topics.prefix + name, PARTITIONS, 1) for name in ("usage", "charges")])
    finally:
        admin.close()


def _wait_for_work(topics: Topics, workers: Workers, charges: int) -> None:
    """Until so many more charges are there, at the latest half a minute later."""
    enough, until = topics.size("charges") + charges, monotonic() + 30
    while topics.size("charges") < enough and monotonic() < until:
        workers.mend()
        sleep(0.05)


def _settled(topics: Topics, workers: Workers, messages: list[Message], kills: int) -> Faults:
    """What is wrong for good; or what is there when each record has its charge, or when no more charges come."""
    found, since, until = -1, monotonic(), monotonic() + 120
    while True:
        workers.mend()
        faults = _faults(topics, messages, kills)
        if faults.doubled or faults.wrong or faults.due == faults.found or monotonic() > until:
            return faults
        if faults.found != found:
            found, since = faults.found, monotonic()
        elif monotonic() - since > _SETTLE_S:
            return faults
        sleep(1)


def _faults(topics: Topics, messages: list[Message], kills: int) -> Faults:
    due = expected(topics.log(messages), customers(200, zone="UTC"), PARTITIONS)
    wanted = {(charge.account, charge.usage_id): charge for charge in due.charges if charge.usage_id}
    there = [json.loads(record.value) for record in topics.messages("charges")]
    counts = Counter((charge["account"], charge["usage_id"]) for charge in there)
    told = {(charge["account"], charge["usage_id"]): charge for charge in there}
    wrong = 0
    for key, charge in told.items():
        amounts = (Fraction(Decimal(charge["amount"])), Fraction(Decimal(charge["running_total"])))
        wrong += key in wanted and amounts != (wanted[key].amount, wanted[key].running_total)
    return Faults(
        kills=kills,
        due=len(wanted),
        found=len(there),
        missing=len(wanted.keys() - counts.keys()),
        doubled=sum(count - 1 for count in counts.values()),
        wrong=wrong,
    )
