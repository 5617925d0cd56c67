"""A translation for each model: from a case without its answers to documents, and to where the answers stand."""

from collections.abc import Callable, Mapping

from tests.accuracy.adapters.arriving import ARRIVING
from tests.accuracy.adapters.bills import BILLS
from tests.accuracy.adapters.measures import MEASURES
from tests.accuracy.adapters.periods import PERIODS
from tests.accuracy.adapters.prices import PRICES
from tests.accuracy.adapters.sessions import SESSIONS
from tests.accuracy.adapters.settlements import SETTLEMENTS
from tests.accuracy.case import Question
from tests.accuracy.documents import Documents

ADAPTERS: Mapping[str, Callable[[Question], Documents]] = {
    **PRICES,
    **BILLS,
    **SESSIONS,
    **MEASURES,
    **ARRIVING,
    **PERIODS,
    **SETTLEMENTS,
}
"""The translation of each model by its name."""
