"""HTTP to a schema registry: one question, its answer, and nothing that can last or grow without end.

Redirects are not followed and proxies not used: what answers is what the setting names. A password goes there and
nowhere else. What an answer means is decided in registry.py. The interface:
https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import re
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from agents import settings
from agents.errors import RegistryError, SettingError

MOST_BYTES = 256 * 1024
"""No answer is read further."""
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*|[0-9A-Fa-f:.]{2,45}")
_PATH = re.compile(r"[!-?A-~]*")
"""An @ would follow a password whose own / is not written as %2F."""
_ACCEPTED = "application/vnd.schemaregistry.v1+json, application/json"


class Answer(NamedTuple):
    """What came back; `body` has one byte more than MOST_BYTES where it was longer."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Address:
    """Where a schema registry is. Its text shows no secret."""

    secure: bool
    host: str
    port: int
    path: str
    authorization: str = field(default="", repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.secure else ''}://{host}:{self.port}{self.path}"


def address_in(environment: Mapping[str, str]) -> Address | None:
    """The registry that the environment names, None where it names none. Raises SettingError, which shows no secret.

    >>> print(address_in({"RATESTREAM_SCHEMA_REGISTRY": "https://me:secret@registry/v1/"}))
    https://registry:443/v1
    """
    url = environment.get(settings.SCHEMA_REGISTRY, "").strip()
    if not url:
        return None
    try:
        address = _address(_parts(url))
    except ValueError as error:
        what = f"{settings.SCHEMA_REGISTRY} names no schema registry ({error})"
        raise SettingError(f"{what}. Write https://user:password@host:port, special characters as %XX") from None
    may = environment.get(settings.ALLOW_SASL_WITHOUT_TLS, "") == "yes"
    if address.authorization and not address.secure and not may and not _is_here(address.host):
        what = f"{settings.SCHEMA_REGISTRY} would send a password over the network unencrypted"
        raise SettingError(f"{what}. Write https://, or set {settings.ALLOW_SASL_WITHOUT_TLS}=yes")
    return address


def _parts(url: str) -> SplitResult:
    """Raises ValueError, whose text holds nothing of the URL, as any part of it may be a piece of a password."""
    try:
        return urlsplit(url)
    except ValueError:  # its text may quote the URL
        raise ValueError("it is no URL") from None


def _address(parts: SplitResult) -> Address:
    """Raises ValueError as `_parts` does."""
    if parts.scheme not in {"http", "https"}:
        raise ValueError("it does not begin with http:// or https://")
    if parts.query or parts.fragment:
        raise ValueError("it has a ? or #")
    if not _HOST.fullmatch(parts.hostname or "") or not _PATH.fullmatch(parts.path):
        raise ValueError("its host or path is none")
    secure = parts.scheme == "https"
    return Address(secure, parts.hostname or "", _port(parts, secure), parts.path.rstrip("/"), _authorization(parts))


def _port(parts: SplitResult, secure: bool) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("its port is none")
    return port or (443 if secure else 80)


def _authorization(parts: SplitResult) -> str:
    if parts.username is None:
        return ""
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {b64encode(credentials.encode()).decode()}"


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Client:
    """Questions to one registry over one connection, kept open between them; for one thread. Close it in the end."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._connection = (
            HTTPSConnection(address.host, address.port, timeout=timeout_s, context=ssl.create_default_context())
            if address.secure
            else HTTPConnection(address.host, address.port, timeout=timeout_s)
        )
        self._headers = {"Accept": _ACCEPTED}
        if address.authorization:
            self._headers["Authorization"] = address.authorization

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def ask(self, path: str) -> Answer:
        """The answer to GET. Raises RegistryError where there is none within the timeout."""
        late = threading.Event()
        try:
            if self._connection.sock is None:
                self._connection.connect()
            timer = threading.Timer(self._timeout_s, _hang_up, (self._connection.sock, late))
            timer.daemon = True
            timer.start()
            try:
                answer = self._asked(path)
            finally:
                timer.cancel()
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise self._silence(str(error) or type(error).__name__, late) from error
        if late.is_set():
            self._connection.close()
            raise self._silence("its answer ends in the middle", late)
        return answer

    def _asked(self, path: str) -> Answer:
        self._connection.request("GET", self._address.path + path, headers=self._headers)
        response = self._connection.getresponse()
        body = response.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            self._connection.close()
        return Answer(response.status, response.headers.get_content_type(), body)

    def _silence(self, what: str, late: threading.Event) -> RegistryError:
        what = f"it took longer than {self._timeout_s:g} s" if late.is_set() else what
        remedy = f"Messages framed for it wait. See that it runs and that {settings.SCHEMA_REGISTRY} is its address"
        return RegistryError(f"the schema registry {self._address} does not answer: {what}. {remedy}")


def _hang_up(connected: socket.socket, late: threading.Event) -> None:
    """Ends a question that takes too long as a whole: the socket's own timeout only sees each byte of a trickle."""
    late.set()
    with suppress(OSError):
        # Not the TLS socket's own shutdown, which would take its state from under the thread that reads.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
