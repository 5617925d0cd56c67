"""Imports go one way, and the pipeline touches nothing of the world: read from the source of every module."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {
    "schemas": set[str](),
    "pipeline": {"schemas"},
    "sinks": {"schemas"},
    "agents": {"schemas", "pipeline", "sinks"},
    "ratestream": {"schemas", "pipeline", "sinks", "agents"},
}
NEVER_IMPORTED = {"tests", "examples", "deploy"}

WORLD = {
    *("asyncio", "concurrent", "multiprocessing", "signal", "subprocess", "threading"),
    *("fcntl", "fileinput", "glob", "io", "mmap", "os", "pathlib", "shutil", "sqlite3", "tempfile"),
    *("http", "select", "socket", "ssl", "urllib", "urllib3"),
    *("random", "secrets", "time"),
    *("ctypes", "importlib"),
    *("chdb", "clickhouse_connect", "fastavro", "pyarrow", "rich", "rocksdict", "typer", "yaml"),
}
"""What the pipeline may not import: processes, files, sockets, clocks, chance, and every driver."""

CLOCKS = {"now", "today", "utcnow"}
"""Attributes that read the clock, of `datetime` and `date` by whatever name they were imported."""

WORLD_CALLS = {"__import__", "breakpoint", "eval", "exec", "input", "open", "print"}


def imports(module: ast.Module) -> Iterator[tuple[int, str]]:
    """The line and the top-level package of each absolute import, wherever it stands; a relative one stays at home."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.partition(".")[0]


def touches(module: ast.Module) -> Iterator[tuple[int, str]]:
    """The line and the name of each clock that is read and each built-in that reaches the world."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Name) and node.id in WORLD_CALLS:
            yield node.lineno, node.id


def breaches_of(room: str, source: str) -> list[str]:
    """What one module of `room` imports or touches against the rules, as `line: what`."""
    module = ast.parse(source)
    refused = (MAY_IMPORT.keys() | NEVER_IMPORTED) - MAY_IMPORT[room] - {room}
    if room == "pipeline":
        refused |= WORLD
    found = [(line, f"imports {package}") for line, package in imports(module) if package in refused]
    if room == "pipeline":
        found += [(line, f"uses {name}") for line, name in touches(module)]
    return [f"{line}: {what}" for line, what in sorted(found)]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    modules = sorted((ROOT / room).rglob("*.py"))
    assert modules, f"{room}/ holds no module: was it renamed?"
    breaches = [
        f"{module.relative_to(ROOT)}:{breach}"
        for module in modules
        for breach in breaches_of(room, module.read_text(encoding="utf-8"))
    ]
    assert not breaches, "\n".join(breaches)


@pytest.mark.parametrize(
    ("room", "source", "breach"),
    [
        ("schemas", "from pipeline.rating import rate", "1: imports pipeline"),
        ("schemas", "import tests.builders", "1: imports tests"),
        ("pipeline", "import sinks", "1: imports sinks"),
        ("pipeline", "def late() -> None:\n    from agents import runner", "2: imports agents"),
        ("pipeline", "if TYPE_CHECKING:\n    from ratestream.cli import main", "2: imports ratestream"),
        ("pipeline", "import os.path as p", "1: imports os"),
        ("pipeline", "from time import monotonic", "1: imports time"),
        ("pipeline", "import pyarrow.parquet", "1: imports pyarrow"),
        ("pipeline", "from datetime import datetime as dt, UTC\nrated = dt.now(UTC)", "2: uses dt.now"),
        ("pipeline", "made = field(default_factory=datetime.date.today)", "1: uses datetime.date.today"),
        ("pipeline", "rows = open('usage.csv')", "1: uses open"),
        ("sinks", "from pipeline import posting", "1: imports pipeline"),
        ("sinks", "import schemas, agents", "1: imports agents"),
        ("agents", "from ratestream import cli", "1: imports ratestream"),
        ("ratestream", "from tests.simulation import world", "1: imports tests"),
    ],
)
def test_a_wrong_import_is_found(room: str, source: str, breach: str) -> None:
    assert breaches_of(room, source) == [breach]


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("schemas", "import pathlib\nimport fastavro\nfrom schemas.usage import UsageRecord"),
        ("pipeline", "from datetime import datetime\nfrom zoneinfo import ZoneInfo\nfrom schemas.charge import Charge"),
        ("pipeline", "from . import rating\nfrom .pricing import tiered\nfrom pipeline.rating import rate"),
        ("sinks", "import time\nfrom schemas.charge import Charge"),
        ("agents", "import os\nimport sinks.clickhouse\nfrom pipeline import rating"),
        ("ratestream", "from agents import runner\nfrom sinks import clickhouse"),
    ],
)
def test_a_right_import_is_let_through(room: str, source: str) -> None:
    assert breaches_of(room, source) == []
