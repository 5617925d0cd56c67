"""Imported tariffs in tests: the fixtures, and documents checked as the command checks them."""

from pathlib import Path

from schemas.importing.reading import Imported
from schemas.tariff import Tariff

FIXTURES = Path(__file__).parent / "fixtures" / "import"


def checked(found: Imported) -> Tariff:
    """The tariff that the imported document describes."""
    assert found.document is not None, found.findings
    return Tariff.model_validate(found.document)
