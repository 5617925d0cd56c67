"""The demo: a run over the example homes and an example cloud, and what can be asked of it."""

import sys
from pathlib import Path
from shlex import quote
from shutil import which

from rich.text import Text

import ratestream
from agents.answers import BillOf, ChargesOf, RejectedUsage, StatementHeads, StatementOf
from agents.owner import ask
from ratestream.charges import short_id
from ratestream.rejections import original
from ratestream.running import Order, Summary, run
from ratestream.screen import printable, show
from ratestream.statements import print_overview, print_statement
from ratestream.summary import run_lines
from schemas.catalogue import load_catalogue
from schemas.charge import Charge
from schemas.codecs import json_from
from schemas.rejection import Rejection
from schemas.statement import Statement
from sinks.columns import decode_table

EXAMPLES = Path(ratestream.__file__).parents[1] / "examples"
TENANT, ACCOUNT, PERIOD = "default", "il-home-0", "2016-07"
"""The statement that is shown in full: a summer month with time-of-use tiers, and gas."""

_EXAMPLE_REJECTIONS = 10


def run_demo(data: Path) -> Summary:
    """Rate the examples into `data` and show what came of them."""
    order = Order(
        data=data,
        files=[EXAMPLES / "homes.csv.gz", EXAMPLES / "cloud-usage.jsonl.gz"],
        catalogue=load_catalogue(EXAMPLES / "tariffs", EXAMPLES / "accounts.yaml"),
    )
    summary = run(order)
    if summary.stopped:
        return summary
    show(Text("All statements", style="bold underline"))
    print_overview(decode_table(ask(data, StatementHeads())[0]))
    show()
    show(Text("One of them in full", style="bold underline"))
    print_statement(json_from(ask(data, StatementOf(TENANT, ACCOUNT, PERIOD))[0], Statement))
    show(Text("What was wrong in the input", style="bold underline"))
    _print_faults(data, summary)
    show()
    show(Text("The run", style="bold underline"))
    for line in run_lines(summary):
        print(line)
    print()
    _print_questions(data)
    return summary


def _print_faults(data: Path, summary: Summary) -> None:
    tally = summary.tally
    if not summary.files:
        print("Every file had been read by an earlier run; nothing has changed.")
    else:
        print(f"{tally.duplicates} records came twice, and count once.")
        print(f"{tally.rounded:,} quantities had more decimals than their meter, and were rounded.")
    rejected = [json_from(one, Rejection) for one in ask(data, RejectedUsage(limit=_EXAMPLE_REJECTIONS))]
    print("Rejected, each with its reason:")
    for rejection in rejected:
        text = f"  line {rejection.position.line}, {rejection.reason}: {original(rejection)}"
        print(f"{text[:77]}..." if len(text) > 80 else text)


def _print_questions(data: Path) -> None:
    charge = json_from(ask(data, ChargesOf(TENANT, ACCOUNT, PERIOD, limit=1))[0], Charge)
    bill = json_from(ask(data, BillOf(TENANT, ACCOUNT))[0], Statement)
    print(f"Charges, statements and rejections are in {data}. Ask for more:")
    command = Path(sys.argv[0])
    if command.name == "ratestream" and which("ratestream") is None:  # as in the environment that make has made
        print(printable(f"  export PATH={quote(str(command.absolute().parent))}:$PATH"))
    print(printable(f"  export RATESTREAM_DATA={quote(str(data))}"))
    print(f"  ratestream statement {ACCOUNT} --period {PERIOD}")
    print(f"  ratestream bill {bill.account}")
    print(f"  ratestream charges {ACCOUNT} --period {PERIOD} --limit 5")
    print(f"  ratestream explain {short_id(charge.charge_id)}")
    print("  ratestream rejected list")
    print("  ratestream query 'SELECT account, sum(amount) FROM charges GROUP BY account'")
    print("  ratestream export --out export --format parquet")
