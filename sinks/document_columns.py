"""Documents as rows: the accounts and tariffs in force, and how far the projection has come.

`seq` is the position of the pipeline at which a row was written. Of several rows with the same key the highest `seq`
counts, so a row that is written again changes nothing.
"""

from collections.abc import Sequence

import pyarrow as pa

ACCOUNTS = pa.schema(
    [("tenant", pa.string()), ("account", pa.string()), ("document", pa.string()), ("seq", pa.uint64())]
)
TARIFFS = pa.schema(
    [("tariff", pa.string()), ("version", pa.string()), ("document", pa.string()), ("seq", pa.uint64())]
)
PROJECTION = pa.schema([("name", pa.string()), ("seq", pa.uint64())])


def accounts_table(accounts: Sequence[tuple[str, str, str]], seq: int | Sequence[int]) -> pa.Table:
    """One row per (tenant, account, document text), all of one `seq` or each with its own."""
    return _documents(accounts, seq, ACCOUNTS)


def tariffs_table(tariffs: Sequence[tuple[str, str, str]], seq: int | Sequence[int]) -> pa.Table:
    """One row per (tariff, version, document text), all of one `seq` or each with its own."""
    return _documents(tariffs, seq, TARIFFS)


def projection_table(name: str, seq: int) -> pa.Table:
    """One row: everything of the projection `name` up to and with `seq` has been inserted."""
    return pa.table([[name], [seq]], schema=PROJECTION)


def _documents(documents: Sequence[tuple[str, str, str]], seq: int | Sequence[int], schema: pa.Schema) -> pa.Table:
    first, second, text = ([row[place] for row in documents] for place in range(3))
    seqs = [seq] * len(documents) if isinstance(seq, int) else list(seq)
    return pa.table([first, second, text, seqs], schema=schema)
