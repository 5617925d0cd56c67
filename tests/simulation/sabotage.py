"""Sabotage: protocols that are wrong in one thing each. The simulation has to notice every one of them.

Each is what a careless change of the task, of its log or of its rules would be.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from agents.stream.documents import Published
from agents.stream.partition import Decided, Message, Partition
from agents.stream.table import Applied, Change, Place
from tests.simulation.kafka import Record
from tests.simulation.process import LostAnswerError, SimulatedLog
from tests.simulation.schedule import Parts, SimulatedTask


class StoreBeforeCommit(SimulatedTask):
    """The store is written before the transaction is committed."""

    async def _commit(self) -> None:
        decided = self.partition.decide()
        table = self.partition.table
        table.write(decided.entries, table.place)
        table.write([], await self._log.commit(decided))
        self.partition.committed()


class AcknowledgedAtOnce(SimulatedTask):
    """Messages are acknowledged before they are committed."""

    def offer(self, records: Sequence[Message], ack: Callable[[], None]) -> None:
        """Take records."""
        super().offer(records, lambda: None)
        ack()


class DocumentsAfterUsage(SimulatedTask):
    """Documents are looked for only once usage has been rated."""

    async def work(self) -> None:
        """One round."""
        messages, acknowledged = self._take()
        if messages:
            await self._rate(messages)
            for ack in acknowledged:
                ack()
        await super().work()


class ErrorsSwallowed(SimulatedTask):
    """A commit whose answer is lost is taken for one that has been done."""

    async def _commit(self) -> None:
        try:
            await super()._commit()
        except LostAnswerError:
            self.partition.committed()


class PositionsIgnored(Partition):
    """Usage is rated again where it comes again."""

    def rate(self, messages: Sequence[Message]) -> Iterator[None]:
        """Apply messages."""
        applied = self.table.applied
        if messages and messages[0].offset < applied.usage:
            applied.usage, applied.index = messages[0].offset, 0
        yield from super().rate(messages)


class IndexIgnored(Partition):
    """A message of which some records have been rated begins again at its first one."""

    def rate(self, messages: Sequence[Message]) -> Iterator[None]:
        """Apply messages."""
        self.table.applied.index = 0
        yield from super().rate(messages)


class NotFenced(SimulatedLog):
    """All owners have the same epoch."""

    async def fence(self) -> None:
        """Take the partition over."""
        self.kafka.epoch = self.epoch = 1


class FencedAgain(SimulatedLog):
    """A process that was fenced takes the partition back, and sends what it had decided."""

    async def commit(self, decided: Decided) -> Place:
        """Send all of it in one transaction."""
        if self.epoch != self.kafka.epoch:
            await self.fence()
        return await super().commit(decided)


class SentAgain(SimulatedLog):
    """A transaction whose answer is lost is sent again."""

    async def commit(self, decided: Decided) -> Place:
        """Send all of it in one transaction."""
        try:
            return await super().commit(decided)
        except LostAnswerError:
            return await super().commit(decided)


class ChangelogApart(SimulatedLog):
    """Charges and changelog go in two transactions."""

    async def commit(self, decided: Decided) -> Place:
        """Send all of it."""
        what = (decided.charges, decided.statements, decided.rejections, decided.markers)
        noted: list[Change] = [(b"!apart", b"")]
        if any(what):
            await super().commit(Decided(*what, noted, decided.usage))
        return await super().commit(Decided(entries=decided.entries, usage=decided.usage))


class OffsetApart(SimulatedLog):
    """The group's offset is committed by itself, before the transaction."""

    async def commit(self, decided: Decided) -> Place:
        """Send all of it."""

        def commit_offset() -> None:
            self.kafka.group_offset = decided.usage

        await self.request("offset-alone", commit_offset)
        return await super().commit(decided)


class UncommittedRestored(SimulatedLog):
    """The changelog is read with what was never committed."""

    def changelog(self, position: int) -> list[Record]:
        """What `restore` reads."""
        return [record for record in self.kafka.records["changelog"][position:] if record is not None]


class EndNotReached(SimulatedLog):
    """The changelog is read to a little before its end."""

    def changelog(self, position: int) -> list[Record]:
        """What `restore` reads."""
        return super().changelog(position)[:-2]


class DeletionsLost(SimulatedLog):
    """What the changelog says is deleted is not."""

    async def restore(self, position: int) -> AsyncIterator[tuple[list[Change], Place]]:
        """The committed changelog."""
        async for entries, place in super().restore(position):
            yield [(key, value) for key, value in entries if value is not None], place


class DocumentsForgotten(SimulatedLog):
    """What was published while no process ran is not read."""

    async def published(self, applied: Applied) -> list[Published]:
        """Documents and commands."""
        if self.read is None:
            self.read = {topic: len(self.kafka.records[topic]) for topic in ("accounts", "commands", "tariffs")}
        return await super().published(applied)


SABOTAGE: dict[str, Parts] = {
    "store before commit": Parts(task=StoreBeforeCommit),
    "acknowledged at once": Parts(task=AcknowledgedAtOnce),
    "documents after usage": Parts(task=DocumentsAfterUsage),
    "errors swallowed": Parts(task=ErrorsSwallowed),
    "positions ignored": Parts(partition=PositionsIgnored),
    "index ignored": Parts(partition=IndexIgnored),
    "not fenced": Parts(log=NotFenced),
    "fenced again": Parts(log=FencedAgain),
    "sent again": Parts(log=SentAgain),
    "changelog apart": Parts(log=ChangelogApart),
    "offset apart": Parts(log=OffsetApart),
    "uncommitted restored": Parts(log=UncommittedRestored),
    "end not reached": Parts(log=EndNotReached),
    "deletions lost": Parts(log=DeletionsLost),
    "documents forgotten": Parts(log=DocumentsForgotten),
    "old stores": Parts(staleness=1000.0, are_deletions_kept=False),
}
"""By what is wrong with them."""
