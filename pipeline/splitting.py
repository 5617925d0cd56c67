"""Splitting: a record that crosses a border gives each side its share of the quantity, by time.

The shares always add up to the quantity: each border gets the whole quantity up to it, rounded down to the last
stored digit, and a share is the difference of two borders.
"""

from collections.abc import Sequence


def share_by_time(quantity: int, start: int, end: int, borders: Sequence[int]) -> list[int]:
    """The quantity of `[start, end)` cut at the rising `borders` inside it: one share more than there are borders.

    >>> share_by_time(100, 0, 60, [15, 30]), share_by_time(-1, 0, 3, [1, 2])
    ([25, 25, 50], [-1, 0, 0])
    """
    if not borders:
        return [quantity]
    length = end - start
    shares = []
    given = 0
    for border in borders:
        upto = quantity * (border - start) // length
        shares.append(upto - given)
        given = upto
    shares.append(quantity - given)
    return shares


def allot(rows: Sequence[int], columns: Sequence[int]) -> list[list[int]]:
    """A table of whole numbers with these row and column sums (both add up to the same), each cell pro rata.

    Rounding is controlled: cells come from the cumulated sums, rounded half up, so that every row and column adds up
    exactly. A cell is less than two units from its share, so one whose share is next to nothing can be −1. Used to give
    each time band its part of each tier.

    >>> allot([60, 40], [50, 50])
    [[30, 30], [20, 20]]
    >>> allot([1, 1, 1], [2, 1])
    [[1, 0], [0, 1], [1, 0]]
    """
    total = sum(rows)
    if total == 0:
        return [[0] * len(columns) for _ in rows]
    table = []
    above = [0] * len(columns)
    row_sum = 0
    for row in rows:
        row_sum += row
        column_sum = 0
        corner = []
        for column in columns:
            column_sum += column
            corner.append((2 * row_sum * column_sum + total) // (2 * total))
        table.append([corner[i] - above[i] - (corner[i - 1] - above[i - 1] if i else 0) for i in range(len(columns))])
        above = corner
    return table
