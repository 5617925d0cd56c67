"""The front as its owner has it: a process that is killed and started again on the same data and the same port."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from deploy.errors import ServerError
from deploy.ports import free_ports
from tests.clickhouse.faults import Fault
from tests.clickhouse.front import LOGIN

ROOT = Path(__file__).parents[2]
USER = "ratestream"


class FrontServer:
    """A server of ours, serving since it was made; its data goes when it is stopped. Skips the test without chDB."""

    ours = True

    def __init__(self) -> None:
        chdb = pytest.importorskip("chdb", reason="NOT RUN: pip install 'ratestream[embedded]'")
        self.how = f"an HTTP front over chDB {chdb.engine_version}, for tests alone"
        self.password = secrets.token_hex(8)
        self.port = next(free_ports())
        self.dsn = f"http://{USER}:{self.password}@127.0.0.1:{self.port}"
        self.directory = Path(tempfile.mkdtemp(prefix="ratestream-clickhouse-"))
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        try:
            self.restart()
        except BaseException:
            self.stop()
            raise

    def restart(self, users: str = "") -> None:
        """Starts it; returns when it serves. It may have been killed before. `users` is access.users_file, if any."""
        self.kill()
        configuration = [self._configuration(users)] if users else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.clickhouse.front", str(self.directory), str(self.port), *configuration],
            cwd=ROOT,
            env=os.environ | {LOGIN: f"{USER}:{self.password}", "TZ": "UTC", "TMPDIR": str(self.directory)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._told()

    def _configuration(self, users: str) -> str:
        of_users, path = self.directory / "users.xml", self.directory / "config.xml"
        of_users.write_text(users, encoding="utf-8")
        directories = f"<user_directories><users_xml><path>{of_users}</path></users_xml></user_directories>"
        path.write_text(f"<clickhouse>{directories}</clickhouse>", encoding="utf-8")
        return str(path)

    def kill(self) -> None:
        """Kills it as `kill -9` does; its data stays."""
        if (process := self._process) is not None:
            process.kill()
            process.communicate()

    def stop(self) -> None:
        """Ends it, and removes its data. Once more does nothing."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def orders(self, fault: Fault, *, times: int = 1, where: str = "", seconds: float = 0.0) -> None:
        """Lets the next `times` requests whose statement has `where` in it meet the fault, in place of earlier ones."""
        self._ask([fault, times, where, seconds])

    def orders_nothing(self) -> None:
        """Lets nothing go wrong any more."""
        self._ask([""])

    @property
    def taken(self) -> int:
        """How many requests have met the last order."""
        return self._ask(["taken"])

    def _ask(self, line: list[object]) -> int:
        if self._process is None or self._process.stdin is None:
            raise ServerError("this front does not run. Start it: restart().")
        with self._lock:
            self._process.stdin.write(f"{json.dumps(line)}\n")
            self._process.stdin.flush()
            return int(self._told())

    def _told(self) -> str:
        if self._process is None or self._process.stdout is None or not (line := self._process.stdout.readline()):
            raise ServerError("the front over chDB has ended; what it told is above.")
        return line.strip()
