"""What the messages that stand on the topics have to be as rows, table by table, each by its key.

A row is its columns as plain JSON has them: texts, numbers, lists, null. How a value is written (1.50 or 1.5) is left
to comparison.py.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

Key = tuple[Any, ...]
Row = Mapping[str, Any]
Rows = dict[Key, Row]


class Standing(NamedTuple):
    """A message where it stands; `topic` is without prefix, `appended` in milliseconds."""

    topic: str
    partition: int
    offset: int
    appended: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]


def expected(messages: Iterable[Standing]) -> dict[str, Rows]:
    """All rows of all tables. The messages of a partition come in their order."""
    tables: dict[str, Rows] = defaultdict(dict)
    pieces: dict[tuple[int, bytes], bytes] = {}
    for message in messages:
        if message.topic == "charges":
            charge = json.loads(message.value or b"")
            tables["charges"][(charge["charge_id"],)] = _flat(charge)
        elif message.topic == "statements":
            if (whole := _whole(message, pieces)) is not None:
                _add_statement(tables, json.loads(whole))
        elif message.topic == "usage-rejected":
            if "replayed" not in message.headers:
                _add_rejection(tables, message)
        elif message.topic == "usage":
            _add_usage(tables, message)
        else:
            _add_document(tables, message)
    return dict(tables)


def _flat(noun: Mapping[str, Any]) -> dict[str, Any]:
    """Lists of objects as a list for each of their members."""
    flat: dict[str, Any] = {}
    for name, value in noun.items():
        if isinstance(value, list):
            flat |= {f"{name}.{member}": [one[member] for one in value] for member in (value[0] if value else ())}
        else:
            flat[name] = value
    return flat


def _whole(message: Standing, pieces: dict[tuple[int, bytes], bytes]) -> bytes | None:
    """The statement's JSON, once its last part is there."""
    if "part" not in message.headers:
        return message.value
    of = message.partition, message.headers["statement-id"]
    pieces[of] = pieces.get(of, b"") + (message.value or b"")
    return pieces.pop(of) if message.headers["part"] == message.headers["parts"] else None


def _add_statement(tables: dict[str, Rows], statement: dict[str, Any]) -> None:
    name = statement["statement_id"]
    owner = {
        "statement_id": name,
        "tenant": statement["tenant"],
        "account": statement["account"],
        "statement_start": statement["period_start"],
        "revision": statement["revision"],
        "number": statement["number"],
    }
    for table, rows in (("statement_lines", statement.pop("lines")), ("taxes", statement.pop("taxes"))):
        for number, row in enumerate(rows, 1):
            tables[table][name, number] = {**owner, "line": number, **row}
    tables["statements"][(name,)] = _flat(statement)


def _add_rejection(tables: dict[str, Rows], message: Standing) -> None:
    said = {name: text.decode() for name, text in message.headers.items()}
    counts = {name: int(said[name]) for name in ("partition", "offset", "index", "size")}
    texts = {name: said[name] for name in ("reason", "message", "tenant", "account", "source", "sha256")}
    original = (message.value or b"").hex()
    row = {**counts, **texts, "origin": said["topic"], "usage_id": said["usage-id"], "line": 0, "original": original}
    tables["rejected"][said["topic"], counts["partition"], counts["offset"], counts["index"], said["sha256"]] = row


def _add_usage(tables: dict[str, Rows], message: Standing) -> None:
    place = {"partition": message.partition, "offset": message.offset, "appended": _instant(message.appended)}
    if "ratestream-command" in message.headers:
        command = (message.value or b"").hex()
        tables["commands"][message.partition, message.offset] = {**place, "command": command}
        return
    record = json.loads(message.value or b"")
    said = {"unit": None, "session": None, "corrects": None, "attributes": {}, "quantity_text": "", **record}
    said["usage_id"] = said.pop("id")
    tables["usage"][message.partition, message.offset, 0] = {**place, "index": 0, **said}


def _add_document(tables: dict[str, Rows], message: Standing) -> None:
    text = message.value or b""
    document = json.loads(text)
    tables["documents"][message.topic, message.partition, message.offset] = {
        "topic": message.topic,
        "key": (message.key or b"").hex(),
        "value": text.hex(),
        "partition": message.partition,
        "offset": message.offset,
        "appended": _instant(message.appended),
    }
    names = ("tenant", "account") if message.topic == "accounts" else ("tariff", "version")
    named = {name: document[name] for name in names}
    latest = {**named, "document": text.decode(), "seq": message.offset + 1}
    tables[message.topic][tuple(named.values())] = latest


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
