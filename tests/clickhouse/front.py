"""The front: a process of its own that answers HTTP on the loopback address from the embedded engine.

    python -m tests.clickhouse.front DIRECTORY PORT [CONFIGURATION]

RATESTREAM_FRONT_LOGIN is `user:password` of its only user. It says `ready` once it serves, and reads orders of faults
from standard input, one JSON array a line. It ends with standard input, whose other end its owner holds, and removes
DIRECTORY then.
"""

import gzip
import json
import os
import shutil
import socket
import struct
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.clickhouse.engine import Engine, EngineError, Statement
from tests.clickhouse.faults import Fault, Faults, Order
from tests.clickhouse.request import Login, NotUnderstoodError, login_of, statement_of

LOGIN = "RATESTREAM_FRONT_LOGIN"

AUTHENTICATION_FAILED = 516
_STATUS = {
    **dict.fromkeys((164, 192, 193, 497, AUTHENTICATION_FAILED), HTTPStatus.FORBIDDEN),
    **dict.fromkeys((6, 26, 27, 38, 41, 43, 44, 46, 47, 53, 62, 130), HTTPStatus.BAD_REQUEST),
    **dict.fromkeys((16, 20, 60, 81, 115), HTTPStatus.NOT_FOUND),
    48: HTTPStatus.NOT_IMPLEMENTED,
    159: HTTPStatus.REQUEST_TIMEOUT,
}
"""The status that a server answers some codes of errors with; 500 all others."""

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing the socket resets the connection."""


class Front(ThreadingHTTPServer):
    """Answers until its process ends."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, engine: Engine, login: Login) -> None:
        self.engine = engine
        self.login = login
        self.faults = Faults()
        super().__init__(("127.0.0.1", port), _Answering)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's
        """A client that was killed, or lost patience, is no error of this server."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Answering(BaseHTTPRequestHandler):
    server: Front
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        if self.path == "/ping":
            self._answer(HTTPStatus.OK, b"Ok.\n")
        else:
            self._run()

    def do_POST(self) -> None:
        self._run()

    def _run(self) -> None:
        headers = dict(self.headers.items())
        try:
            statement = statement_of(self.path, headers, self._body())
        except NotUnderstoodError as error:
            self._refuse(48, f"Code: 48. DB::Exception: {error}. (NOT_IMPLEMENTED)")
            return
        order = self.server.faults.take(statement.sql)
        fault = order.fault if order else None
        if fault is Fault.RESET_BEFORE:
            self._reset()
        elif fault is Fault.UNAVAILABLE:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"Service Unavailable\n")
        elif fault is Fault.UNAUTHORIZED or login_of(self.path, headers) != self.server.login:
            self._refuse(
                AUTHENTICATION_FAILED,
                "Code: 516. DB::Exception: Authentication failed: password is incorrect, or there is no user with such "
                "name. (AUTHENTICATION_FAILED)",
            )
        else:
            self._run_on_the_engine(statement, order)

    def _run_on_the_engine(self, statement: Statement, order: Order | None) -> None:
        try:
            answer = self.server.engine.run(statement)
        except EngineError as error:
            self._refuse(error.code, str(error))
            return
        if order and order.fault is Fault.RESET_AFTER:
            self._reset()
            return
        if order and order.fault is Fault.SLOW:
            time.sleep(order.seconds)
        self._answer(HTTPStatus.OK, answer, compressed=statement.settings.get("enable_http_compression") == "1")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _refuse(self, code: int, text: str) -> None:
        status = _STATUS.get(code, HTTPStatus.INTERNAL_SERVER_ERROR)
        self._answer(status, f"{text}\n".encode(), {"X-ClickHouse-Exception-Code": str(code)})

    def _answer(
        self, status: HTTPStatus, body: bytes, more: dict[str, str] | None = None, *, compressed: bool = False
    ) -> None:
        headers = {"X-ClickHouse-Timezone": "UTC", "Content-Type": "text/plain; charset=UTF-8"} | (more or {})
        if compressed and "gzip" in self.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, 1)
        self.send_response(status)
        for name, text in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        os.close(self.connection.detach())  # at once, whoever else holds the socket

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
        """Nothing: what was asked is in the tests."""


def main(directory: str, port: str, configuration: str = "") -> None:
    user, _, password = os.environ[LOGIN].partition(":")
    engine = Engine(Path(directory) / "data", Path(configuration) if configuration else None)
    front = Front(int(port), engine, Login(user, password))
    threading.Thread(target=front.serve_forever, daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        name, *rest = json.loads(line)
        if name != "taken":
            front.faults.order(Order(Fault(name), *rest) if name else None)
        print(front.faults.taken, flush=True)
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)  # as a server that is stopped, whatever still waits for an answer


if __name__ == "__main__":
    main(*sys.argv[1:])
