"""Usage files: JSONL, CSV, Parquet and Avro containers, plain or compressed, become batches of usage records.

Every line, row or record of a file is received once, as a record or a rejection, and always under the same number.
Read in this order: reading (the way in), lines, jsonl, columns, csv_rows, parquet. Before intake.
"""

from schemas.files.columns import NO_MAPPING, ColumnMapping
from schemas.files.reading import read_usage

__all__ = ["NO_MAPPING", "ColumnMapping", "read_usage"]
