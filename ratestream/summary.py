"""Summary: what a run or an offline rating came to, as text."""

from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from agents.intake_log import Tally
from ratestream.running import Summary
from ratestream.screen import money


def run_lines(summary: Summary) -> Iterator[str]:
    """The summary of a run."""
    known = f", {_count(summary.known, 'file')} held nothing new" if summary.known else ""
    rate = f" ({summary.records / summary.seconds:,.0f} records/s)" if summary.records else ""
    yield f"{_count(summary.files, 'file')} read{known}; {summary.seconds:.1f} s{rate}; data in {summary.data}"
    if summary.before:
        yield f"  an earlier run had read {summary.before:,} of these records"
    yield from tally_lines(summary.tally, summary.data)
    if summary.stopped:
        yield "Stopped by a signal. The same command goes on from here."


def tally_lines(tally: Tally, data: Path | None = None) -> Iterator[str]:
    """received = accepted + duplicates + rejected, and what came of them."""
    yield f"  received    {tally.received:>13,}"
    yield f"  accepted    {tally.accepted:>13,}   {tally.late:,} late, {tally.rounded:,} with quantities rounded"
    yield f"  duplicates  {tally.duplicates:>13,}"
    remedy = f"   ratestream rejected list --data {quote(str(data))}" if data is not None and tally.rejected else ""
    yield f"  rejected    {tally.rejected:>13,}{remedy}"
    for reason, count in sorted(tally.reasons.items()):
        yield f"    {reason:<18}{count:>5,}"
    yield f"  charges     {tally.charges:>13,}"
    for currency, amount in sorted(tally.charged.items()):
        yield f"    {money(int(amount), currency)} {currency} exact, before tax"
    yield f"  statements  {tally.statements:>13,}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
