"""Storage: a RocksDB database, whose troubles are told as StorageError. Keys and values are bytes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, ReadOptions, WriteBatch, WriteOptions

from agents.errors import AgentError, StorageError
from pipeline.entries import Key

_CACHE = Cache(256 << 20)
"""For all databases of the process. RocksDB's own 32 MiB do not hold the indexes of 100,000 accounts: reading 1,000 of
them took 0.4 s, and takes 0.06 s.
"""


class Storage:
    """An open database. `where` is what its errors name, `again` what they say to do once the cause is mended."""

    def __init__(self, path: Path, where: Path, again: str, *, durable: bool = True) -> None:
        """Open `path`, made where it is missing. Raises StorageError.

        `durable`: what is written is on the disk on return, whatever happens to the machine. Otherwise a crash may take
        the last writes, in their order, and none by half: for what can be had again from elsewhere.
        """
        self._where, self._again = where, again
        with self._trouble("open"):
            self._db = Rdict(str(path), _options())
        self._write_options = WriteOptions()
        self._write_options.sync = durable
        self._write_options.disable_wal = not durable  # type: ignore[method-assign, assignment]  # it is a value

    def close(self) -> None:
        """Close it. Raises StorageError."""
        with self._trouble("close"):
            self._db.close()

    def get(self, key: Key) -> bytes | None:
        """The value, or None."""
        try:
            return cast("bytes | None", self._db.get(key))
        except Exception as error:
            raise self._told("read", error) from error

    def get_many(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """The values of the keys, in their order."""
        try:
            return cast("list[bytes | None]", self._db.get(list(keys)))
        except Exception as error:
            raise self._told("read", error) from error

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[Key, bytes]]:
        """Keys and values that begin with `prefix`, in order, from the first one past prefix + `after`."""
        options = ReadOptions()
        options.set_iterate_upper_bound(_following(prefix))
        with self._trouble("read"):
            for key, value in self._db.items(from_key=prefix + after, read_opt=options):
                if not after or key != prefix + after:
                    yield cast("Key", key), cast("bytes", value)

    def write(self, puts: Mapping[Key, bytes], deletes: Iterable[Key] = ()) -> None:
        """Delete, then put, as one."""
        batch = WriteBatch(raw_mode=True)
        for key in deletes:
            batch.delete(key)
        for key, value in puts.items():
            batch.put(key, value)
        with self._trouble("write"):
            self._db.write(batch, self._write_options)

    @contextmanager
    def _trouble(self, what: str) -> Iterator[None]:
        try:
            yield
        except AgentError:
            raise
        except Exception as error:
            raise self._told(what, error) from error

    def _told(self, what: str, error: Exception) -> StorageError:
        """RocksDB tells every trouble as a bare Exception; here it becomes one that says what to do."""
        text = str(error)
        full = "No space left" in text or "File too large" in text
        remedy = "Make room on the disk" if full else "Check the disk"
        return StorageError(f"{self._where}: cannot {what} the state: {text}. {remedy}, then {self._again}")


def _options() -> Options:
    """Point reads of keys that mostly do not exist, and journal entries of a megabyte that are written once."""
    table = BlockBasedOptions()
    table.set_bloom_filter(10, block_based=False)
    table.set_cache_index_and_filter_blocks(True)
    table.set_block_cache(_CACHE)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_memtable_prefix_bloom_ratio(0.1)  # with the next line: a look-up of a new record takes 0.5 µs, not 1.9
    options.set_memtable_whole_key_filtering(True)
    options.set_write_buffer_size(32 * 1024 * 1024)
    options.set_enable_blob_files(True)  # so that compaction leaves the journal where it is
    options.set_min_blob_size(4096)
    options.set_keep_log_file_num(2)
    return options


def _following(prefix: bytes) -> bytes:
    """The first key after all that begin with the prefix."""
    return prefix[:-1] + bytes([prefix[-1] + 1])
