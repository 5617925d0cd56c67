"""Differences of prices that are known as lists of parts."""

from collections.abc import Iterable
from itertools import chain

from schemas.charge import Part


def difference(before: Iterable[Part], after: Iterable[Part]) -> list[Part]:
    """The parts that lead from one price to another; what is in both is in neither.

    >>> one, two = Part("", 1, 10, 5, 50), Part("", 1, 10, 7, 70)
    >>> [(part.quantity, part.amount) for part in difference([one], [two])]
    [(2, 20)]
    """
    sums: dict[tuple[str, int, int, str, str, bool], list[int]] = {}
    for sign, part in chain(((-1, part) for part in before), ((1, part) for part in after)):
        key = (part.band, part.tier, part.unit_price, part.name, part.tax_percent, part.quantity == 0)
        found = sums.setdefault(key, [0, 0, 0])
        found[0] += sign * part.quantity
        found[1] += sign * part.amount
        found[2] += sign * part.tax
    return [
        Part(band, tier, unit_price, quantity, amount, name, tax_percent, tax)
        for (band, tier, unit_price, name, tax_percent, _), (quantity, amount, tax) in sums.items()
        if quantity or amount or tax
    ]


def merged(parts: Iterable[Part]) -> list[Part]:
    """The parts with those of one kind added up."""
    return difference((), parts)
