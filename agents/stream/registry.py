"""Registry: the schemas of framed Avro, asked of a schema registry and remembered.

An id's schema never changes, so what is known stays known; that an id is not registered is believed for a minute. What
is wrong with a schema is a refusal of the messages that name it; what is wrong with the registry is a RegistryError,
and the messages wait. After registry_http.py, before looking_up.py.
"""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import NamedTuple

from agents import settings
from agents.errors import RegistryError
from agents.stream.registry_http import MOST_BYTES, Address, Answer, Client, address_in
from schemas.codecs.avro_reading import AGAIN, Reading, UnusableSchemaError, reading_of
from schemas.codecs.fields import Refusal, shown
from schemas.rejection import Reason

UNKNOWN_S = 60.0
"""So long an id that is not registered is not asked for again."""
_NOT_FOUND = range(40400, 40500)
"""What a registry itself says; where something else listens, 404 comes without."""
_FOREVER = float("inf")

Meaning = Reading | Refusal
"""How records of a schema are read, or why they cannot be."""


class _Known(NamedTuple):
    meaning: Meaning
    until: float


class SchemaRegistry:
    """What is known of one registry's schemas; for any number of threads.

    `most` ids are remembered, and those that were needed least recently forgotten first. A question may take
    `timeout_s` seconds as a whole.
    """

    def __init__(
        self,
        address: Address,
        *,
        most: int = 5_000,
        timeout_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._most = most
        self._timeout_s = timeout_s
        self._clock = clock
        self._changing = threading.Lock()
        self._known: OrderedDict[int, _Known] = OrderedDict()

    def known(self, ids: Iterable[int]) -> dict[int, Meaning]:
        """What is known of these ids without asking."""
        found: dict[int, Meaning] = {}
        with self._changing:
            for one in ids:
                known = self._known.get(one)
                if known is not None and known.until > self._clock():
                    self._known.move_to_end(one)
                    found[one] = known.meaning
        return found

    def fetch(self, ids: Iterable[int], found: dict[int, Meaning], stopped: threading.Event) -> None:
        """Asks for each id that is not in `found`, and adds it there. Blocks; stops before the next one when `stopped`.

        Raises RegistryError at the first that gets no proper answer; calling again goes on from there.
        """
        with closing(Client(self._address, self._timeout_s)) as client:
            for one in sorted(set(ids) - found.keys()):
                if stopped.is_set():
                    return
                known = self._meaning(one, client.ask(f"/schemas/ids/{one}"))
                self._keep(one, known)
                found[one] = known.meaning

    def _keep(self, schema_id: int, known: _Known) -> None:
        with self._changing:
            self._known[schema_id] = known
            self._known.move_to_end(schema_id)
            if len(self._known) > self._most:
                self._known.popitem(last=False)

    def _meaning(self, schema_id: int, answer: Answer) -> _Known:
        if answer.status not in {200, 404}:
            raise self._trouble(schema_id, f"answers {answer.status}. {_remedy(answer.status)}")
        if not answer.content_type.endswith("json"):
            raise self._trouble(schema_id, f"answers {shown(answer.content_type)}, as no registry does. {_remedy(0)}")
        if len(answer.body) > MOST_BYTES:
            return _Known(_unusable(schema_id, f"it is larger than {MOST_BYTES} bytes"), _FOREVER)
        members = _members(answer.body)
        if answer.status == 200 and isinstance(members.get("schema"), str):
            return _Known(_reading(schema_id, members), _FOREVER)
        if answer.status == 404 and members.get("error_code") in _NOT_FOUND:
            return _Known(_unregistered(schema_id), self._clock() + UNKNOWN_S)
        raise self._trouble(schema_id, f"answers {answer.status} in words that no registry uses. {_remedy(0)}")

    def _trouble(self, schema_id: int, what: str) -> RegistryError:
        return RegistryError(f"schema {schema_id}: the schema registry {self._address} {what}. Its messages wait")


def schema_registry(environment: Mapping[str, str]) -> SchemaRegistry | None:
    """The registry that the environment names, None where it names none. Raises SettingError, which shows no secret."""
    address = address_in(environment)
    return None if address is None else SchemaRegistry(address)


def _members(body: bytes) -> Mapping[str, object]:
    """The members of a JSON object; none where it is something else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _reading(schema_id: int, members: Mapping[str, object]) -> Meaning:
    kind = members.get("schemaType", "AVRO")
    if kind != "AVRO":
        return _unusable(schema_id, f"its type is {shown(kind)}, not AVRO")
    if members.get("references"):
        return _unusable(schema_id, "it refers to other schemas")
    try:
        return reading_of(str(members["schema"]))
    except UnusableSchemaError as error:
        return _unusable(schema_id, str(error))


def _unusable(schema_id: int, why: str) -> Refusal:
    return Refusal(Reason.UNREADABLE, f"schema {schema_id} of the schema registry cannot be used ({why}). {AGAIN}")


def _unregistered(schema_id: int) -> Refusal:
    what = f"schema {schema_id} is not in the schema registry"
    remedy = "Register it there, or name its producer's registry, then: ratestream rejected replay --reason unreadable"
    return Refusal(Reason.UNREADABLE, f"{what}. {remedy}")


def _remedy(status: int) -> str:
    if status in {401, 403}:
        return f"Write a user and password in {settings.SCHEMA_REGISTRY} that may read every schema"
    if status == 429 or status >= 500:
        return "See what its log says"
    return f"Write its own address in {settings.SCHEMA_REGISTRY}; redirects are not followed"
