"""Problems: what is wrong with a document, where, and what to do about it.

A load collects all of them and raises one DocumentError, so that nothing is read, rated or billed by half of a
document. A Finding is a problem inside one noun, before it is known in which file and line the noun stands.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import NamedTuple

from pydantic_core import PydanticCustomError

Path = tuple[str | int, ...]
"""Keys and list positions from the top of a document: `("meters", "gas", "price", "tiers", 0)`."""

FINDINGS = "findings"
"""The type of the pydantic error that carries findings, and the name under which its context holds them."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `line` counts from 1, 0 where there is none; `path` and `value` may be ""."""

    file: str
    line: int
    path: str
    what: str
    value: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        path = f" {self.path}:" if self.path else ""
        value = f" ({self.value})" if self.value else ""
        return f"{place}:{path} {self.what}{value} - {self.remedy}"


class DocumentError(Exception):
    """A tariff or account file that cannot be used. `problems` are all that were found; one line of text each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Finding(NamedTuple):
    """A problem of the noun being checked; `at` is relative to that noun."""

    what: str
    remedy: str
    at: Path = ()


def refusal(findings: Iterable[Finding]) -> PydanticCustomError:
    """The error that a validator raises to tell all of its findings at once."""
    found = tuple(findings)
    text = "; ".join(f"{finding.what} - {finding.remedy}" for finding in found)
    return PydanticCustomError(FINDINGS, "{text}", {"text": text, FINDINGS: found})


def nearest(word: str, known: Iterable[str]) -> str:
    """A remedy for a word that is not among the known ones: the likely ones, or all of a short list.

    >>> nearest("unit_prise", ["unit_price", "free_units"])
    'did you mean "unit_price"?'
    >>> nearest("x", ["unit_price", "free_units"])
    'use one of: free_units, unit_price'
    """
    words = tuple(sorted(known))
    close = [f'"{likely}"' for likely in _likely(word, words)]
    if close:
        return f"did you mean {' or '.join(close)}?"
    shown = 12
    return f"use one of: {', '.join(words[:shown])}{', ...' if len(words) > shown else ''}" if words else "remove it"


@lru_cache(maxsize=1024)  # one wrong zone may stand in every account of a long file
def _likely(word: str, words: tuple[str, ...]) -> list[str]:
    """At most three of the words that are about as near as the nearest; the same first letter tells more."""
    near, tie, most = 0.6, 0.01, 3
    lower = word.lower()
    scores = {
        other: SequenceMatcher(None, lower, other.lower()).ratio() + 0.05 * (lower[:1] == other[:1].lower())
        for other in words
    }
    best = max(scores.values(), default=0)
    return [other for other in words if scores[other] >= max(best - tie, near)][:most]
