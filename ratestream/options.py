"""Options that several commands share, each with its name in the environment."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agents import settings


class Output(StrEnum):
    """How an answer is written: for a reader, as JSON lines, or as CSV."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class FileKind(StrEnum):
    """What an export writes."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"


class Source(StrEnum):
    """Whose tariffs are imported."""

    URDB = "urdb"
    OCPI = "ocpi"
    CGRATES = "cgrates"


DataOption = Annotated[
    Path,
    typer.Option("--data", envvar=settings.DATA, metavar="DIR", file_okay=False, help="The data directory."),
]
TARIFFS = typer.Option(
    "--tariffs", envvar=settings.TARIFFS, metavar="PATH", exists=True, help="Tariff file, or a directory of them."
)
ACCOUNTS = typer.Option(
    "--accounts", envvar=settings.ACCOUNTS, metavar="PATH", exists=True, help="Account file, or a directory of them."
)
TenantOption = Annotated[str, typer.Option(envvar=settings.TENANT, help="Whose customer the account is.")]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="In which column of CSV or Parquet a field stands."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="A value that a field has in every row of CSV or Parquet."),
]
OutputOption = Annotated[Output, typer.Option("--format", help="For a reader, as JSON lines, or as CSV.")]
KindOption = Annotated[FileKind, typer.Option("--format", help="What kind of files to write.")]
PeriodOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="The billing period by its name: 2024-05, 2024-Q2, 2024-05-31.")
]
GrossOption = Annotated[bool, typer.Option("--gross", help="Show each line with its taxes, too.")]
LimitOption = Annotated[int, typer.Option(min=1, help="How many at most.")]
AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT")]
UsageArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="USAGE",
        exists=True,
        readable=True,
        help="Usage files: JSONL, CSV, Parquet, Avro; also gzip or zstd. A directory: its files by name.",
    ),
]
