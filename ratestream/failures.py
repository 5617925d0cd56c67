"""Failures: which error ends the command with which code. Known trouble is one message; anything else is a traceback.

0   done
1   operating trouble: the disk, ClickHouse, Kafka, the data directory
2   a wrong command line or setting
3   wrong tariffs or accounts
4   what was asked for is not there
5   another process has the data directory
70  charges, totals and statements do not agree; a worker met what nobody foresaw
130, 143  interrupted by SIGINT, by SIGTERM
"""

import os
import sys
from typing import Any

from typer import Exit
from typer.core import TyperGroup

DONE, TROUBLE, WRONG_USE, WRONG_DOCUMENTS, NOT_THERE, IN_USE, WRONG_MONEY, INTERRUPTED = 0, 1, 2, 3, 4, 5, 70, 130

EXIT_CODES = (
    "Exit codes: 0 done; 1 operating trouble (disk, ClickHouse, Kafka, directory); 2 wrong command line or setting; "
    "3 wrong tariffs or accounts; 4 what was asked for is not there; 5 the data directory is in use; 70 charges and "
    "totals disagree, or a worker met what nobody foresaw; 130 and 143 interrupted by SIGINT and SIGTERM."
)


class Commands(TyperGroup):
    """The commands, each ended by its error in the one way that this module tells."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer keeps its context's type to itself
        """What the command returns. Raises Exit with its code where known trouble ends it."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:  # who reads has enough, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Exit(DONE) from None
        except KeyboardInterrupt:
            raise Exit(INTERRUPTED) from None
        except Exception as error:
            code = exit_code(error)
            if code is None:
                raise
            print(message(error), file=sys.stderr)
            raise Exit(code) from error
        return result


def exit_code(error: Exception) -> int | None:
    """The code for a known error; None for one that nobody foresaw."""
    from agents.errors import AgentError, DirectoryInUseError, NoAnswerError, SettingError, SuccessionError
    from schemas.problem import DocumentError
    from sinks.errors import Occupied, SinkError

    codes: list[tuple[type[Exception] | tuple[type[Exception], ...], int]] = [
        (SettingError, WRONG_USE),
        ((DocumentError, SuccessionError), WRONG_DOCUMENTS),
        (NoAnswerError, NOT_THERE),
        ((DirectoryInUseError, Occupied), IN_USE),
        ((AgentError, SinkError, OSError), TROUBLE),
    ]
    if type(error).__name__ in {"LostTermsError", "MoneyError"}:  # whoever raised it has imported the pipeline
        from pipeline.bill import MoneyError
        from pipeline.ledger import LostTermsError

        codes += [(MoneyError, WRONG_MONEY), (LostTermsError, WRONG_DOCUMENTS)]
    return next((code for kind, code in codes if isinstance(error, kind)), None)


def message(error: Exception) -> str:
    """What the error says to people."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}"
    return str(error)
