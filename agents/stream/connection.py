"""Connection: the brokers, the prefix of the topics and the security, in the words of each Kafka client.

After security.py, before brokers.py and topics.py.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.abc import AbstractTokenProvider as AsyncTokenProvider
from kafka.net.sasl.oauth import AbstractTokenProvider

from agents import settings
from agents.errors import SettingError
from agents.stream.security import Security, TokenFile, security

_BROKER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w-]{1,63}(?:\.[\w-]{1,63})*\.?):([0-9]{1,5})", re.ASCII)
_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,200}", re.ASCII)
_DEFAULT_PREFIX = "ratestream."


@dataclass(frozen=True)
class Connection:
    """How to reach the topics. Its text shows no secret."""

    brokers: tuple[str, ...]
    prefix: str
    security: Security

    def for_aiokafka(self) -> dict[str, Any]:
        """Keywords of AIOKafkaProducer and AIOKafkaConsumer."""
        return self._keywords(self.security.username, _AsyncToken)

    def for_kafka_python(self) -> dict[str, Any]:
        """Keywords of KafkaProducer, KafkaConsumer and KafkaAdminClient."""
        return self._keywords(self.security.scram_username, _Token)  # kafka-python leaves the escaping to its caller

    def for_faust(self, scheme: str = "kafka") -> dict[str, Any]:
        """Keywords of faust.App: the brokers' URLs, whose scheme chooses the transport, and the credentials or None."""
        self.security.keep_out_of_logs()
        return {
            "broker": [f"{scheme}://{broker}" for broker in self.brokers],
            "broker_credentials": _faust_credentials(self.security),
        }

    def _keywords(self, username: str, token: "type[_Token | _AsyncToken]") -> dict[str, Any]:
        self.security.keep_out_of_logs()
        chosen: dict[str, Any] = {
            "bootstrap_servers": list(self.brokers),
            "security_protocol": self.security.protocol.in_kafka,
        }
        if self.security.tls is not None:
            chosen["ssl_context"] = self.security.tls
        if self.security.protocol.has_sasl:
            chosen["sasl_mechanism"] = self.security.mechanism
        if self.security.token is not None:
            chosen["sasl_oauth_token_provider"] = token(self.security.token)
        elif self.security.protocol.has_sasl:
            chosen |= {"sasl_plain_username": username, "sasl_plain_password": self.security.password}
        return chosen


def connection(environment: Mapping[str, str]) -> Connection:
    """What the environment says. Raises SettingError, which says what to write and shows no secret.

    >>> connection({"RATESTREAM_BROKERS": "one:9092, two:9092"}).brokers
    ('one:9092', 'two:9092')
    """
    return Connection(_brokers(environment), _prefix(environment), security(environment))


def _brokers(environment: Mapping[str, str]) -> tuple[str, ...]:
    said = environment.get(settings.BROKERS, "")
    if not said.strip():
        raise SettingError(
            f"{settings.BROKERS} is not set. Write host:port of one or more brokers, with commas between."
        )
    brokers = tuple(part.strip() for part in said.split(","))
    for number, broker in enumerate(brokers, 1):
        if not _is_broker(broker):  # not repeated: it could be a URL with a password
            raise SettingError(
                f"{settings.BROKERS}: number {number} of {len(brokers)} is not host:port. "
                "Write host:port of one or more brokers, with commas between; credentials have settings of their own."
            )
    return brokers


def _is_broker(text: str) -> bool:
    match = _BROKER.fullmatch(text)
    return match is not None and 0 < int(match[2]) < 65_536


def _prefix(environment: Mapping[str, str]) -> str:
    prefix = environment.get(settings.TOPIC_PREFIX, "") or _DEFAULT_PREFIX
    if not _PREFIX.fullmatch(prefix):
        raise SettingError(
            f"{settings.TOPIC_PREFIX}: {prefix!r:.80} cannot begin the name of a topic. "
            "Write up to 200 ASCII letters, digits, dots, underscores and hyphens."
        )
    return prefix


class _Token(AbstractTokenProvider):  # type: ignore[misc] # the library has no types
    """The token for kafka-python, read anew at each authentication."""

    def __init__(self, file: TokenFile) -> None:
        super().__init__()
        self._file = file

    def token(self) -> str:
        return self._file.read().encode().decode()  # a plain text again: the library formats it into its request


class _AsyncToken(AsyncTokenProvider):  # type: ignore[misc] # the library has no types
    """The token for aiokafka, read anew at each authentication."""

    def __init__(self, file: TokenFile) -> None:
        super().__init__()
        self._token = _Token(file)

    async def token(self) -> str:
        return await asyncio.to_thread(self._token.token)


def _faust_credentials(security: Security) -> Any:  # noqa: ANN401 - one of three classes that share no type
    from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials

    if security.token is not None:
        return OAuthCredentials(oauth_cb=_AsyncToken(security.token), ssl_context=security.tls)
    if security.protocol.has_sasl:
        return SASLCredentials(
            username=security.username,
            password=security.password,
            mechanism=security.mechanism,
            ssl_context=security.tls,
        )
    return SSLCredentials(security.tls) if security.tls is not None else None
