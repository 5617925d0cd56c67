"""Registry: the schemas of framed Avro, looked up in a schema registry before a batch is decoded.

`missing` says which ids a batch needs besides those that are known, `fetch` asks for them, `reading` only looks up.
An id's schema never changes, so what is known stays known; that an id is not registered is believed for a minute. What
is wrong with a schema is a refusal of the messages that name it; what is wrong with the registry is a RegistryError,
and the messages wait. After registry_http.py, before the decoder.
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
from schemas.codecs.confluent import FRAME, schema_id
from schemas.codecs.fields import Refusal, shown
from schemas.rejection import Reason

UNKNOWN_S = 60.0
"""So long an id that is not registered is not asked for again."""
_NOT_FOUND = range(40400, 40500)
"""What a registry itself says; where something else listens, 404 comes without."""
_FOREVER = float("inf")


class Sizes(NamedTuple):
    """How many ids are kept: the schemas that can be read, and the reasons why others cannot."""

    readings: int = 1_000
    refusals: int = 100_000


_SIZES = Sizes()


class _Refused(NamedTuple):
    refusal: Refusal
    until: float


class SchemaRegistry:
    """What is known of one registry's schemas; for any number of threads.

    The ids that were needed least recently are forgotten first. A whole question may take `timeout_s`.
    """

    def __init__(
        self,
        address: Address,
        *,
        sizes: Sizes = _SIZES,
        timeout_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._sizes = sizes
        self._clock = clock
        self._timeout_s = timeout_s
        self._changing = threading.Lock()
        self._readings: OrderedDict[int, Reading] = OrderedDict()
        self._refused: OrderedDict[int, _Refused] = OrderedDict()

    def missing(self, values: Iterable[bytes | None]) -> set[int]:
        """The ids that framed messages among the values name and `fetch` has to look up."""
        framed = (value for value in values if value and value.startswith(FRAME))
        named = {schema_id(value) for value in framed} - {None}
        with self._changing:
            return {one for one in named if one is not None and not self._is_known(one)}

    def _is_known(self, schema_id: int) -> bool:
        if schema_id in self._readings:
            self._readings.move_to_end(schema_id)
            return True
        refused = self._refused.get(schema_id)
        if refused is None or refused.until <= self._clock():
            return False
        self._refused.move_to_end(schema_id)
        return True

    def fetch(self, ids: Iterable[int]) -> None:
        """Asks for each id: blocks, so call it in a thread.

        Raises RegistryError at the first that gets no proper answer; what came before it is known, so that calling
        again goes on from there.
        """
        with closing(Client(self._address, self._timeout_s)) as client:
            for one in sorted(ids):
                self._keep(one, self._meaning(one, client.ask(f"/schemas/ids/{one}")))

    def reading(self, schema_id: int) -> Reading | Refusal:
        """How records of a schema are read, or why they cannot be. Raises RegistryError where it was not fetched."""
        reading = self._readings.get(schema_id)
        if reading is not None:
            return reading
        refused = self._refused.get(schema_id)
        if refused is not None:
            return refused.refusal
        raise RegistryError(f"schema {schema_id} of {self._address} is not known now. Fetch it and decode again")

    def _keep(self, schema_id: int, found: Reading | _Refused) -> None:
        with self._changing:
            if isinstance(found, Reading):
                self._readings[schema_id] = found
                self._refused.pop(schema_id, None)
            else:
                self._refused[schema_id] = found
                self._refused.move_to_end(schema_id)
            while len(self._readings) > self._sizes.readings:
                self._readings.popitem(last=False)
            while len(self._refused) > self._sizes.refusals:
                self._refused.popitem(last=False)

    def _meaning(self, schema_id: int, answer: Answer) -> Reading | _Refused:
        if answer.status not in {200, 404}:
            raise self._trouble(schema_id, f"answers {answer.status}. {_remedy(answer.status)}")
        if not answer.content_type.endswith("json"):
            raise self._trouble(schema_id, f"answers {shown(answer.content_type)}, as no registry does. {_remedy(0)}")
        if len(answer.body) > MOST_BYTES:
            return _Refused(_unusable(schema_id, f"it is larger than {MOST_BYTES} bytes"), _FOREVER)
        members = _members(answer.body)
        if answer.status == 200 and isinstance(members.get("schema"), str):
            found = _reading(schema_id, members)
            return _Refused(found, _FOREVER) if isinstance(found, Refusal) else found
        if answer.status == 404 and members.get("error_code") in _NOT_FOUND:
            return _Refused(_unregistered(schema_id), self._clock() + UNKNOWN_S)
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


def _reading(schema_id: int, members: Mapping[str, object]) -> Reading | Refusal:
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
