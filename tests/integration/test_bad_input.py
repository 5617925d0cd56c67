"""Every kind of malformed usage becomes one rejection with reason, position and original bytes; the rest goes on."""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.command import ACCOUNTS, TARIFFS, Done, ratestream, succeed

GOOD = {
    "id": "good",
    "account": "cloud-initech",
    "meter": "compute",
    "quantity": "3.5",
    "start": "2012-03-05T12:00:00Z",
    "end": "2012-03-05T13:00:00Z",
}
SOON = datetime.now(UTC) + timedelta(minutes=10)


def line(**changes: object) -> bytes:
    """A record as JSON, with what is changed in it; None leaves a field out."""
    values = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return json.dumps(values).encode()


MALFORMED: list[tuple[str, bytes]] = [
    ("unreadable", b"hello"),
    ("unreadable", line(id="half")[:40]),
    ("unreadable", b"[1, 2]"),
    ("unreadable", b"\xff\xfe\x00"),
    ("unreadable", b'{"id":"twice","id":"twice"}'),
    ("missing-field", line(id="no-meter", meter=None)),
    ("missing-field", line(id="empty", account="")),
    ("missing-field", line(id="no-quantity", quantity=None)),
    ("unknown-field", line(id="more", colour="red")),
    ("wrong-type", line(id=17)),
    ("wrong-type", line(id="words", quantity="many")),
    ("wrong-type", line(id="grouped", quantity="1,000")),
    ("wrong-type", line(id="truth", quantity=True)),
    ("wrong-type", line(id="number", start=1330948800)),
    ("wrong-type", line(id="february", start="2012-02-30T00:00:00Z")),
    ("not-finite", line(id="nan", quantity="NaN")),
    ("not-finite", line(id="infinity", quantity="-Infinity")),
    ("not-finite", line(id="bare").replace(b'"3.5"', b"NaN")),
    ("negative", line(id="negative", quantity="-0.5")),
    ("out-of-range", line(id="large", quantity="9000000000000")),
    ("out-of-range", line(id="huge", quantity="1e400")),
    ("excess-decimals", line(id="half-request", meter="api-requests", quantity="1.5")),
    ("wrong-unit", line(id="minutes", unit="minute")),
    ("no-zone", line(id="no-zone", end="2012-03-05T13:00:00")),
    ("end-before-start", line(id="backwards", end="2012-03-05T11:59:59Z")),
    ("future", line(id="future", end=SOON.isoformat())),
    ("unknown-account", line(id="nobody", account="cloud-hooli")),
    ("unknown-account", line(id="elsewhere", tenant="other")),
    ("unknown-meter", line(id="gpu", meter="gpu")),
    ("no-tariff", line(id="early", start="2011-12-31T23:00:00Z", end="2011-12-31T23:30:00Z")),
    ("id-reused", line(quantity="4")),
    ("wrong-correction", line(id="other-meter", corrects="good", meter="storage", unit="GB-hour")),
    ("oversized", line(id="long", attributes={"note": "x" * (1024 * 1024)})),
]


@dataclass
class Outcome:
    """What a command made of a file: its counts and rejections."""

    received: int
    accepted: int
    duplicates: int
    rejections: list[dict[str, Any]]


def counts(summary: str) -> dict[str, int]:
    words = [row.split() for row in summary.splitlines()]
    names = ("received", "accepted", "duplicates", "rejected")
    return {row[0]: int(row[1].replace(",", "")) for row in words if len(row) > 1 and row[0] in names}


def run(file: Path, folder: Path) -> Outcome:
    """By `ratestream run` and `rejected list`."""
    data = folder / "data"
    summary = succeed("run", "--data", data, "--tariffs", TARIFFS, "--accounts", ACCOUNTS, file)
    listed = succeed("rejected", "list", "--data", data, "--format", "json", "--limit", "100000").splitlines()
    return outcome(summary, [json.loads(row) for row in listed])


def rate(file: Path, _: Path) -> Outcome:
    """By `ratestream rate`."""
    done = ratestream("rate", "--tariffs", TARIFFS, "--accounts", ACCOUNTS, file)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(row) for row in done.stdout.splitlines()]
    return outcome(done.stderr, [row["rejection"] for row in rows if "rejection" in row])


def outcome(summary: str, rejections: list[dict[str, Any]]) -> Outcome:
    told = counts(summary)
    assert told["received"] == told["accepted"] + told["duplicates"] + told["rejected"], summary
    assert told["rejected"] == len(rejections)
    return Outcome(told["received"], told["accepted"], told["duplicates"], rejections)


WAYS = pytest.mark.parametrize("way", [run, rate])


@WAYS
def test_every_malformed_line_is_rejected_and_the_rest_goes_on(way: Any, tmp_path: Path) -> None:  # noqa: ANN401
    lines = [line()]
    for number, (_, malformed) in enumerate(MALFORMED):
        lines += [malformed, line(id=f"after-{number}")]
    file = write(tmp_path / "usage.jsonl", b"\n".join([*lines, line(), b""]))
    found = way(file, tmp_path)
    assert (found.received, found.duplicates) == (len(lines) + 1, 1)
    assert found.accepted == 1 + len(MALFORMED)
    by_line = {rejection["position"]["line"]: rejection for rejection in found.rejections}
    assert sorted(by_line) == [2 + 2 * number for number in range(len(MALFORMED))]
    for number, (reason, malformed) in enumerate(MALFORMED):
        rejection = by_line[2 + 2 * number]
        assert rejection["reason"] == reason, rejection["message"]
        assert rejection["position"]["origin"] == str(file)
        assert rejection["position"]["offset"] == 1 + 2 * number
        assert malformed.startswith(base64.b64decode(rejection["original"]))
        assert len(base64.b64decode(rejection["original"])) == min(len(malformed), 64 * 1024)
        assert (rejection["size"], rejection["sha256"]) == (len(malformed), hashlib.sha256(malformed).hexdigest())
        assert rejection["message"].endswith((".", "?")) or ". " in rejection["message"], "it says what to do"


def rows(count: int) -> list[bytes]:
    return [line(id=f"row-{number}") for number in range(count)]


def gzip_cut_short(folder: Path) -> tuple[Path, int]:
    whole = gzip.compress(b"\n".join(rows(5000)), mtime=0)
    return write(folder / "cut.jsonl.gz", whole[: len(whole) // 2]), 1000


def gzip_damaged(folder: Path) -> tuple[Path, int]:
    whole = bytearray(gzip.compress(b"\n".join(rows(50_000)), mtime=0))
    middle = len(whole) // 2
    whole[middle : middle + 64] = bytes(64)
    return write(folder / "damaged.jsonl.gz", bytes(whole)), 0


def bomb(folder: Path) -> tuple[Path, int]:
    """80 MB of zeros behind three records: above 64 MiB, and above a thousand times its own size."""
    content = b"\n".join([*rows(3), b"0" * 80_000_000])
    return write(folder / "bomb.jsonl.gz", gzip.compress(content, 9, mtime=0)), 3


def text_cut_short(folder: Path) -> tuple[Path, int]:
    return write(folder / "cut.jsonl", b"\n".join([*rows(3), line(id="last")[:50]])), 3


def avro(folder: Path, count: int, **settings: Any) -> bytes:  # noqa: ANN401
    schema = {
        "type": "record",
        "name": "Usage",
        "fields": [{"name": name, "type": "string"} for name in GOOD],
    }
    file = folder / "whole.avro"
    records = [{**GOOD, "id": f"row-{number}"} for number in range(count)]
    with file.open("wb") as stream:
        fastavro.writer(stream, schema, records, sync_interval=4000, **settings)
    content = file.read_bytes()
    file.unlink()
    return content


def avro_cut_short(folder: Path) -> tuple[Path, int]:
    content = avro(folder, 1000)
    return write(folder / "cut.avro", content[: len(content) // 2]), 300


def avro_damaged(folder: Path) -> tuple[Path, int]:
    content = bytearray(avro(folder, 1000, codec="deflate"))
    middle = len(content) // 2
    content[middle : middle + 16] = b"\xff" * 16
    return write(folder / "damaged.avro", bytes(content)), 300


def parquet_cut_short(folder: Path) -> tuple[Path, int]:
    table = pa.table({name: [value] * 100 for name, value in GOOD.items()})
    pq.write_table(table, folder / "whole")
    content = (folder / "whole").read_bytes()
    return write(folder / "cut.parquet", content[: len(content) // 2]), 0


BROKEN = {
    "gzip cut short": (gzip_cut_short, {"truncated"}),
    "gzip damaged": (gzip_damaged, {"unreadable", "truncated"}),
    "decompression bomb": (bomb, {"oversized"}),
    "text cut short": (text_cut_short, {"truncated"}),
    "Avro cut short": (avro_cut_short, {"truncated"}),
    "Avro damaged": (avro_damaged, {"unreadable", "truncated"}),
    "Parquet cut short": (parquet_cut_short, {"truncated"}),
}


@WAYS
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_gives_what_came_before_and_rejections(way: Any, fault: str, tmp_path: Path) -> None:  # noqa: ANN401
    make, reasons = BROKEN[fault]
    file, at_least = make(tmp_path)
    found = way(file, tmp_path)
    assert found.accepted >= at_least
    assert found.rejections
    last = found.rejections[-1]
    assert last["reason"] in reasons, last
    assert last["position"]["offset"] == found.received - 1 or fault == "Avro damaged"


def test_float_noise_is_rounded_and_counted_or_rejected(tmp_path: Path) -> None:
    """The same noise by a meter that rounds, and by one that does not."""
    noisy = [
        line(id="round", quantity="0.028999999999999998"),
        line(id="reject", meter="api-requests", quantity="2.000000000000001"),
    ]
    done = ratestream(
        *("rate", "--tariffs", TARIFFS, "--accounts", ACCOUNTS),
        write(tmp_path / "noise.jsonl", b"\n".join([*noisy, b""])),
    )
    assert "1 with quantities rounded" in done.stderr
    rated = [json.loads(row) for row in done.stdout.splitlines()]
    assert rated[0]["charge"]["quantity"] == "0.029"
    assert [row["rejection"]["reason"] for row in rated if "rejection" in row] == ["excess-decimals"]


WRONG_DOCUMENTS = {
    "tariff": ('up_to: "100000"', 'up_to: "lots"', "cloud.yaml"),
    "account": ("zone: UTC", "zone: Mars/Olympus", "accounts.yaml"),
}


@pytest.mark.parametrize("kind", WRONG_DOCUMENTS)
def test_a_wrong_document_stops_before_anything_is_read(kind: str, tmp_path: Path) -> None:
    """With the file and the line of what is wrong."""
    old, new, name = WRONG_DOCUMENTS[kind]
    places = {"cloud.yaml": TARIFFS / "cloud.yaml", "accounts.yaml": ACCOUNTS}
    text = places[name].read_text(encoding="utf-8")
    assert old in text
    wrong = text.replace(old, new, 1)
    tariffs, accounts = copied(tmp_path)
    (tariffs / name if kind == "tariff" else accounts).write_text(wrong, encoding="utf-8")
    file = write(tmp_path / "usage.jsonl", line() + b"\n")
    number = wrong[: wrong.index(new)].count("\n") + 1
    for command in (("run", "--data", tmp_path / "data"), ("rate",)):
        done: Done = ratestream(*command, "--tariffs", tariffs, "--accounts", accounts, file)
        assert done.returncode == 3, done.stderr
        assert f"{name}:{number}" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert not (tmp_path / "data" / "state").exists()


def copied(folder: Path) -> tuple[Path, Path]:
    (folder / "tariffs").mkdir()
    copies: Iterable[Path] = (write(folder / "tariffs" / file.name, file.read_bytes()) for file in TARIFFS.iterdir())
    assert list(copies)
    return folder / "tariffs", write(folder / "accounts.yaml", ACCOUNTS.read_bytes())


def write(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file
