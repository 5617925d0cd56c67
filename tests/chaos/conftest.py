"""The broker and the prefixes of tests/stream."""

from tests.stream.conftest import broker, prefix

__all__ = ["broker", "prefix"]
