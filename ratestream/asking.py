"""Asking: the commands that ask a data directory, or the run that has it, and show the answer."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents import settings
from ratestream.options import (
    AccountArgument,
    DataOption,
    FileKind,
    GrossOption,
    KindOption,
    LimitOption,
    Output,
    OutputOption,
    PeriodOption,
    TenantOption,
)
from schemas.rejection import Reason

if TYPE_CHECKING:
    from agents.answers import Question


def bill(
    account: AccountArgument,
    data: DataOption,
    tenant: TenantOption = "default",
    output: OutputOption = Output.TABLE,
    gross: GrossOption = False,
) -> None:
    """What the open periods of an account come to so far, as if no more usage came."""
    from agents.answers import BillOf

    _show_statements(_ask(data, BillOf(tenant, account)), output, gross=gross)


def statement(
    account: AccountArgument,
    data: DataOption,
    period: PeriodOption = None,
    tenant: TenantOption = "default",
    output: OutputOption = Output.TABLE,
    gross: GrossOption = False,
) -> None:
    """One statement of an account: of a period, or the latest."""
    from agents.answers import StatementOf

    _show_statements(_ask(data, StatementOf(tenant, account, period)), output, gross=gross)


def statements(
    data: DataOption,
    account: Annotated[str, typer.Argument(metavar="[ACCOUNT]")] = "",
    tenant: Annotated[str, typer.Option(envvar=settings.TENANT, help="Only this tenant's.", show_default=False)] = "",
    limit: LimitOption = 1000,
    output: OutputOption = Output.TABLE,
) -> None:
    """All statements, or those of an account, a line each."""
    from agents.answers import StatementHeads
    from ratestream.rows import rows_of, write_csv
    from ratestream.statements import print_heads, write_heads_json
    from sinks.columns import decode_table

    heads = decode_table(_ask(data, StatementHeads(tenant, account, limit))[0])
    if output is Output.JSON:
        write_heads_json(heads)
    elif output is Output.CSV:
        write_csv(heads.column_names, rows_of(heads))
    else:
        print_heads(heads)
    _tell_limit(heads.num_rows, limit)


def charges(
    account: AccountArgument,
    data: DataOption,
    period: PeriodOption = None,
    limit: LimitOption = 1000,
    tenant: TenantOption = "default",
    output: OutputOption = Output.TABLE,
) -> None:
    """The charges of an account, or of one of its statements, exact."""
    from agents.answers import ChargesOf
    from ratestream.charges import print_charges, write_charges_csv
    from schemas.charge import Charge
    from schemas.codecs import json_from

    found = _ask(data, ChargesOf(tenant, account, period, limit))
    if output is Output.JSON:
        _write_lines(found)
    else:
        nouns = [json_from(one, Charge) for one in found]
        (write_charges_csv if output is Output.CSV else print_charges)(nouns)
    _tell_limit(len(found), limit)


def explain(
    charge_id: Annotated[str, typer.Argument(metavar="CHARGE_ID", help="The id, or six or more of its first digits.")],
    data: DataOption,
    output: Annotated[Output, typer.Option("--format", help="For a reader, or as JSON.")] = Output.TABLE,
) -> None:
    """The arithmetic of one charge: record, tariff, tiers, parts, rounding."""
    from msgspec.json import decode

    from agents.answers import ChargeById, Grounds
    from ratestream.explanation import Explained, print_explanation
    from schemas.charge import Charge
    from schemas.codecs import json_from
    from schemas.tariff import Tariff

    if output is Output.CSV:
        raise typer.BadParameter("An explanation is no table: use --format table or json.")
    charge, grounds, *tariff = _ask(data, ChargeById(charge_id))
    if output is Output.JSON:
        document = tariff[0] if tariff else b"null"
        _write_lines([b'{"charge":%b,"grounds":%b,"tariff":%b}' % (charge, grounds, document)])
        return
    version = Tariff.model_validate_json(tariff[0]) if tariff else None
    print_explanation(Explained(json_from(charge, Charge), version, decode(grounds, type=Grounds)))


def rejected_list(
    data: DataOption,
    reason: Annotated[Reason | None, typer.Option(help="Only those of this reason.", show_choices=False)] = None,
    limit: LimitOption = 1000,
    output: OutputOption = Output.TABLE,
) -> None:
    """What was not accepted, with reason, position, what to do, and what came."""
    from agents.answers import RejectedUsage
    from ratestream.rejections import print_rejections, write_rejections_csv
    from schemas.codecs import json_from
    from schemas.rejection import Rejection

    found = _ask(data, RejectedUsage(reason, limit))
    if output is Output.JSON:
        _write_lines(found)
    else:
        nouns = [json_from(one, Rejection) for one in found]
        (write_rejections_csv if output is Output.CSV else print_rejections)(nouns)
    _tell_limit(len(found), limit)


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A SELECT over charges, statements, statement_lines...")],
    data: DataOption,
    output: OutputOption = Output.TABLE,
) -> None:
    """The answer of ClickHouse to a SELECT, which can change nothing. SHOW TABLES says what there is."""
    from agents.answers import Sql
    from ratestream.rows import print_table, rows_of, write_csv, write_json
    from sinks.columns import decode_table
    from sinks.errors import Refused, WrongSchema

    try:
        table = decode_table(_ask(data, Sql(sql))[0])
    except WrongSchema:
        raise
    except Refused as error:
        raise typer.BadParameter(str(error), param_hint="SQL") from error
    if output is Output.JSON:
        write_json(rows_of(table))
    elif output is Output.CSV:
        write_csv(table.column_names, rows_of(table))
    else:
        print_table(table)


def export(
    data: DataOption,
    out: Annotated[Path, typer.Option(metavar="DIR", file_okay=False, help="Where the files go.")],
    kind: KindOption = FileKind.PARQUET,
) -> None:
    """Write charges, statements and rejections as files, the same bytes for the same content."""
    from agents.answers import ExportTo
    from sinks.export import Format

    for line in _ask(data, ExportTo(str(out.absolute()), Format(kind))):
        rows, _, file = line.decode().partition(" ")
        print(f"{int(rows):>10,} {file}")


def _ask(data: Path, question: "Question") -> list[bytes]:
    from agents.owner import ask

    return ask(data, question, settings.clickhouse_dsn(os.environ))


def _show_statements(found: list[bytes], output: Output, *, gross: bool) -> None:
    from ratestream.statements import print_statement, write_statements_csv
    from schemas.codecs import json_from
    from schemas.statement import Statement

    if output is Output.JSON:
        _write_lines(found)
        return
    nouns: list[Statement] = [json_from(one, Statement) for one in found]
    if output is Output.CSV:
        write_statements_csv(nouns)
        return
    for noun in nouns:
        print_statement(noun, gross=gross)


def _write_lines(lines: list[bytes]) -> None:
    sys.stdout.writelines(line.decode() + "\n" for line in lines)


def _tell_limit(count: int, limit: int) -> None:
    if count == 0:
        print("There are none.", file=sys.stderr)
    elif count == limit:
        print(f"These are the first {limit}; --limit gives more.", file=sys.stderr)
