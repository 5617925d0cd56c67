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
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener, answer_challenge, deliver_challenge
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from agents.answers import Question, answer
from agents.books import open_books
from agents.directory import Directory, owner_of
from agents.errors import AgentError, DirectoryInUseError, NoAnswerError
from sinks.errors import Refused, SinkError

_HOST = "127.0.0.1"
_WAIT_S = 120
_PATIENCE_S = 10
"""How long to ask again where somebody has the directory but takes no questions: it is only starting, or asking too."""


class _Reply(Struct, frozen=True):
    """Either an answer or what stood in its way, and which kind of error that is."""

    answer: list[bytes]
    error: str = ""
    kind: str = ""


_ERRORS: dict[str, type[Exception]] = {"no answer": NoAnswerError, "refused": Refused, "": AgentError}
"""What is raised again by who asked, by the kind that travels."""

_encode = Encoder().encode
_question = Decoder(Question).decode
_reply = Decoder(_Reply).decode


class Owner:
    """Takes questions in the background and answers them when `serve` is called."""

    def __init__(self, directory: Directory) -> None:
        self._key = secrets.token_bytes(32)
        self._waiting: queue.Queue[tuple[Question, Future[list[bytes]]]] = queue.Queue()
        self._listener = Listener((_HOST, 0))
        directory.announce({"port": self._listener.address[1], "key": self._key.hex()})
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
            except OSError as error:
                if "closed" not in str(error):
                    continue  # one that hung up
                return
            Thread(target=self._attend, args=(connection,), daemon=True).start()

    def _attend(self, connection: Connection) -> None:
        """One who asks: proves that it knows the key, hears the same proof, and gets an answer."""
        with closing(connection), suppress(AuthenticationError, EOFError, OSError):
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
            question = _question(connection.recv_bytes())
            future: Future[list[bytes]] = Future()
            self._waiting.put((question, future))
            try:
                reply = _Reply(future.result(_WAIT_S))
            except (AgentError, SinkError, OSError) as error:
                kind = next(kind for kind, of_kind in _ERRORS.items() if isinstance(error, of_kind) or not kind)
                reply = _Reply([], str(error) or f"no answer within {_WAIT_S} s. Ask again.", kind)
            connection.send_bytes(_encode(reply))


def ask(data: Path, question: Question, clickhouse_dsn: str = "") -> list[bytes]:
    """The answer of a data directory, from its running owner where there is one.

    Raises NoAnswerError, DirectoryError or sinks.errors.SinkError; AgentError for other trouble of the owner.
    """
    if not (data / "state").is_dir():
        raise NoAnswerError(f"{data} is no data directory. Rate usage into it first: ratestream run --data {data} ...")
    patient_until = monotonic() + _PATIENCE_S
    while True:
        try:
            return _ask_once(data, question, clickhouse_dsn)
        except DirectoryInUseError:
            if monotonic() > patient_until:
                raise
        sleep(0.1)


def _ask_once(data: Path, question: Question, clickhouse_dsn: str) -> list[bytes]:
    contact = owner_of(data)
    if contact is None:
        with open_books(data, clickhouse_dsn) as books:
            return answer(books, question)
    if "port" not in contact:
        raise DirectoryInUseError(f"{data} is in use by another process, which is only starting or ending. Ask again.")
    reply = _asked(contact, question)
    if reply is None:
        raise DirectoryInUseError(f"{data} was in use by a process that has just ended. Ask again.")
    if reply.error:
        raise _ERRORS[reply.kind](reply.error)
    return reply.answer


def _asked(contact: dict[str, Any], question: Question) -> _Reply | None:
    """What the owner says; None where it has gone."""
    try:
        with Client((_HOST, contact["port"]), authkey=bytes.fromhex(contact["key"])) as connection:
            connection.send_bytes(_encode(question))
            return _reply(connection.recv_bytes())
    except (AuthenticationError, EOFError, OSError):
        return None
