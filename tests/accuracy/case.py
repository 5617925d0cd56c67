"""Cases: what a file of published bills says, and the care that nothing of it is passed over.

A case whose model is not known, or that says something which its translation has not read, is not covered: that is a
failure with its reason, never a case that is skipped.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.settings import TEST_CASES

CASES = TEST_CASES
"""Names another file of cases, or a directory of *.json files."""
OWN_CASES = Path(__file__).parent / "cases"

_TOLD = frozenset({"id", "domain", "model", "params", "input", "expected", "published", "source", "status", "note"})
_NEEDED = ("id", "model", "expected")


class NotCoveredError(Exception):
    """Something that a case says has no translation."""


class Given:
    """What a case gives by name. It remembers which names were read."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self.where = where
        self._values = values
        self._read: set[str] = set()
        self._nested: list[Given] = []

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def raw(self, key: str) -> Any:  # noqa: ANN401 - whatever the case says
        """The value; raises NotCoveredError where there is none."""
        if key not in self._values:
            raise NotCoveredError(f"{self.where} has no {key}")
        self._read.add(key)
        return self._values[key]

    def text(self, key: str) -> str:
        """A number or text."""
        return text(self.raw(key), f"{self.where}.{key}")

    def maybe(self, key: str) -> str | None:
        """A number or text that may be missing or null."""
        if self._values.get(key) is not None:
            return self.text(key)
        self._read.add(key)
        return None

    def flag(self, key: str) -> bool | None:
        """True or false, or None where it is missing."""
        value = self.raw(key) if key in self else None
        if value is not None and not isinstance(value, bool):
            raise NotCoveredError(f"{self.where}.{key} is neither true nor false")
        return value

    def rows(self, key: str) -> "list[Given]":
        """A list of things with names."""
        return [self._keep(f"{key}[{index}]", row) for index, row in enumerate(listed(self.raw(key), key))]

    def within(self, key: str) -> "Given":
        """Things with names in one with a name."""
        return self._keep(key, self.raw(key))

    def describes(self, *keys: str) -> None:
        """These names only describe what others say, or the answer."""
        self._read.update(keys)

    def unread(self) -> list[str]:
        """What nobody has asked for."""
        own = [f"{self.where}.{key}" for key in self._values if key not in self._read and key != "note"]
        return own + [name for nested in self._nested for name in nested.unread()]

    def _keep(self, key: str, values: object) -> "Given":
        if not isinstance(values, dict):
            raise NotCoveredError(f"{self.where}.{key} should have names in it")
        nested = Given(f"{self.where}.{key}", values)
        self._nested.append(nested)
        return nested


def text(value: object, where: str = "a value") -> str:
    """A number or text as it was written. Raises NotCoveredError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise NotCoveredError(f"{where} should be a number or text, not {json.dumps(value)}")
    return str(value)


def listed(value: object, where: str = "a value") -> list[Any]:
    """A list. Raises NotCoveredError for anything else."""
    if not isinstance(value, list):
        raise NotCoveredError(f"{where} should be a list, not {json.dumps(value)}")
    return value


@dataclass(frozen=True)
class Case:
    """One published bill. `said` is all of it, as the file has it."""

    id: str
    model: str
    said: Mapping[str, Any]

    @classmethod
    def of(cls, said: object) -> "Case":
        """A case of a file; ValueError where it is none."""
        if not isinstance(said, dict) or any(key not in said for key in _NEEDED):
            raise ValueError(f"a case has {', '.join(_NEEDED)}: {json.dumps(said)[:120]}")
        return cls(str(said["id"]), str(said["model"]), said)

    @property
    def expected(self) -> Any:  # noqa: ANN401 - a value, or values by name or in a list
        """What the source says, or would say if it were right."""
        return self.said["expected"]

    @property
    def source(self) -> str:
        """Where it was published, in short: a repository or a host."""
        told = str(self.said.get("source", ""))
        if "://" in told:
            host, _, path = told.split("://", 1)[1].partition("/")
            return "/".join(path.split("/")[:2]) if host == "github.com" else host.removeprefix("www.")
        words = told.replace("@", " ").replace(":", " ").split()
        return words[0] if words else "unknown"


@dataclass
class Question:
    """A case as its translation sees it: without the answers, whose names alone it is told."""

    id: str
    model: str
    source: str
    note: str
    params: Given
    input: Given
    listed: list[Any]
    """The input where it is a list and not named values."""
    asked: Any
    """The form of what is expected: names and lengths, and None for each value."""
    _rows: list[Given] = field(default_factory=list)

    def rows(self) -> list[Given]:
        """The rows of a listed input, where each has names."""
        if not self._rows:
            for index, row in enumerate(self.listed):
                if not isinstance(row, dict):
                    raise NotCoveredError(f"input[{index}] should have names in it")
                self._rows.append(Given(f"input[{index}]", row))
        return self._rows

    def names(self) -> list[str]:
        """The names of what is asked, where it has names."""
        if not isinstance(self.asked, dict):
            raise NotCoveredError("expected should have names in it")
        return list(self.asked)

    def choose(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the answers that are asked for; one that is no value yet is worked out now.

        Raises NotCoveredError where something else is asked for.
        """
        unknown = [name for name in self.names() if name not in answers]
        if unknown:
            raise NotCoveredError(f"the translation of {self.model} has no answer for {', '.join(unknown)}")
        found = {name: answers[name] for name in self.names()}
        return {name: answer() if callable(answer) else answer for name, answer in found.items()}

    def unread(self) -> list[str]:
        """What the translation has passed over."""
        return [name for given in (self.params, self.input, *self._rows) for name in given.unread()]


def question_of(case: Case) -> Question:
    """The case without its answers. Raises NotCoveredError where it says what no case can say."""
    unknown = [key for key in case.said if key not in _TOLD]
    if unknown:
        raise NotCoveredError(f"a case has no {', '.join(unknown)}")
    params, given = case.said.get("params", {}), case.said.get("input", {})
    if not isinstance(params, dict) or not isinstance(given, dict | list):
        raise NotCoveredError("params should have names, input names or a list")
    return Question(
        id=case.id,
        model=case.model,
        source=case.source,
        note=str(case.said.get("note", "")),
        params=Given("params", params),
        input=Given("input", given if isinstance(given, dict) else {}),
        listed=given if isinstance(given, list) else [],
        asked=_form(case.expected),
    )


def _form(expected: object) -> Any:  # noqa: ANN401 - as `expected` is
    if isinstance(expected, dict):
        return {key: _form(value) for key, value in expected.items()}
    if isinstance(expected, list):
        return [_form(value) for value in expected]
    return None


def load_cases() -> list[Case]:
    """All cases of RATESTREAM_CASES, or the project's own. Raises OSError or ValueError."""
    place = Path(os.environ.get(CASES) or OWN_CASES)
    files = sorted(place.glob("*.json")) if place.is_dir() else [place]
    found = [Case.of(said) for file in files for said in _read(file)]
    if not found:
        raise ValueError(f"no cases in {place}")
    return found


def _read(file: Path) -> list[Any]:
    said = json.loads(file.read_text(encoding="utf-8"), parse_float=str)
    if isinstance(said, dict) and "cases" in said:
        said = said["cases"]
    if not isinstance(said, list):
        raise ValueError(f"{file} should hold a list of cases")  # noqa: TRY004 - the content is wrong, not a type
    return said
