"""Validation: a document becomes a noun, or problems that name file, line, path, value and remedy.

Every error that pydantic reports is told in the words of the document. After documents.py, before catalogue.py.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.node import Document, Node
from schemas.problem import FINDINGS, Finding, Path, Problem, nearest

M = TypeVar("M", bound=BaseModel)
JsonSchema = Mapping[str, Any]


def validate(model: type[M], document: Document) -> tuple[M | None, list[Problem]]:
    """The noun that the document describes, or None and everything that keeps it from being one."""
    try:
        return model.model_validate(document.root.plain()), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = [problem for detail in details for problem in _problems(model, document, detail)]
        return None, sorted(problems, key=lambda problem: problem.line)


def _problems(model: type[BaseModel], document: Document, detail: ErrorDetails) -> Iterator[Problem]:
    path = _path(document.root, detail)
    place = _Place(model, document.root, path, detail)
    if detail["type"] == "too_short" and place.holds_items():
        return  # pydantic counts only the items that are right; the others have been told
    for finding in _findings(place):
        # A missing key has no value, and a finding about several values names those that matter.
        with_value = detail["type"] != "missing"
        yield document.problem((*path, *finding.at), finding.what, finding.remedy, with_value=with_value)


def _path(root: Node, detail: ErrorDetails) -> Path:
    """Where the error is in the document: pydantic's location without the tags of unions."""
    path: list[str | int] = []
    node = root
    for step in detail["loc"]:
        child = node.child(step)
        if child is not None:
            path.append(step)
            node = child
    return (*path, detail["loc"][-1]) if detail["type"] == "missing" else tuple(path)


class _Place:
    """What stands at the place of an error, and what may stand there."""

    def __init__(self, model: type[BaseModel], root: Node, path: Path, detail: ErrorDetails) -> None:
        self.detail = detail
        self.key = str(path[-1]) if path else ""
        self.context: dict[str, Any] = detail.get("ctx", {})
        self._schema = _schema(model)
        self._root = root
        self._path = path

    def holds_items(self) -> bool:
        """Whether a list or mapping with something in it stands at the place."""
        node = self._node()
        return node is not None and bool(node.value)

    def written(self) -> str:
        """The scalar at the place, as it could be put in quotes; "" for anything else."""
        node = self._node()
        value = node.value if node else None
        if isinstance(value, bool):
            return str(value).lower()
        return "" if value is None or isinstance(value, dict | list) else str(value)

    def _node(self) -> Node | None:
        node: Node | None = self._root
        for step in self._path:
            node = node.child(step) if node else None
        return node

    def keys_around(self) -> list[str]:
        """The keys that the mapping around the place may have."""
        return list(self._at(self.detail["loc"][:-1]).get("properties", {}))

    def keys(self) -> list[str]:
        """The keys that a mapping at the place may have."""
        return list(self._at(self.detail["loc"]).get("properties", {}))

    def words(self) -> list[str]:
        """The words that a value at the place may be."""
        return [str(word) for word in self._at(self.detail["loc"]).get("enum", [])]

    def models(self) -> list[str]:
        """The price models that may stand at the place."""
        return list(self._at(self.detail["loc"]).get("discriminator", {}).get("mapping", {}))

    def advice(self) -> str:
        """How to write the missing key, and what it is for."""
        field = self._at(self.detail["loc"][:-1]).get("properties", {}).get(self.detail["loc"][-1], {})
        purpose = str(field.get("description", "")).replace("\n", " ").rstrip(".")
        if "examples" not in field:
            return f"add `{self.key}`: {purpose}"
        return f"add it, for example `{self.key}: {json.dumps(field['examples'][0])}`: {purpose}"

    def _at(self, location: Path) -> JsonSchema:
        here: JsonSchema = self._schema
        for step in location:
            here = self._enter(self._target(here), step)
        return self._target(here)

    def _target(self, here: JsonSchema) -> JsonSchema:
        """The schema behind a reference, or the one beside null."""
        if "$ref" in here:
            return self._target(self._schema["$defs"][here["$ref"].rpartition("/")[2]])
        if "anyOf" in here:
            return self._target(here["anyOf"][0])
        return here

    def _enter(self, here: JsonSchema, step: str | int) -> JsonSchema:
        models = here.get("discriminator", {}).get("mapping", {})
        if step in models:
            return {"$ref": models[step]}
        if isinstance(step, int):
            return dict(here.get("items", {}))
        further = here.get("additionalProperties")
        return dict(here.get("properties", {}).get(step) or (further if isinstance(further, dict) else {}))


@cache
def _schema(model: type[BaseModel]) -> JsonSchema:
    return model.model_json_schema(by_alias=True)


def _findings(place: _Place) -> list[Finding]:
    """What to tell about one error of pydantic."""
    kind = place.detail["type"]
    if kind == FINDINGS:
        return list(place.context[FINDINGS])
    if kind in _CONSTANT:
        return [_CONSTANT[kind]]
    if kind in _TOLD:
        return [_TOLD[kind](place)]
    return [Finding(place.detail["msg"].lower(), "correct it; `ratestream tariff schema` tells what may stand here")]


def _missing(place: _Place) -> Finding:
    return Finding("is missing", place.advice())


def _unknown_key(place: _Place) -> Finding:
    return Finding("unknown key", nearest(place.key, place.keys_around()))


def _not_text(place: _Place) -> Finding:
    written = place.written()
    return Finding("must be text", f'quote it: {place.key}: "{written}"' if written else "write text in quotes")


def _unknown_word(place: _Place) -> Finding:
    return Finding("not one of the known words", nearest(place.written(), place.words()))


def _unknown_model(place: _Place) -> Finding:
    return Finding("unknown price model", nearest(place.context["tag"], place.models()), ("model",))


def _no_model(place: _Place) -> Finding:
    if place.written():
        example = f'{{model: per_unit, unit_price: "{place.written()}"}}'
        return Finding("must be a mapping with a model", f"write for example {example}")
    return Finding("has no model", f"add `model`: {', '.join(place.models())}")


def _not_a_mapping(place: _Place) -> Finding:
    keys = place.keys()
    return Finding("must be a mapping", f"write its keys: {', '.join(keys)}" if keys else "write `key: value`")


def _too_long(place: _Place) -> Finding:
    return Finding(f"longer than {place.context['max_length']} characters", "shorten it")


_NOT_A_LIST = Finding("must be a list", "start each item with `- `, or write [one, two]")
_EMPTY = Finding("must not be empty", "write at least one, or remove the key")
_CONSTANT = {
    "tuple_type": _NOT_A_LIST,
    "list_type": _NOT_A_LIST,
    "string_too_short": _EMPTY,
    "too_short": _EMPTY,
}
_TOLD = {
    "missing": _missing,
    "extra_forbidden": _unknown_key,
    "string_type": _not_text,
    "literal_error": _unknown_word,
    "enum": _unknown_word,
    "union_tag_invalid": _unknown_model,
    "union_tag_not_found": _no_model,
    "model_type": _not_a_mapping,
    "model_attributes_type": _not_a_mapping,
    "mapping_type": _not_a_mapping,
    "dict_type": _not_a_mapping,
    "string_too_long": _too_long,
}
