"""Stopping: SIGINT and SIGTERM are requests, so that a command ends with nothing half done."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def noting_signals(note: Callable[[int], None]) -> Iterator[None]:
    """SIGINT and SIGTERM call `note` with their number; the second one of a kind does what it did before."""
    earlier = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def noted(number: int, _frame: object) -> None:
        note(number)
        signal.signal(number, earlier[signal.Signals(number)])

    for number in earlier:
        signal.signal(number, noted)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
