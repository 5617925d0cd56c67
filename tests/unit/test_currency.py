"""The currency codes."""

import pytest

from schemas.currency import MINOR_DIGITS, minor_digits


@pytest.mark.parametrize(
    ("code", "digits"),
    [("USD", 2), ("EUR", 2), ("JPY", 0), ("KRW", 0), ("CLP", 0), ("ISK", 0), ("VND", 0), ("XOF", 0), ("BHD", 3),
     ("KWD", 3), ("TND", 3), ("CLF", 4), ("UYW", 4), ("UYI", 0), ("MRU", 2), ("XCG", 2), ("ZWG", 2)],
)  # fmt: skip
def test_minor_digits(code: str, digits: int) -> None:
    assert minor_digits(code) == digits


@pytest.mark.parametrize("code", ["XAU", "XXX", "XTS", "HRK", "BGN", "ANG", "ZWL", "usd", ""])
def test_what_nothing_is_billed_in_is_unknown(code: str) -> None:
    with pytest.raises(KeyError):
        minor_digits(code)


def test_the_list_is_whole_and_each_code_stands_once() -> None:
    assert len(MINOR_DIGITS) == 139 + 17 + 7 + 2
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in MINOR_DIGITS)
