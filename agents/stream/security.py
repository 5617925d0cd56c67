"""Security: how a process proves who it is to the brokers, and how it knows them; from the environment.

Secrets go to the brokers and nowhere else: no text, error or log shows them, and values of settings that may hold one
by mistake (a key pasted in place of its path) are not repeated. Before connection.py.
"""

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from agents import settings
from agents.errors import SettingError

_SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_BY_PASSWORD = ("PLAIN", *_SCRAM)
_BY_TOKEN = "OAUTHBEARER"  # noqa: S105 - the name of a mechanism

_SASL_SETTINGS = (
    settings.SASL_MECHANISM,
    settings.SASL_USERNAME,
    settings.SASL_PASSWORD,
    settings.SASL_PASSWORD_FILE,
    settings.SASL_TOKEN_FILE,
)
_TLS_SETTINGS = (settings.TLS_CA, settings.TLS_CERT, settings.TLS_KEY, settings.TLS_KEY_PASSWORD)

_WIRE_LOGS = ("aiokafka.conn", "kafka.net.connection", "kafka.protocol.parser")
"""Loggers that write requests, those with credentials included, where they are set to DEBUG."""


class Secret(str):
    """A text that shows as `***` wherever it is printed.

    >>> secret = Secret("hunter2")
    >>> [secret], str(secret), f"{secret:>5}", "%s %r" % (secret, secret)
    (['***'], '***', '***', "*** '***'")
    >>> secret.encode()
    b'hunter2'
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"


@dataclass(frozen=True)
class TokenFile:
    """A file whose text is a bearer token; whoever renews the token writes it there."""

    path: Path

    def read(self) -> Secret:
        """The token as it is now. Raises SettingError."""
        return _text_of(settings.SASL_TOKEN_FILE, self.path, "a file that holds the bearer token")


class Protocol(StrEnum):
    """Whether the connection is encrypted, and whether the process logs in."""

    PLAINTEXT = "plaintext"
    SSL = "ssl"
    SASL_PLAINTEXT = "sasl-plaintext"
    SASL_SSL = "sasl-ssl"

    @property
    def has_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self in {Protocol.SSL, Protocol.SASL_SSL}

    @property
    def has_sasl(self) -> bool:
        """Whether the process logs in."""
        return self in {Protocol.SASL_PLAINTEXT, Protocol.SASL_SSL}

    @property
    def in_kafka(self) -> str:
        """The name that Kafka's clients know it by.

        >>> Protocol.SASL_SSL.in_kafka
        'SASL_SSL'
        """
        return self.value.upper().replace("-", "_")


@dataclass(frozen=True)
class Security:
    """What a client needs besides the brokers' addresses. Its text shows no secret."""

    protocol: Protocol = Protocol.PLAINTEXT
    mechanism: str = ""
    username: str = ""
    password: Secret | None = None
    token: TokenFile | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)

    @property
    def scram_username(self) -> str:
        """The name as RFC 5802 (5.1) sends it in SCRAM; other mechanisms send it as it is."""
        if self.mechanism in _SCRAM:
            return self.username.replace("=", "=3D").replace(",", "=2C")
        return self.username

    def keep_out_of_logs(self) -> None:
        """From now on the clients' loggers write no requests: a DEBUG setting would show credentials."""
        if self.protocol.has_sasl:
            for name in _WIRE_LOGS:
                logging.getLogger(name).addFilter(_is_no_request)


def security(environment: Mapping[str, str]) -> Security:
    """What the environment says. Raises SettingError, which says what to write and shows no secret."""
    protocol = _protocol(environment)
    _refuse_idle(environment, protocol)
    tls = _tls(environment) if protocol.has_tls else None
    if not protocol.has_sasl:
        return Security(protocol, tls=tls)
    mechanism = environment.get(settings.SASL_MECHANISM, "")
    if mechanism in _BY_PASSWORD:
        _refuse(environment, mechanism, settings.SASL_TOKEN_FILE)
        return Security(protocol, mechanism, _username(environment), _password(environment), tls=tls)
    if mechanism == _BY_TOKEN:
        _refuse(environment, mechanism, settings.SASL_USERNAME, settings.SASL_PASSWORD, settings.SASL_PASSWORD_FILE)
        return Security(protocol, mechanism, token=_token(environment), tls=tls)
    raise SettingError(f"{settings.SASL_MECHANISM}: write one of {', '.join((*_BY_PASSWORD, _BY_TOKEN))}.")


def _is_no_request(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _protocol(environment: Mapping[str, str]) -> Protocol:
    said = environment.get(settings.SECURITY, "") or Protocol.PLAINTEXT
    if said not in set(Protocol):
        raise SettingError(f"{settings.SECURITY}: write one of {', '.join(Protocol)}.")
    protocol = Protocol(said)
    allowed = environment.get(settings.ALLOW_SASL_WITHOUT_TLS, "")
    if allowed not in {"", "yes"}:
        raise SettingError(f"{settings.ALLOW_SASL_WITHOUT_TLS}: write yes, or unset it.")
    if protocol is Protocol.SASL_PLAINTEXT and not allowed:
        raise SettingError(
            f"{settings.SECURITY}=sasl-plaintext would send credentials, and all usage, unencrypted. Write sasl-ssl; "
            f"or, where the network is trusted, also {settings.ALLOW_SASL_WITHOUT_TLS}=yes."
        )
    return protocol


def _refuse_idle(environment: Mapping[str, str], protocol: Protocol) -> None:
    """Settings that this protocol would not obey, so that nobody believes himself safe by them."""
    ways = f"{settings.SECURITY}={protocol}"
    if not protocol.has_sasl:
        _refuse(environment, ways, *_SASL_SETTINGS, instead=f"Write {settings.SECURITY}=sasl-ssl")
    if not protocol.has_tls:
        encrypted = Protocol.SASL_SSL if protocol.has_sasl else Protocol.SSL
        _refuse(environment, ways, *_TLS_SETTINGS, instead=f"Write {settings.SECURITY}={encrypted}")


def _refuse(environment: Mapping[str, str], chosen: str, *names: str, instead: str = "Choose another") -> None:
    idle = [name for name in names if environment.get(name)]
    if idle:
        raise SettingError(f"{', '.join(idle)}: nothing would obey it with {chosen}. {instead}, or unset it.")


def _username(environment: Mapping[str, str]) -> str:
    if username := environment.get(settings.SASL_USERNAME):
        return _encodable(settings.SASL_USERNAME, username)
    raise SettingError(f"{settings.SASL_USERNAME} is not set. Write the name that the brokers know this process by.")


def _password(environment: Mapping[str, str]) -> Secret:
    password, path = (environment.get(name, "") for name in (settings.SASL_PASSWORD, settings.SASL_PASSWORD_FILE))
    if bool(password) == bool(path):
        both = "are both set" if password else "are not set"
        raise SettingError(
            f"{settings.SASL_PASSWORD} and {settings.SASL_PASSWORD_FILE} {both}. "
            "Write one of them: the password, or the path of a file that holds it."
        )
    if password:
        return Secret(_encodable(settings.SASL_PASSWORD, password))
    return _text_of(settings.SASL_PASSWORD_FILE, Path(path), "the path of a file that holds the password")


def _encodable(name: str, text: str) -> str:
    """The text, which the clients send as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingError(f"{name}: it is not UTF-8. Write it so.") from None
    return text


def _token(environment: Mapping[str, str]) -> TokenFile:
    path = environment.get(settings.SASL_TOKEN_FILE)
    if not path:
        raise SettingError(f"{settings.SASL_TOKEN_FILE} is not set. Write the path of a file that holds the token.")
    token = TokenFile(Path(path))
    token.read()
    return token


def _text_of(name: str, path: Path, what: str) -> Secret:
    """The text of the file without the spaces around it. The path is not told: it could be the secret itself."""
    try:
        text = path.read_text("utf-8").strip()
    except OSError as error:
        raise SettingError(f"{name}: {error.strerror}. Write {what}, readable by this process.") from None
    except UnicodeDecodeError:
        raise SettingError(f"{name}: the file is no text. Write {what}.") from None
    if not text:
        raise SettingError(f"{name}: the file is empty. Write {what}.")
    return Secret(text)


def _tls(environment: Mapping[str, str]) -> ssl.SSLContext:
    """A context that knows the brokers by the given authority, or by the system's; TLS 1.2 or later."""
    authority, certificate, key = (environment.get(name, "") for name in _TLS_SETTINGS[:3])
    for name in _TLS_SETTINGS[:3]:
        _check_readable(environment, name)
    try:
        context = ssl.create_default_context(cafile=authority or None)
    except ssl.SSLError as error:
        raise _bad_pem(settings.TLS_CA, error, "the certificate of the authority that signed the brokers'") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not certificate:
        _refuse(
            environment,
            f"no {settings.TLS_CERT}",
            *_TLS_SETTINGS[2:],
            instead=f"Write {settings.TLS_CERT}, the certificate of this process, too",
        )
        return context
    password = environment.get(settings.TLS_KEY_PASSWORD, "")
    try:
        # A password, even if empty, keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(certificate, key or None, password)
    except ssl.SSLError as error:
        names = f"{settings.TLS_CERT}, {settings.TLS_KEY}, {settings.TLS_KEY_PASSWORD}"
        raise _bad_pem(names, error, "a certificate, its own key, and the key's password if it has one") from None
    return context


def _check_readable(environment: Mapping[str, str], name: str) -> None:
    if path := environment.get(name):
        try:
            Path(path).open("rb").close()
        except OSError as error:
            raise SettingError(f"{name}: {error.strerror}. Write the path of a PEM file.") from None


def _bad_pem(names: str, error: ssl.SSLError, what: str) -> SettingError:
    reason = (error.reason or "not usable").lower().replace("_", " ")
    return SettingError(f"{names}: {reason}. Write the paths of PEM files: {what}.")
