"""Run: one whole run, from empty topics and tables to the comparison.

The engine remembers few tokens, so that an insert is often repeated beyond its memory, and merges nothing, so that what
was inserted twice can be counted. At the end it merges everything, and all is compared once more.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic

from tests.chaos.nursery import Nursery
from tests.chaos.workers import Workers, environment_of, ratestream
from tests.chaos_sink.comparison import Report, compare
from tests.chaos_sink.expected import expected
from tests.chaos_sink.faults import Faults
from tests.chaos_sink.generation import Generator, Sent
from tests.chaos_sink.log import Feeder, Log
from tests.chaos_sink.stored import TABLES, Database
from tests.clickhouse.server import FrontServer

PARTITIONS = 2
SESSION_S = 6
_ROWS = 40
_COMMAND_TIMEOUT_S = 120.0
_DRAIN_TIMEOUT_S = 180.0
_UNMERGED = "max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1"
_FORGETFUL = "non_replicated_deduplication_window = 4"


@dataclass(frozen=True)
class Size:
    """How much of everything; `rate` in messages a second, `late_s` of answers that come late."""

    messages: int
    kills: int
    rate: float = 150.0
    late_s: float = 3.0


def sink_command(data: Path) -> list[str]:
    """The command line of the product's sink."""
    return ratestream("sink", "--data", data)


class Run:
    """One run on topics and a server of its own. Sinks and topics are ended by `close`."""

    def __init__(self, log: Log, folder: Path, seed: int, size: Size, server: FrontServer, nursery: Nursery) -> None:
        self.log = log
        self.seed = seed
        self.size = size
        self.server = server
        self.database = Database(server.dsn)
        self._generator = Generator(seed, log.prefix, PARTITIONS)
        self._chance = Random(seed + 1)
        self._environment = environment_of(log.bootstrap, log.prefix) | {
            "RATESTREAM_CLICKHOUSE": server.dsn,
            "RATESTREAM_SESSION_TIMEOUT_S": str(SESSION_S),
            "RATESTREAM_SINK_ROWS": str(_ROWS),
        }
        self.sinks = Workers(folder, self._environment, sink_command, nursery.spawn)
        self.done: dict[str, int] = {}
        self.wrong: list[str] = []

    def prepare(self) -> None:
        """Topics and tables. Raises RuntimeError where the product fails."""
        self.sinks.folder.mkdir(parents=True, exist_ok=True)
        self._command("topics", "create", "--partitions", str(PARTITIONS), "--replication", "1")
        self._command("migrate")
        for table in TABLES:
            self.database.ask(f"ALTER TABLE {table} MODIFY SETTING {_UNMERGED}, {_FORGETFUL}")

    def hurt(self) -> None:
        """Two sinks, every fault, and messages all the while."""
        faults = Faults(self.sinks, self.server, self.database, self._chance, SESSION_S, self.size.late_s)
        messages = self._generator.messages(self.size.messages)

        def rate(sent: int) -> float:
            is_ahead = sent > len(messages) * faults.progress + self.size.rate
            return self.size.rate / 20 if is_ahead else self.size.rate

        self.sinks.scale(2)
        with Feeder(self.log, messages, rate) as feeder:
            faults.all_of_them(self.size.kills)
            feeder.finish()
        self.done |= faults.done
        self.wrong += [f"no sink came to {missed}" for missed in faults.missed]

    def feed(self, count: int) -> Sequence[Sent]:
        """So many more messages, as fast as they go."""
        messages = self._generator.messages(count)
        with Feeder(self.log, messages, lambda _: 1e9) as feeder:
            feeder.finish()
        return messages

    def drain(self) -> None:
        """Wait until the sinks have committed everything. Raises TimeoutError with what they say."""
        until = monotonic() + _DRAIN_TIMEOUT_S
        while waiting := self.log.waiting():
            if monotonic() > until:
                raise TimeoutError(f"seed {self.seed}: {waiting} messages are not stored\n{self.sinks.told()}")
            self.sinks.rest(0.3)

    def finish(self) -> Report:
        """Mend, wait, end the sinks, and compare: as it lies there, and merged. Raises TimeoutError."""
        self.sinks.mend()
        self.drain()
        for sink in list(self.sinks.running):
            code = self.sinks.stop(sink)
            if code:
                self.wrong.append(f"a sink that was asked to end ended with {code}\n{sink.last_lines()}")
        report = self.compare()
        for table in TABLES:
            self.database.ask(f"ALTER TABLE {table} RESET SETTING {_UNMERGED.replace(' = 1', '')}")
            self.database.ask(f"OPTIMIZE TABLE {table} FINAL")
        merged = self.compare()
        report.differences += [f"once merged: {difference}" for difference in merged.differences]
        ended = {f"ended by itself with {code}": count for code, count in self.sinks.ended.items()}
        report.done = self.done | ended
        report.differences += self.wrong
        return report

    def compare(self) -> Report:
        """What stands on the topics with what ClickHouse shows."""
        return compare(expected(self.log.messages()), {table: self.database.held(table) for table in TABLES})

    def close(self) -> None:
        """End the sinks, and remove the topics."""
        self.sinks.kill_all()
        self.log.delete()

    def _command(self, *arguments: str) -> None:
        log = self.sinks.folder / f"{arguments[0]}.log"
        if self.sinks.spawn(ratestream(*arguments), self._environment, log).wait(_COMMAND_TIMEOUT_S):
            raise RuntimeError(f"ratestream {' '.join(arguments)} failed: {log.read_text(encoding='utf-8')}")


@contextmanager
def prepared(bootstrap: str, prefix: str, folder: Path, seed: int, size: Size) -> Iterator[Run]:
    """A run with its topics and tables, which ends with everything that it started."""
    with ExitStack() as started:
        server = FrontServer()
        started.callback(server.stop)
        nursery = started.enter_context(Nursery("agents.sink.app", "sinks.clickhouse", "agents.stream.topics"))
        run = Run(Log(bootstrap, prefix, PARTITIONS), folder, seed, size, server, nursery)
        started.callback(run.close)
        run.prepare()
        yield run
