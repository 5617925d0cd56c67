"""Read-only: which SQL of a user may run.

Two fences, because neither is enough. The engine's `readonly = 1` stops every write and nearly every table function
that reads files or the network. It does not stop (all tried on chDB): INTO OUTFILE, the scalar function `file`,
DESCRIBE of a remote table function, SYSTEM, KILL, USE, and a second statement after a semicolon. What it lets through
is refused here, on the text as the engine itself writes it back (`formatQuery`: one statement, no comments, names
without needless quotes and escapes) and on the kind of statement that its parser saw. The parser's tree alone would
not do: it hides the functions in `* APPLY(file)`.
"""

import re
from collections.abc import Collection

from sinks.errors import Refused

_KINDS = frozenset(
    {
        "SelectWithUnionQuery",
        "SelectIntersectExceptQuery",
        "ShowTables",
        "ShowColumns",
        "ShowCreateTableQuery",
        "DescribeQuery",
        "ExistsTableQuery",
        "Explain",
    }
)
"""Roots of the engine's syntax tree that only read."""

_HARMLESS = frozenset(
    {"numbers", "zeros", "generateseries", "generate_series", "values", "view", "merge", "null", "format"}
)
"""Table functions that see nothing but tables of this server, which may be read anyway."""

_FORBIDDEN = frozenset({"file", "hascolumnintable", "catboostevaluate"})
"""Names that may not occur at all, whether called, or handed to APPLY: functions that reach files or other servers."""

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*\"""", re.DOTALL)


def check_read_only(canonical: str, tree: str, table_functions: Collection[str]) -> None:
    """Raise Refused unless the statement only reads tables.

    `canonical` is the statement as `formatQuery` writes it, `tree` the answer to EXPLAIN AST of it, `table_functions`
    the names of all table functions that the engine has.
    """
    kind = tree.split(maxsplit=1)[0]
    if kind not in _KINDS:
        raise Refused(f"this statement is a {kind}, and only SELECT, SHOW, DESCRIBE, EXISTS and EXPLAIN are allowed.")
    code = _QUOTED.sub(_without_literals, canonical)
    if re.search(r"\bINTO\s+OUTFILE\b", code, re.IGNORECASE):
        raise Refused("INTO OUTFILE is not allowed: leave it out and save the result where you asked.")
    words = {word.lower() for word in re.findall(r"\w+", code)}
    called = {name.lower() for name in re.findall(r"(\w+)`?\s*\(", code)}
    forbidden = words & _FORBIDDEN | called & {name.lower() for name in table_functions} - _HARMLESS
    if forbidden:
        raise Refused(f"{', '.join(sorted(forbidden))} reaches beyond the tables of this database. Leave it out.")


def _without_literals(quoted: re.Match[str]) -> str:
    """An empty literal for a string, so that its content is not taken for code; a quoted name stays."""
    return "''" if quoted[0].startswith("'") else quoted[0]
