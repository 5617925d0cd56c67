"""Brokers: whether they answer and take the credentials, and what is the matter if not.

Clients of Kafka retry what will never work, and log why instead of raising it. So each broker is asked once here,
before a client is made; its answer becomes one error with what to do. After connection.py, before topics.py.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aiokafka import errors
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.metadata import MetadataRequest

from agents import settings
from agents.errors import BrokerError, SettingError
from agents.stream.connection import Connection

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

ANSWER_WITHIN_S = 10
_CLOSED_WITHIN_S = 0.2
_CLIENT_ID = "ratestream"


def reach(connection: Connection, within_s: float = ANSWER_WITHIN_S) -> None:
    """Asks all brokers at once. Raises BrokerError where none of them answers and takes the credentials.

    It runs an event loop of its own, so it is called before another one runs, or in a thread.
    """
    answers = asyncio.run(_ask_all(connection, within_s))
    if None in answers:
        return
    lost_setting = next((answer for answer in answers if isinstance(answer, SettingError)), None)
    if lost_setting is not None:
        raise lost_setting
    told = "\n".join(
        f"{broker}: {_reason(answer, connection)}"
        for broker, answer in zip(connection.brokers, answers, strict=True)
        if answer is not None
    )
    raise BrokerError(told)


@contextmanager
def administration(connection: Connection) -> Iterator["KafkaAdminClient"]:
    """A client that is closed at the end, and whose errors become BrokerError."""
    from kafka import KafkaAdminClient
    from kafka.errors import ClusterAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

    reach(connection)
    try:
        client = KafkaAdminClient(
            **connection.for_kafka_python(), client_id=_CLIENT_ID, bootstrap_timeout_ms=ANSWER_WITHIN_S * 1000
        )
        try:
            yield client
        finally:
            client.close()
    except (ClusterAuthorizationFailedError, TopicAuthorizationFailedError) as error:
        raise BrokerError(
            f"{_named(connection)}: {_user(connection)} may not do this ({type(error).__name__}). "
            "Allow it Create, Describe and DescribeConfigs on the topics, and Describe on the cluster."
        ) from error
    except KafkaError as error:
        raise BrokerError(
            f"{_named(connection)}: {error}. Check the brokers' health and that the addresses they advertise "
            "can be reached from here, then try again."
        ) from error


async def _ask_all(connection: Connection, within_s: float) -> list[Exception | None]:
    return list(await asyncio.gather(*(_ask(connection, broker, within_s) for broker in connection.brokers)))


async def _ask(connection: Connection, broker: str, within_s: float) -> Exception | None:
    """None if the broker answers and takes the credentials, otherwise why not."""
    host, _, port = broker.rpartition(":")
    keywords = connection.for_aiokafka()
    del keywords["bootstrap_servers"]
    asked = AIOKafkaConnection(
        host.strip("[]"), int(port), client_id=_CLIENT_ID, request_timeout_ms=within_s * 1000, **keywords
    )
    try:
        await asked.connect()
        answer = await asked.send(MetadataRequest([]))
        if connection.security.token is not None and not answer.brokers:
            raise errors.SaslAuthenticationFailed  # the client takes a refused token for taken
    except (OSError, SettingError, errors.KafkaError) as error:
        refused: Exception = error
        return refused
    finally:
        closed = asked.close()
        await asyncio.wait([closed], timeout=_CLOSED_WITHIN_S)
    return None


def _reason(error: BaseException, connection: Connection) -> str:
    match error:
        case errors.KafkaError():
            reason = _refusal(error, connection)
        case ssl.SSLCertVerificationError():
            reason = (
                f"its certificate is not trusted: {error.verify_message.rstrip('.')}. {settings.TLS_CA} names the "
                f"authority that signed it, {settings.BROKERS} the host that stands in it."
            )
        case ssl.SSLError():
            named = (error.reason or "no TLS").lower().replace("_", " ")
            reason = f"no TLS connection: {named}. {_tls_to_check(connection)}"
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            reason = f"it closed the connection. {_tls_to_check(connection)}"
        case socket.gaierror():
            reason = f"there is no such host. Correct {settings.BROKERS}, or the name service."
        case TimeoutError():
            reason = f"no answer in time. Check address, firewall and broker. {_tls_to_check(connection)}"
        case OSError(errno=int(number)):
            reason = f"{os.strerror(number)}. Start the broker, or correct {settings.BROKERS}."
        case _:
            reason = f"{error}. Start the broker, or correct {settings.BROKERS}."
    return reason


def _refusal(error: errors.KafkaError, connection: Connection) -> str:
    """Why a broker that took the connection did not go on. What it says itself is not repeated: it may echo secrets."""
    mechanism = connection.security.mechanism
    match error:
        case errors.UnsupportedSaslMechanismError():
            return f"it does not know {mechanism}. Write one that it has as {settings.SASL_MECHANISM}."
        case errors.IllegalSaslStateError():
            return f"it has no login at this port. Name another port in {settings.BROKERS}, or unset SASL's settings."
        case errors.SaslAuthenticationFailed():
            return f"it refuses {_user(connection)} by {mechanism}. {_credentials_to_check(connection)}"
        case errors.KafkaConnectionError(__cause__=OSError() as cause):
            return _reason(cause, connection)
        case errors.KafkaConnectionError():
            return f"it closed the connection. {_tls_to_check(connection)}"
        case _:
            return f"it does not go on ({type(error).__name__}). Look into its log."


def _credentials_to_check(connection: Connection) -> str:
    if connection.security.token is not None:
        return f"Check that the token in {settings.SASL_TOKEN_FILE} is its own, and has not expired."
    return f"Check {settings.SASL_USERNAME} and the password, and that the broker knows this user by this mechanism."


def _tls_to_check(connection: Connection) -> str:
    if not connection.security.protocol.has_tls:
        return f"If it wants TLS or a login, write {settings.SECURITY}=ssl or sasl-ssl."
    return (
        f"If it wants a certificate of this process, write {settings.TLS_CERT} and {settings.TLS_KEY}; "
        f"if it has no TLS at this port, name another one in {settings.BROKERS}."
    )


def _user(connection: Connection) -> str:
    username = connection.security.username
    return f"user {username!r}" if username else "this process"


def _named(connection: Connection) -> str:
    return ", ".join(connection.brokers)
