"""Charges as JSON become rows of the table `charges`, without a Python object on the way.

Arrow's own reader makes the columns: 4 µs of processor time a charge of one part, in threads that hold no lock of the
interpreter. Reading each message into msgspec's structs of texts and these into columns takes 7, and Charge by Charge
22. The quick way takes what the stream writes and never rounds or fills in; whatever it does not take is read again the
slow way, by the charge's layout (schemas/codecs/layout.py), which decides and says why.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json

from schemas.charge import Charge, ChargeKind
from schemas.codecs import json_from
from sinks.charge_columns import CHARGES, charges_table

_BLOCK_BYTES = 4 << 20
_PARTS = "parts"
_NESTED = f"{_PARTS}."
_KINDS = pa.array([kind.value for kind in ChargeKind])


def charges_from_json(values: Sequence[bytes]) -> pa.Table:
    """One row of CHARGES per message, in the order given: what `charges_table` makes of the charges that they hold.

    Raises ValueError or Refused where one of them holds no charge, or one that no column holds.
    """
    table = quick_table(values)
    return charges_table([json_from(value, Charge) for value in values]) if table is None else table


def quick_table(values: Sequence[bytes]) -> pa.Table | None:
    """The same; None where anything is not as the stream writes it."""
    if not all([value.startswith(b'{"') and value.endswith(b'"}') for value in values]):  # noqa: C419 - twice as fast
        return None  # the reader crashes over a `null` among objects
    data = b"\n".join(values)
    try:
        if not data.isascii():
            data.decode()  # the reader takes texts for what they are not
        read = json.read_json(pa.BufferReader(data), _READ, _PARSE)
        columns = [_column(read, field) for field in CHARGES]
    except (UnicodeDecodeError, pa.ArrowInvalid):
        return None
    whole = read.num_rows == len(values) and not any(column.null_count for column in columns)
    return pa.Table.from_arrays(columns, schema=CHARGES) if whole and _has_kinds(read) else None


def _column(read: pa.Table, field: pa.Field) -> pa.ChunkedArray:
    if field.name.startswith(_NESTED):
        return pa.chunked_array([_nested(chunk, field) for chunk in read[_PARTS].chunks], field.type)
    return _of_type(read[field.name], field.type)


def _nested(parts: pa.Array, field: pa.Field) -> pa.Array:
    """One field of the parts, as lists."""
    inner = parts.values.field(field.name.removeprefix(_NESTED))
    if parts.null_count or parts.values.null_count or inner.null_count:
        raise pa.ArrowInvalid(f"{field.name} is missing")
    return pa.ListArray.from_arrays(parts.offsets, _of_type(inner, field.type.value_type))


def _of_type(column: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    """Instants and decimals of their texts.

    Left to the reader, an instant without a zone would be taken for UTC. And Arrow makes 450356684760857961591.2 into
    110074317839919498127.2 at 18 decimals, without a word, where more than 38 digits come to more than 128 bits.
    """
    if pa.types.is_decimal(kind):
        bounds = pc.min_max(column.cast(pa.float64())).as_py().values()
        limit = 10.0 ** (kind.precision - kind.scale)
        if any(bound is not None and not -limit < bound < limit for bound in bounds):
            raise pa.ArrowInvalid(f"more than {kind.precision} digits")
    return column.cast(kind) if _is_text_in_json(kind) else column


def _is_text_in_json(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_decimal(kind))


def _has_kinds(read: pa.Table) -> bool:
    return bool(pc.all(pc.is_in(read["kind"], _KINDS)).as_py())


def _schema() -> pa.Schema:
    """The columns as the reader is to give them: what JSON says as texts is text."""
    plain = [(field.name, _as_read(field.type)) for field in CHARGES if not field.name.startswith(_NESTED)]
    nested = [
        (field.name.removeprefix(_NESTED), _as_read(field.type.value_type))
        for field in CHARGES
        if field.name.startswith(_NESTED)
    ]
    return pa.schema([*plain, (_PARTS, pa.list_(pa.struct(nested)))])


def _as_read(kind: pa.DataType) -> pa.DataType:
    return pa.string() if _is_text_in_json(kind) else kind


_READ = json.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES)  # its threads cost more than they save
_PARSE = json.ParseOptions(explicit_schema=_schema(), unexpected_field_behavior="error")
