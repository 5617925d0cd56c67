"""Simulating: the command that sends made-up usage at a steady rate."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from ratestream.options import Output, OutputOption
from ratestream.stopping import noting_signals

if TYPE_CHECKING:
    from agents.stream.publishing import Publisher
    from agents.stream.simulating import Load
    from ratestream.stream import Stream

_LINGER_MS = 5
_STEP_S = 0.01
_MOST_AT_ONCE = 2_000
_TOLD_EVERY_S = 10.0


def simulate(
    accounts: Annotated[int, typer.Option(min=1, max=9_999_999, help="How many accounts.")],
    rate: Annotated[float, typer.Option(min=0.001, help="Usage records a second, of all accounts.")],
    seconds: Annotated[float | None, typer.Option(min=0.0, help="For so long; until Ctrl-C without it.")] = None,
    meters: Annotated[int, typer.Option(min=1, max=100, help="Meters of each account.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same sessions.")] = 1,
    output: OutputOption = Output.TABLE,
) -> None:
    """Declare accounts with a three-tier tariff, then send usage records of charging sessions at a steady rate."""
    from agents.stream.publishing import Publisher
    from agents.stream.simulating import Load
    from ratestream.stream import open_stream

    load = Load(accounts, meters, rate, seed)
    stream = open_stream()
    with _asked_to_stop() as stop, Publisher(stream.connection, linger_ms=_LINGER_MS) as publisher:
        _declare(publisher, stream, load)
        _send(publisher, stream, load, seconds, stop, output)


def _declare(publisher: "Publisher", stream: "Stream", load: "Load") -> None:
    from agents.stream.declaring import declare
    from agents.stream.simulating import declared

    sent = declare(publisher, stream.connection, stream.topics, stream.partitions, declared(load))
    _say(f"declared {sent.accounts:,} accounts with tariff {load.tariff} on {stream.place}; Ctrl-C stops")


def _send(
    publisher: "Publisher", stream: "Stream", load: "Load", seconds: float | None, stop: Event, output: Output
) -> None:
    from agents.stream.encoding import Encoded, Encoding, encoded
    from agents.stream.simulating import sessions
    from ratestream.running import now_us
    from ratestream.stream import tell

    records = sessions(load, now_us())
    total = None if seconds is None else int(load.rate * seconds)
    sent, size_before, began = 0, publisher.bytes_sent, monotonic()
    told = began
    while not stop.is_set() and sent != total:
        due = int((monotonic() - began) * load.rate) + 1
        count = min(due if total is None else min(due, total), sent + _MOST_AT_ONCE) - sent
        for one in encoded(list(islice(records, count)), Encoding.JSON, stream.partitions):
            if isinstance(one, Encoded):
                publisher.send(stream.topics.usage, one.message, one.partition)
        sent += count
        if monotonic() - told >= _TOLD_EVERY_S:
            told = monotonic()
            _say(f"{sent:,} records, {sent / (told - began):,.0f} records/s")
        if sent >= due or sent == total:
            stop.wait(_STEP_S)
    publisher.settle()
    took = monotonic() - began
    facts = {
        "accounts": load.accounts,
        "meters": load.meters,
        "seed": load.seed,
        "records": sent,
        "bytes": publisher.bytes_sent - size_before,
        "seconds": round(took, 3),
        "asked_rate": load.rate,
        "rate": round(sent / max(took, 0.001), 1),
    }
    reached = f"{sent / max(took, 0.001):,.0f} records/s of the {load.rate:,.0f} asked for"
    tell(facts, [f"{sent:,} records sent to {stream.topics.usage} in {took:.1f} s: {reached}"], output)


@contextmanager
def _asked_to_stop() -> Iterator[Event]:
    """An event that SIGINT or SIGTERM sets; a second signal does what it did before."""
    stop = Event()
    with noting_signals(lambda _: stop.set()):
        yield stop


def _say(text: str) -> None:
    import sys

    print(text, file=sys.stderr, flush=True)
