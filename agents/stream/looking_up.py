"""Looking up: the schemas that one partition's batch names, before it is decoded.

While the registry does not answer, the batch waits: no message is to blame. What was found is kept for the batch as a
whole, whatever the registry's memory forgets meanwhile, and however long finding it took, so that decoding only looks
up. After registry.py; for the tasks of a partition, which prepare one batch at a time.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence

from agents.errors import RegistryError
from agents.stream.partition import Message
from agents.stream.registry import Meaning, SchemaRegistry
from schemas.codecs.confluent import FRAME, schema_id

logger = logging.getLogger(__name__)

_RETRY_S = 5.0


class LookedUp:
    """The registry as the decoder of one partition sees it."""

    def __init__(self, registry: SchemaRegistry, retry_s: float = _RETRY_S) -> None:
        self._registry = registry
        self._retry_s = retry_s
        self._found: Mapping[int, Meaning] = {}

    def reading(self, schema_id: int) -> Meaning:
        """How records of a schema are read, or why they cannot be. Raises RegistryError for one not prepared."""
        try:
            return self._found[schema_id]
        except KeyError:
            raise RegistryError(f"schema {schema_id} was not looked up before its messages were decoded.") from None

    async def prepare(self, messages: Sequence[Message]) -> None:
        """Looks up what the messages name; asks again every `retry_s` seconds while the registry does not answer."""
        named = _named(messages)
        found = self._registry.known(named)
        if found.keys() != named:
            await self._fetch(named, found)
        self._found = found

    async def _fetch(self, named: set[int], found: dict[int, Meaning]) -> None:
        stopped = threading.Event()
        try:
            while found.keys() != named:
                try:
                    await asyncio.to_thread(self._registry.fetch, named, found, stopped)
                except RegistryError as error:
                    logger.warning("waiting for schemas: %s", error)
                    await asyncio.sleep(self._retry_s)
        finally:
            stopped.set()


def _named(messages: Sequence[Message]) -> set[int]:
    """The ids that framed messages name."""
    framed = (message.value for message in messages if message.value and message.value.startswith(FRAME))
    return {named for value in framed if (named := schema_id(value)) is not None}
