"""Errors of the broker for tests and development.

BrokerError               a broker was asked for something that it cannot do, or failed
└── NoBrokerError         none can be had here; the text says what to install
"""


class BrokerError(Exception):
    """The broker failed, or cannot do what it was asked for; the text says what it told."""


class NoBrokerError(BrokerError):
    """No broker can be had in this way; the text says why, and what to do."""
