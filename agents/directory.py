"""Directory: the durable state of one data directory, in RocksDB. It is the truth; ClickHouse is a projection of it.

One process at a time has it. Everything that one batch of usage changes is one write, synced before anybody hears of
it: after a crash a directory is as it was after some batch, never in between. Beside the pipeline's own keys
(pipeline/entries.py) it holds

    j <8 bytes seq>      the journal (journal.py), in the order of its numbers, from 1
    f <digest>           a usage file: how far it was read (intake_log.py)
    r ...                tariffs and accounts (reference.py)
    m layout, m seq      the version of all these forms; the last journal number
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from agents.errors import DirectoryError, DirectoryInUseError, StorageError
from agents.storage import Storage
from pipeline.entries import LAYOUT, Key

_LAYOUT_KEY, _SEQ_KEY = b"mlayout", b"mseq"
_JOURNAL = b"j"
_LOCK = "owner.json"
_AGAIN = "run the same command again: it goes on from the last whole batch."


class Directory:
    """An open data directory. Use it as a context manager; closing it lets others in."""

    def __init__(self, path: Path) -> None:
        """Open `path`, made where it is missing. Raises DirectoryInUseError, DirectoryError or StorageError."""
        self.path = path.absolute()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(self.path)
        except OSError as error:
            raise DirectoryError(f"{self.path}: {error.strerror}. Name a directory that can be written.") from error
        try:
            self._storage = Storage(self.path / "state", self.path, _AGAIN)
            self._check_layout()
        except BaseException:
            self._lock.close()
            raise
        self.seq = int.from_bytes(self.get(_SEQ_KEY) or b"", "big")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except StorageError:
            if error is None:  # a state that could not be written cannot be closed either, and that is told already
                raise

    def close(self) -> None:
        """Close the state and give up the directory. Raises StorageError."""
        try:
            self._storage.close()
        finally:
            self._lock.close()

    @property
    def clickhouse_dsn(self) -> str:
        """Where the embedded ClickHouse of this directory is."""
        return f"chdb://{self.path / 'clickhouse'}"

    def get(self, key: Key) -> bytes | None:
        """The value, or None."""
        return self._storage.get(key)

    def get_many(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """The values of the keys, in their order."""
        return self._storage.get_many(keys)

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[Key, bytes]]:
        """Keys and values that begin with `prefix`, in order, from the first one past prefix + `after`."""
        return self._storage.scan(prefix, after)

    def commit(self, changes: Mapping[Key, bytes], entry: bytes | None = None) -> None:
        """Write the changes, and a journal entry with the next number, as one; durable on return."""
        seq = self.seq
        journal: dict[Key, bytes] = {}
        if entry is not None:
            seq += 1
            journal = {_JOURNAL + seq.to_bytes(8, "big"): entry, _SEQ_KEY: seq.to_bytes(8, "big")}
        self._storage.write({**changes, **journal})
        self.seq = seq

    def journal(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Journal numbers and entries past `after`, in order."""
        for key, value in self.scan(_JOURNAL, after.to_bytes(8, "big")):
            yield int.from_bytes(key[1:], "big"), value

    def announce(self, contact: Mapping[str, object]) -> None:
        """Say in the lock file how the owner is reached; only its user may read that."""
        _write_lock(self._lock, {"pid": os.getpid(), **contact})

    def _check_layout(self) -> None:
        layout = self.get(_LAYOUT_KEY)
        if layout is None:
            self._storage.write({_LAYOUT_KEY: str(LAYOUT).encode()})
        elif layout != str(LAYOUT).encode():
            self._storage.close()
            raise DirectoryError(
                f"{self.path}: written in layout {layout.decode()}, this version reads layout {LAYOUT}. Use the "
                "version of ratestream that wrote it, or rate the usage again into a new directory."
            )


def owner_of(path: Path) -> dict[str, Any] | None:
    """What the running owner of a data directory announced; None where nobody has it."""
    try:
        with (path / _LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return _announced((path / _LOCK).read_bytes())
    return None


def take_lock(path: Path) -> BinaryIO:
    """The lock file, locked until it is closed or the process ends, however that happens."""
    file = os.fdopen(os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = _announced(file.read()).get("pid", "unknown")
        file.close()
        raise DirectoryInUseError(
            f"{path} is in use by process {pid}; one process at a time rates into a data directory. Wait for it, "
            "stop it, or use another --data."
        ) from None
    _write_lock(file, {"pid": os.getpid()})
    return file


def _announced(text: bytes) -> dict[str, Any]:
    """What a lock file says; nothing while it is being written."""
    try:
        announced: dict[str, Any] = json.loads(text)
    except ValueError:
        return {}
    return announced


def _write_lock(file: BinaryIO, contact: Mapping[str, object]) -> None:
    file.seek(0)
    file.write(json.dumps(contact).encode())
    file.truncate()
    file.flush()
