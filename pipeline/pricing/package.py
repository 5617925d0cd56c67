"""Package prices: every begun package of `size` units beyond the free ones costs the package price."""

from dataclasses import dataclass

from schemas.charge import Part
from schemas.fixed_point import QUANTITY_ONE


@dataclass(frozen=True, slots=True)
class Package:
    """`size` and `free_units` are quantities; a part's quantity counts packages, its unit price is one package's."""

    size: int
    package_price: int
    free_units: int
    fineness: int = 1
    """What quantities are multiplied by; a part has to be, too."""

    def between(self, band: str, before: int, after: int) -> list[Part]:
        """What going from the total `before` to the total `after` adds to the price.

        >>> hundreds = Package(size=100 * QUANTITY_ONE, package_price=7, free_units=0)
        >>> [part.quantity // QUANTITY_ONE for part in hundreds.between("", 0, 100 * QUANTITY_ONE + 1)]
        [2]
        """
        parts = []
        free = self._free(after) - self._free(before)
        if free:
            parts.append(Part(band, 0, 0, free, 0))
        packages = (self._packages(after) - self._packages(before)) * QUANTITY_ONE * self.fineness
        if packages:
            parts.append(Part(band, 1, self.package_price, packages, packages * self.package_price))
        return parts

    def _free(self, total: int) -> int:
        return min(max(total, 0), self.free_units)

    def _packages(self, total: int) -> int:
        return -(min(self.free_units - total, 0) // self.size)
