"""Rejections: what was not accepted, why and from where, for a reader or as CSV."""

import json
from collections.abc import Sequence

from rich.text import Text

from ratestream.rows import write_csv
from ratestream.screen import printable, show
from schemas.codecs import json_bytes
from schemas.rejection import Rejection

_SHOWN_BYTES = 200


def print_rejections(rejections: Sequence[Rejection]) -> None:
    """A paragraph for each: reason and position, the sentence that says what to do, and what came."""
    for rejection in rejections:
        show(Text(printable(f"{rejection.reason}  {rejection.position}"), style="bold"))
        show(Text(f"  {printable(rejection.message)}"))
        show(Text(f"  {original(rejection)}", style="dim"))


def original(rejection: Rejection) -> str:
    """The first bytes of what came, as text."""
    start = rejection.original[:_SHOWN_BYTES]
    more = f"... ({rejection.size} bytes)" if rejection.size > len(start) else ""
    return printable(start.decode(errors="backslashreplace")) + more


def write_rejections_csv(rejections: Sequence[Rejection]) -> None:
    """A line for each; the original in base64."""
    write_csv(Rejection.__struct_fields__, (json.loads(json_bytes(rejection)) for rejection in rejections))
