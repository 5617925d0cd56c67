"""Usage with everything in it: two real homes and three made-up customers, in files as they might arrive.

Among the records are repeats, replacements and voids (of what has come, of what comes later, of what was billed long
ago), late and too late usage, malformed lines, and a file that ends in the middle.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.integration.command import CLOUD, HOMES

_CLOUD_FILES = 8

Record = dict[str, Any]


def write_mixed_usage(folder: Path, *, homes: tuple[str, ...] = ("ontario-home", "uk-home-1")) -> list[Path]:
    """The usage files, in the order in which they are to be read."""
    folder.mkdir()
    lines = _cloud_lines()
    size = len(lines) // _CLOUD_FILES + 1
    chunks = [lines[begin : begin + size] for begin in range(0, len(lines), size)]
    half = len(chunks) // 2
    files = [_write(folder / f"cloud-{number:02}.jsonl", chunk) for number, chunk in enumerate(chunks)]
    home = folder / "homes.csv.gz"
    home.write_bytes(gzip.compress("\n".join([*home_lines(homes), ""]).encode(), mtime=0))
    broken = folder / "broken.csv.gz"
    broken.write_bytes(home.read_bytes()[: 20 * 1024])
    return [*files[:half], home, *files[half:], broken]


def home_lines(homes: Iterable[str]) -> Iterator[str]:
    """The header and the lines of some homes."""
    with gzip.open(HOMES, "rt", encoding="utf-8") as lines:
        yield next(lines).rstrip("\n")
        wanted = tuple(f"{home}/" for home in homes)
        yield from (line.rstrip("\n") for line in lines if line.startswith(wanted))


def cloud_lines() -> list[str]:
    """The lines of the made-up customers' file."""
    return gzip.decompress(CLOUD.read_bytes()).decode().splitlines()


def _cloud_lines() -> list[str]:
    """The made-up customers' lines with more of what goes wrong."""
    lines = cloud_lines()
    records = [json.loads(line) for line in lines if line.endswith("}")]
    compute = [record for record in records if record["meter"] == "compute" and "/20120305T120000/" not in record["id"]]
    early, billed = compute[20:40], compute[700:720]
    kept = [line for line in lines if not any(f'"{record["id"]}"' in line for record in early)]
    quarter = len(kept) // 4
    february, may, june = quarter, 2 * len(kept) // 3, len(kept) - 1
    extra = [
        *((february, record) for record in early[:12]),  # after their period has closed: adjustments
        *((june, record) for record in early[12:]),  # too late
        *((may, _void(record)) for record in billed[:9]),  # of what is on a statement
        *((may, _replacement(record, "77.5")) for record in billed[9:18]),
        *((may + 9, _void(record)) for record in compute[1040:1043]),  # of the open period
        *((may + 9, _replacement(record, "8.125")) for record in compute[1043:1046]),
        *((5, _void(record)) for record in compute[400:402]),  # of what has not come yet
        *((6, _replacement(record, "1.25")) for record in compute[402:404]),
        (may + 9, _void(billed[0])),  # it is void already
        (may + 9, {**billed[0], "id": f"{billed[0]['id']}/again", "corrects": billed[0]["id"]}),
        (may + 9, _replacement(_void(billed[0]), "2")),  # a void has no usage to replace
        (may + 9, {**compute[70], "quantity": "1"}),  # the id is taken
        *((quarter + number, record) for number, record in enumerate(compute[100:140])),  # repeats
    ]
    for place, record in sorted(extra, key=lambda item: -item[0]):
        kept.insert(place, json.dumps(record))
    return kept


def _void(record: Record) -> Record:
    return {**record, "id": f"{record['id']}/void", "quantity": None, "corrects": record["id"]}


def _replacement(record: Record, quantity: str) -> Record:
    return {**record, "id": f"{record['id']}/new", "quantity": quantity, "corrects": record["id"]}


def _write(file: Path, lines: list[str]) -> Path:
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return file
