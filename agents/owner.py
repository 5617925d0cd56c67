"""Owner: the process that has a data directory answers the questions of others, between two batches of its own.

It listens on the loopback interface; port and key are in the directory's lock file, which only its user can read, and
each connection has to prove that it knows the key (multiprocessing's challenge). Messages are MessagePack, never
pickles. Answering between batches gives every answer a directory in which nothing is half done.
"""

import queue
import secrets
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from threading import Thread

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from agents.answers import Question, answer
from agents.books import open_books
from agents.directory import Directory, owner_of
from agents.errors import AgentError, DirectoryInUseError, NoAnswerError
from sinks.errors import SinkError

_HOST = "127.0.0.1"
_WAIT_S = 120


class _Reply(Struct, frozen=True):
    """Either an answer or what stood in its way."""

    answer: list[bytes]
    error: str = ""


_encode = Encoder().encode
_question = Decoder(Question).decode
_reply = Decoder(_Reply).decode


class Owner:
    """Takes questions in the background and answers them when `serve` is called."""

    def __init__(self, directory: Directory) -> None:
        key = secrets.token_bytes(32)
        self._waiting: queue.Queue[tuple[Question, Future[list[bytes]]]] = queue.Queue()
        self._listener = Listener((_HOST, 0), authkey=key)
        directory.announce({"port": self._listener.address[1], "key": key.hex()})
        Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Take no more questions."""
        self._listener.close()

    def serve(self, answered: Callable[[Question], list[bytes]], timeout_s: float = 0) -> None:
        """Answer what waits; with a timeout, wait that long for a first question."""
        with suppress(queue.Empty):
            while True:
                question, future = self._waiting.get(block=timeout_s > 0, timeout=timeout_s or None)
                timeout_s = 0
                try:
                    future.set_result(answered(question))
                except (AgentError, SinkError, OSError) as error:
                    future.set_exception(error)

    def _listen(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except (OSError, EOFError) as error:
                if isinstance(error, EOFError) or "closed" not in str(error):
                    continue  # a stranger, or one that hung up
                return
            Thread(target=self._attend, args=(connection,), daemon=True).start()

    def _attend(self, connection: Connection) -> None:
        with closing(connection), suppress(EOFError, OSError):
            question = _question(connection.recv_bytes())
            future: Future[list[bytes]] = Future()
            self._waiting.put((question, future))
            try:
                reply = _Reply(future.result(_WAIT_S))
            except (AgentError, SinkError, OSError) as error:
                reply = _Reply([], str(error))
            connection.send_bytes(_encode(reply))


def ask(data: Path, question: Question, clickhouse_dsn: str = "") -> list[bytes]:
    """The answer of a data directory, from its running owner where there is one.

    Raises NoAnswerError, DirectoryError or sinks.errors.SinkError.
    """
    if not (data / "state").is_dir():
        raise NoAnswerError(f"{data} is no data directory. Rate usage into it first: ratestream run --data {data} ...")
    contact = owner_of(data)
    if contact is None:
        try:
            with open_books(data, clickhouse_dsn) as books:
                return answer(books, question)
        except DirectoryInUseError:
            contact = owner_of(data)
    if contact is None or "port" not in contact:
        raise DirectoryInUseError(f"{data} is in use by another process, which is only starting or ending. Ask again.")
    with Client((_HOST, contact["port"]), authkey=bytes.fromhex(contact["key"])) as connection:
        connection.send_bytes(_encode(question))
        reply = _reply(connection.recv_bytes())
    if reply.error:
        raise NoAnswerError(reply.error)
    return reply.answer
