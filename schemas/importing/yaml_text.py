"""YAML text: a document as people write it, which documents.py reads back to the same values.

Whatever is short stands on one line; names stand plain; text that looks like a number, a date or a time is quoted.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import yaml

_WIDTH = 100
"""A list or mapping that would be longer on one line gets a line for each of its items."""
_NAME = re.compile(r"[A-Za-z][\w /.()+%-]*")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
"""Words that some reader of YAML takes for something else."""


def yaml_text(documents: Sequence[Mapping[str, Any]]) -> str:
    """The documents as YAML, one after another.

    >>> fees = [{"name": "Fixed charge", "amount": "5.71"}]
    >>> print(yaml_text([{"tariff": "t", "version": "1", "fees": fees}]), end="")
    tariff: t
    version: "1"
    fees:
      - {name: Fixed charge, amount: "5.71"}
    """
    return "---\n".join(
        yaml.serialize(_block(document), Dumper=_Writer, allow_unicode=True, width=2 * _WIDTH) for document in documents
    )


class _Writer(yaml.SafeDumper):
    """Items of a list are indented below its key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - lists are never indentless
        super().increase_indent(flow, indentless=False)


def _block(value: Any) -> yaml.Node:  # noqa: ANN401 - any value of a document
    """The node of a value: a line for each of its items."""
    if isinstance(value, Mapping):
        pairs = [(_scalar(key), _node(item)) for key, item in value.items()]
        return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)
    return yaml.SequenceNode("tag:yaml.org,2002:seq", [_node(item) for item in value], flow_style=False)


def _node(value: Any) -> yaml.Node:  # noqa: ANN401
    """The node of a value, on one line where that is short and not nested."""
    if not isinstance(value, Mapping | list | tuple):
        return _scalar(value)
    if not _is_flat(value):
        return _block(value)
    if isinstance(value, Mapping):
        pairs = [(_scalar(key), _line(item)) for key, item in value.items()]
        return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=True)
    return yaml.SequenceNode("tag:yaml.org,2002:seq", [_line(item) for item in value], flow_style=True)


def _line(value: Any) -> yaml.Node:  # noqa: ANN401
    if isinstance(value, list | tuple):
        return yaml.SequenceNode("tag:yaml.org,2002:seq", [_scalar(item) for item in value], flow_style=True)
    return _scalar(value)


def _is_flat(value: Mapping[str, Any] | Sequence[Any]) -> bool:
    """Whether it is short and holds scalars, or lists of scalars in a mapping."""
    items = list(value.values()) if isinstance(value, Mapping) else list(value)
    if isinstance(value, Mapping):
        items = [part for item in items for part in (item if isinstance(item, list | tuple) else [item])]
    return len(str(value)) <= _WIDTH and not any(isinstance(item, Mapping | list | tuple) for item in items)


def _scalar(value: object) -> yaml.ScalarNode:
    if isinstance(value, bool):
        return yaml.ScalarNode("tag:yaml.org,2002:bool", str(value).lower())
    if isinstance(value, int):
        return yaml.ScalarNode("tag:yaml.org,2002:int", str(value))
    if isinstance(value, date):
        return yaml.ScalarNode("tag:yaml.org,2002:timestamp", value.isoformat())
    text = str(value)
    tag = "tag:yaml.org,2002:str"
    return yaml.ScalarNode(tag, text, style=None if _NAME.fullmatch(text) and text.lower() not in _WORDS else '"')
