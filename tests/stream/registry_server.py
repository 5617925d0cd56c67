"""A schema registry on loopback, as good or bad as a test wants it."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

Reply = Callable[["Answering"], None]

JSON = "application/vnd.schemaregistry.v1+json"
UNKNOWN = {"error_code": 40403, "message": "Schema not found"}


class Answering(BaseHTTPRequestHandler):
    """Answers one connection's questions in the words of its RegistryServer."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True
    server: "_Server"

    def handle(self) -> None:
        with suppress(ConnectionError):  # whoever asked has gone
            super().handle()

    def do_GET(self) -> None:
        registry = self.server.registry
        registry.asked.append(self.path)
        registry.authorizations.append(self.headers.get("Authorization"))
        registry.replies.get(self.path, unknown)(self)

    def answer(self, status: int, body: bytes, kind: str = JSON, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
        """Nothing to tell."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    registry: "RegistryServer"


class RegistryServer:
    """`replies` by path, `asked` in order; stopped when the `with` ends, and never in the middle of a reply.

    It begins to answer with the `with`, or with `start`, at a port that it holds from the first `start` on.
    """

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.asked: list[str] = []
        self.authorizations: list[str | None] = []
        self.stopping = threading.Event()
        self.port = 0
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.stopping.clear()
        server = _Server(("127.0.0.1", self.port), Answering)
        server.registry = self
        self.port = server.server_port
        self._server = server
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def stop(self) -> None:
        """Hangs up and answers no more, until it is started again at the same port."""
        self.stopping.set()
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()  # waits for its threads

    def holds(self, schema_id: int, schema: object, **members: object) -> None:
        """From now on the id is registered."""
        self.says(schema_id, {"schema": json.dumps(schema), **members})

    def says(self, schema_id: int, value: object, status: int = 200) -> None:
        """Whatever it is, as JSON."""
        body = json.dumps(value).encode()
        self.replies[f"/schemas/ids/{schema_id}"] = lambda to: to.answer(status, body)

    def does(self, schema_id: int, reply: Reply) -> None:
        self.replies[f"/schemas/ids/{schema_id}"] = reply


def unknown(to: Answering) -> None:
    to.answer(404, json.dumps(UNKNOWN).encode())
