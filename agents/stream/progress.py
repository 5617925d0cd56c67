"""Progress: what a worker tells about its partitions, and whether that is healthy. After hosting.py.

The worker writes DIR/progress.json every second. It is healthy while it writes and each of its partitions either moves
or has nothing to do: a process that exists and rates nothing is not alive. Delay is told in seconds, because offsets
also count what marks transactions.
"""

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agents.stream.hosting import Hosting

SILENT_S = 15
"""How old the file may be."""
STILL_S = 60
"""How long a partition may not move while records of it wait for their commit."""
OPENING_S = 900
"""How long a partition may take to restore its state."""
_FILE = "progress.json"


def write_progress(directory: Path, worker_id: str, hostings: Iterable[Hosting], now: datetime) -> None:
    """Replaces the file as a whole."""
    partitions = [
        {
            "topic": hosting.topic,
            "partition": number,
            "open": standing.opened,
            "waiting": standing.waiting,
            "delay_s": round(standing.delay_s, 3),
            "still_s": round(standing.still_s, 3),
        }
        for hosting in hostings
        for number, standing in hosting.standings.items()
    ]
    told = {"at": now.isoformat(), "worker": worker_id, "pid": os.getpid(), "partitions": partitions}
    new = directory / f"{_FILE}.new"
    new.write_text(json.dumps(told, indent=1) + "\n")
    new.replace(directory / _FILE)


def problems(directory: Path, now: datetime) -> list[str]:
    """What is wrong with the worker that has the directory; nothing where it is healthy."""
    file = directory / _FILE
    try:
        told = json.loads(file.read_text())
        silent_s = (now - datetime.fromisoformat(told["at"]).astimezone(UTC)).total_seconds()
        partitions: list[dict[str, Any]] = told["partitions"]
        stuck = [problem for partition in partitions if (problem := _problem(partition))]
    except FileNotFoundError:
        return [f"{file} is not there: no worker has started on this directory."]
    except (ValueError, KeyError, TypeError) as error:
        return [f"{file} is not what a worker writes: {error!r}. Name the worker's data directory."]
    if silent_s > SILENT_S:
        return [f"{file} was written {silent_s:.0f} s ago: the worker has ended or hangs. Start it again."]
    return stuck


def _problem(partition: dict[str, Any]) -> str | None:
    name = f"{partition['topic']}[{partition['partition']}]"
    still_s = float(partition["still_s"])
    if not partition["open"]:
        return f"{name} restores its state since {still_s:.0f} s." if still_s > OPENING_S else None
    if still_s > STILL_S:
        return f"{name}: {partition['waiting']} records wait, and none was committed for {still_s:.0f} s."
    return None
