"""Nodes: the values of a document with the lines on which they stand, so that a problem can name its place."""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from schemas.problem import Path, Problem

Scalar = str | int | bool | Decimal | date | None


@dataclass(frozen=True, slots=True)
class Node:
    """A value with the line on which it, or its key, stands; `size` counts the values in it, itself included."""

    line: int
    value: "Scalar | dict[str, Node] | list[Node]"
    size: int = 1

    def child(self, step: str | int) -> "Node | None":
        """What stands under a key or at a list position; None where there is nothing."""
        if isinstance(self.value, dict):
            return self.value.get(step) if isinstance(step, str) else None
        if isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            return self.value[step]
        return None

    def plain(self) -> object:
        """The same as dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file."""

    file: str
    root: Node

    def problem(self, path: Path, what: str, remedy: str, *, with_value: bool = True) -> Problem:
        """A problem at the path, or at the nearest thing above it that the file holds."""
        node: Node | None = self.root
        line = self.root.line
        for step in path:
            node = node.child(step) if node else None
            line = node.line if node else line
        value = shown(node) if node and with_value else ""
        return Problem(self.file, line, path_text(path), what, value, remedy)


def path_text(path: Path) -> str:
    """The path as people write it.

    >>> path_text(("meters", "gas", "tiers", 0, "up to"))
    'meters.gas.tiers[0]["up to"]'
    """
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[\w-]+", step):
            text += f".{step}" if text else step
        else:
            text += f'["{cut(step)}"]'
    return text


def shown(node: Node) -> str:
    """The value as a message shows it: short, on one line; "" for a mapping or a list."""
    value = node.value
    if isinstance(value, dict | list):
        return ""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f'"{cut(value)}"' if isinstance(value, str) else cut(str(value))


def cut(text: str) -> str:
    """The text as a message shows it: at most 60 characters, all of them printable."""
    longest = 60
    printable = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: longest + 1])
    return printable if len(text) <= longest else f"{printable[:longest]}..."
