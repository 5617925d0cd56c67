"""Checking: one case, from its translation to a verdict on every expected value."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.problem import DocumentError
from tests.accuracy.adapters import ADAPTERS
from tests.accuracy.case import Case, NotCoveredError, question_of
from tests.accuracy.comparing import Field, fields
from tests.accuracy.documents import Documents
from tests.accuracy.result import Answers, UnclearError
from tests.accuracy.running import RejectedError, run

Adapter = Callable[[Any], Documents]


class RefusedError(Exception):
    """A tariff or an account of a case is not one."""


@dataclass(frozen=True)
class Verdict:
    """What came of a case: its values, or why there are none."""

    case: Case
    values: tuple[Field, ...]
    obstacle: str = ""

    @property
    def right(self) -> bool:
        """Whether every expected value was found."""
        return not self.obstacle and bool(self.values) and all(value.right for value in self.values)

    def told(self) -> str:
        """What is wrong, a line each."""
        wrong = [self.obstacle] if self.obstacle else []
        wrong += [
            f"{value.name or 'the answer'}: expected {value.expected}, found {value.found}"
            for value in self.values
            if not value.right
        ]
        return "\n".join(f"{self.case.id} ({self.case.model}): {line}" for line in wrong or ["nothing is expected"])


def check(case: Case) -> Verdict:
    """The verdict on a case. What cannot be translated, or is refused, is wrong."""
    try:
        return Verdict(case, tuple(fields(case.expected, answers(case))))
    except NotCoveredError as error:
        return Verdict(case, (), f"not covered: {error}")
    except (RefusedError, RejectedError, UnclearError) as error:
        return Verdict(case, (), str(error))
    except Exception as error:  # noqa: BLE001 - one case that goes wrong in any way is wrong, and the others are told too
        return Verdict(case, (), f"{type(error).__name__}: {error}")


def answers(case: Case, adapters: Mapping[str, Adapter] = ADAPTERS) -> Answers:
    """What the pipeline answers. Raises NotCoveredError, RefusedError, RejectedError or UnclearError."""
    question = question_of(case)
    adapter = adapters.get(case.model)
    if adapter is None:
        raise NotCoveredError(f"no translation for model {case.model}")
    documents = adapter(question)
    unread = question.unread()
    if unread:
        raise NotCoveredError(f"the translation of {case.model} does not read {', '.join(unread)}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            return documents.read(run(documents, Path(folder)))
        except DocumentError as error:
            raise RefusedError(str(error).replace(f"{folder}/", "")) from error
