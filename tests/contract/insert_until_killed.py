"""A process to kill: inserts batches from the stored position onwards, then the position; at the end exports all.

    python insert_until_killed.py DIRECTORY BATCHES EXPORT_FOLDER

Prints the number of its first batch when it begins to insert, so that whoever kills it knows when.
"""

import sys
from pathlib import Path

from sinks.charge_columns import charges_table
from sinks.clickhouse import ClickHouse
from sinks.document_columns import projection_table
from sinks.export import Format, write_export
from sinks.queries import export_reads, position
from sinks.rejection_columns import rejections_table
from sinks.statement_columns import statement_lines_table, statements_table, taxes_table
from tests.contract.made_nouns import made_charge, made_rejection, made_statement

BATCH = 500


def insert_batch(sink: ClickHouse, seq: int) -> None:
    numbers = range(seq * BATCH, (seq + 1) * BATCH)
    statements = [made_statement(seq)]
    sink.insert("charges", charges_table([made_charge(number, months=3) for number in numbers]), f"charges {seq}")
    sink.insert("rejected", rejections_table([made_rejection(seq)]), f"rejected {seq}")
    sink.insert("statement_lines", statement_lines_table(statements), f"lines {seq}")
    sink.insert("taxes", taxes_table(statements), f"taxes {seq}")
    sink.insert("statements", statements_table(statements), f"statements {seq}")
    sink.insert("projection", projection_table("test", seq), f"projection {seq}")


def main(directory: str, batches: int, folder: Path) -> None:
    with ClickHouse(f"chdb://{directory}") as sink:
        sink.migrate()
        done = position(sink, "test")
        begin = 0 if done is None else done + 1
        print(begin, flush=True)
        for seq in range(begin, batches):
            insert_batch(sink, seq)
        write_export(export_reads(sink), folder, Format.JSONL)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
