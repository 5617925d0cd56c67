"""Splitting: shares by time, and tables with given sums."""

from collections.abc import Sequence

import pytest

from pipeline.splitting import allot, share_by_time


@pytest.mark.parametrize(
    ("quantity", "start", "end", "borders", "shares"),
    [
        (100, 0, 60, [], [100]),
        (100, 0, 60, [30], [50, 50]),
        (100, 0, 3, [1, 2], [33, 33, 34]),  # what is left over goes on
        (2, 0, 3, [1, 2], [0, 1, 1]),
        (0, 0, 3, [1, 2], [0, 0, 0]),
        (-100, 0, 3, [1, 2], [-34, -33, -33]),
        (7, 1_000, 1_010, [1_001], [0, 7]),
        (10**24, 0, 3, [1], [333333333333333333333333, 666666666666666666666667]),
    ],
)
def test_shares_by_time(quantity: int, start: int, end: int, borders: Sequence[int], shares: Sequence[int]) -> None:
    assert share_by_time(quantity, start, end, borders) == shares


@pytest.mark.parametrize(
    ("rows", "columns", "table"),
    [
        ([], [], []),
        ([0, 0], [0], [[0], [0]]),
        ([5], [5], [[5]]),
        ([60, 40], [50, 50], [[30, 30], [20, 20]]),
        ([400, 100], [300, 150, 50], [[240, 120, 40], [60, 30, 10]]),
        ([1, 1], [1, 1], [[1, 0], [0, 1]]),  # half of one is up
        ([7, 0, 3], [10, 0], [[7, 0], [0, 0], [3, 0]]),
    ],
)
def test_a_table_with_these_sums(rows: Sequence[int], columns: Sequence[int], table: list[list[int]]) -> None:
    assert allot(rows, columns) == table
