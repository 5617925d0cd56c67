"""Generation: all messages of a run, from one seed. The same seed gives the same bytes in the same order."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from heapq import merge
from random import Random

from tests.chaos.book import Customer, message_key
from tests.chaos.customer import DAY, Arrival, Mix, arrivals
from tests.chaos.encoding import as_avro, as_cloudevent, as_container, as_json
from tests.chaos.malformed import malformed
from tests.chaos.message import Message, Refused
from tests.oracle.record import Reading

_LONGEST_CONTAINER = 20


class Generator:
    """The messages of a run. `lines_only`: only such as fit into a file of JSON lines."""

    def __init__(self, seed: int, customers: Sequence[Customer], mix: Mix, *, lines_only: bool = False) -> None:
        self._chance = Random(seed)
        self._customers = customers
        self._mix = mix
        self._lines_only = lines_only
        self._number = 0

    def messages(self, records: int) -> list[Message]:
        """The messages with about so many records, besides duplicates and what is malformed."""
        each = max(1, records // len(self._customers))
        arriving = [arrivals(customer, each, self._mix, self._chance) for customer in self._customers]
        ordered = list(merge(*arriving, key=lambda arrival: arrival.at))
        made = [message for group in self._grouped(ordered) for message in self._around(group)]
        return self._with_repeats(made)

    def _grouped(self, ordered: Sequence[Arrival]) -> Iterator[list[Reading]]:
        """What goes into one message: mostly one record; now and then the next ones of its account, too."""
        chance, waiting = self._chance, dict[tuple[str, str], list[Arrival]]()
        for arrival in ordered:
            whose = (arrival.reading.tenant, arrival.reading.account)
            group = waiting.get(whose)
            if group is not None and arrival.at - group[0].at <= DAY and len(group) < _LONGEST_CONTAINER:
                group.append(arrival)
                continue
            if group is not None:
                yield [one.reading for one in waiting.pop(whose)]
            if not self._lines_only and self._mix.malformed and chance.random() < 0.02:
                waiting[whose] = [arrival]
            else:
                yield [arrival.reading]
        for group in waiting.values():
            yield [one.reading for one in group]

    def _around(self, group: list[Reading]) -> Iterator[Message]:
        """The message of some records, and what comes beside it."""
        chance = self._chance
        while chance.random() < self._mix.malformed:
            yield self._malformed(group[0])
        if chance.random() < self._mix.misplaced and not self._lines_only:
            stray = group[0]._replace(id=f"{group[0].id}/misplaced")
            yield self._message(stray, as_json(stray), (Refused("wrong-partition"),), misplaced_by=1)
        yield self._message(group[0], self._encoded(group), tuple(group))

    def _malformed(self, reading: Reading) -> Message:
        good = reading._replace(id=f"bad/{self._number}", quantity=reading.quantity or Decimal(1), corrects=None)
        kind, value = malformed(good, self._chance, lines_only=self._lines_only)
        message = self._message(good, value, (Refused(kind.reason),))
        if kind.reason != "unknown-account":
            return message
        return Message(message.number, message_key(good.tenant, "nobody"), value, message.contents)

    def _encoded(self, group: list[Reading]) -> bytes:
        if len(group) > 1:
            return as_container(group)
        (reading,) = group
        kind = self._chance.random()
        if kind < 0.2:
            return as_cloudevent(reading)
        if kind < 0.4 and not self._lines_only:
            return as_avro(reading)
        return as_json(reading, self._chance)

    def _message(
        self, of: Reading, value: bytes | None, contents: tuple[Reading | Refused, ...], misplaced_by: int = 0
    ) -> Message:
        self._number += 1
        return Message(self._number - 1, message_key(of.tenant, of.account), value, contents, misplaced_by)

    def _with_repeats(self, made: list[Message]) -> list[Message]:
        """One record a thousand times: in a row, and scattered over what follows it within some days."""
        if not self._mix.repeats_of_one:
            return made
        first = next(at for at, message in enumerate(made) if isinstance(message.contents[0], Reading))
        message, span = made[first], max(1, len(made) // (10 * self._mix.months))
        for repeat in range(self._mix.repeats_of_one - 1):
            at = first + 1 + (0 if repeat % 2 else self._chance.randrange(span))
            copy = Message(self._number, message.key, message.value, message.contents)
            self._number += 1
            made.insert(at, copy)
        return made
