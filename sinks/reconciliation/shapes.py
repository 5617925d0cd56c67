"""Shapes: a row of each table as one text, the same in ClickHouse as from a message of the topic.

The text holds every column: decimals without needless zeros, instants of JSON nouns as JSON says them, lists parted by
WITHIN, columns by BETWEEN. Its hash is the first 128 bits of SHA-256, which ClickHouse and Python both have built in;
the sum of hashes modulo 2¹²⁸ does not depend on order, and one bit of one row changes it.
"""

from dataclasses import dataclass
from hashlib import sha256

import pyarrow as pa

from sinks.charge_columns import CHARGES
from sinks.rejection_columns import REJECTED
from sinks.statement_columns import STATEMENT_LINES, STATEMENTS, TAXES
from sinks.usage_columns import USAGE

BETWEEN, WITHIN = "\0", "\1"
HASHES = 1 << 128
"""Sums of hashes are modulo this."""
SUM_SCALE = 18
"""Decimals of every sum, those of quantities included."""

Group = tuple[str, str, str, str]
"""Tenant, account, meter and billing period, as a text each; "" where the rows of a leg have none."""

_PLACE = ("partition", "offset", "index")


def hash_of(text: str) -> int:
    """The number that stands for a row's text.

    >>> hash_of("a") == int.from_bytes(sha256(b"a").digest()[:16], "little")
    True
    """
    return int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest()[:16], "little")


def fixed(text: str) -> int:
    """A plain decimal text as an integer of SUM_SCALE decimals.

    >>> fixed("-0.5") * 2 == -(10**18), fixed("12") == 12 * 10**18
    (True, True)
    """
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(SUM_SCALE, "0"))


@dataclass(frozen=True)
class Shape:
    """How the rows of one table are compared. All but the names are expressions of SQL, of our own making.

    `key` is what tells rows apart, `name` what they are called, `amount` what is summed.
    """

    table: str
    columns: tuple[str, ...]
    group: tuple[str, str, str, str]
    key: tuple[str, ...]
    name: str
    amount: str
    text: str
    sorting: tuple[str, ...]
    """The sorting key, which decides what replaces what."""

    def differing(self, one: str, other: str) -> list[tuple[str, str, str]]:
        """The columns in which two texts differ, with their values."""
        pairs = zip(self.columns, one.split(BETWEEN), other.split(BETWEEN), strict=False)
        return [(column, here, there) for column, here, there in pairs if here != there]


def hash_sql(text: str) -> str:
    """`hash_of` as an expression of SQL over another one."""
    return f"reinterpretAsUInt128(substring(SHA256({text}), 1, 16))"


def iso_sql(column: str) -> str:
    """An instant as JSON nouns say it: decimals of its second only where they are not zero."""
    return f"replaceOne(concat(replaceOne(toString({column}), ' ', 'T'), 'Z'), '.000000Z', 'Z')"


def _column_sql(field: pa.Field, *, as_json: bool) -> str:
    name, kind = f"`{field.name}`", field.type
    if pa.types.is_timestamp(kind):
        return f"ifNull({iso_sql(name)}, '')" if as_json else f"toString(toUnixTimestamp64Micro({name}))"
    if pa.types.is_map(kind):
        pairs = f"arrayMap(name -> [name, {name}[name]], arraySort(mapKeys({name})))"
        return f"arrayStringConcat(arrayFlatten({pairs}), '{_ESCAPED[WITHIN]}')"
    if pa.types.is_list(kind):
        texts = name if pa.types.is_string(kind.value_type) else f"arrayMap(value -> toString(value), {name})"
        return f"arrayStringConcat({texts}, '{_ESCAPED[WITHIN]}')"
    if pa.types.is_binary(kind):
        return f"lower(hex(SHA256({name})))"
    return f"ifNull(toString({name}), '')"


_ESCAPED = {BETWEEN: r"\0", WITHIN: r"\x01"}


def _shape(
    table: str,
    schema: pa.Schema,
    *,
    group: tuple[str, str, str, str],
    key: tuple[str, ...],
    name: str,
    amount: str,
    sorting: tuple[str, ...],
    as_json: bool = True,
) -> Shape:
    columns = ", ".join(_column_sql(field, as_json=as_json) for field in schema)
    text = f"concatWithSeparator('{_ESCAPED[BETWEEN]}', {columns})"
    return Shape(table, tuple(schema.names), group, key, name, amount, text, sorting)


_POSITION = "concat(toString(partition), '@', toString(offset), '#', toString(`index`))"
_OWNER = ("tenant", "account", "statement_id")

USAGE_SHAPE = _shape(
    "usage",
    USAGE,
    group=("tenant", "account", "meter", "formatDateTime(appended, '%Y-%m')"),
    key=(_POSITION,),
    name="usage_id",
    amount="ifNull(quantity, 0)",
    sorting=("tenant", "account", "start", *_PLACE),
    as_json=False,
)
CHARGE_SHAPE = _shape(
    "charges",
    CHARGES,
    group=("tenant", "account", "meter", iso_sql("statement_start")),
    key=("tenant", "account", "charge_id"),
    name="charge_id",
    amount="amount",
    sorting=("tenant", "account", "statement_start", "usage_start", "charge_id"),
)
STATEMENT_SHAPE = _shape(
    "statements",
    STATEMENTS,
    group=("tenant", "account", "''", iso_sql("period_start")),
    key=_OWNER,
    name="statement_id",
    amount="total",
    sorting=("tenant", "account", "period_start", "revision", "number"),
)
LINE_SHAPE = _shape(
    "statement_lines",
    STATEMENT_LINES,
    group=("tenant", "account", "''", iso_sql("statement_start")),
    key=(*_OWNER, "toString(line)"),
    name="concat(statement_id, ', line ', toString(line))",
    amount="exact",
    sorting=("tenant", "account", "statement_start", "revision", "line", "number"),
)
TAX_SHAPE = _shape(
    "taxes",
    TAXES,
    group=("tenant", "account", "''", iso_sql("statement_start")),
    key=(*_OWNER, "toString(line)"),
    name="concat(statement_id, ', tax ', toString(line))",
    amount="amount",
    sorting=("tenant", "account", "statement_start", "revision", "line", "number"),
)
REJECTED_SHAPE = _shape(
    "rejected",
    REJECTED,
    group=("''", "''", "reason", "concat(origin, '[', toString(partition), ']')"),
    key=("origin", _POSITION),
    name="concat(origin, '[', toString(partition), ']@', toString(offset), if(`index` = 0, '', "
    "concat('#', toString(`index`))))",
    amount="0",
    sorting=("origin", "partition", "offset", "sha256", "`index`"),
)
