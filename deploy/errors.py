"""Errors of the servers for tests and development.

BrokerError               a broker was asked for something that it cannot do, or failed
└── NoBrokerError         none can be had here; the text says what to install
ServerError               the same of a ClickHouse server
└── NoServerError
"""


class BrokerError(Exception):
    """The broker failed, or cannot do what it was asked for; the text says what it told."""


class NoBrokerError(BrokerError):
    """No broker can be had in this way; the text says why, and what to do."""


class ServerError(Exception):
    """The ClickHouse server failed, or cannot do what it was asked for; the text says what it told."""


class NoServerError(ServerError):
    """No ClickHouse server can be had in this way; the text says why, and what to do."""
