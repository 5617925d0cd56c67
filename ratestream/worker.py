"""The worker: runs the stream's app until it is told to stop, and leaves nothing half done.

SIGTERM and SIGINT: the tasks finish their transactions and close, then the process ends with 0. An error that nobody
foresaw: one line on stderr, then the process ends with 70 at once. What was not committed is read again by whoever has
the partition next, so ending is always safe, and going on past a doubt never is.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NoReturn

import typer

from agents import settings
from ratestream.options import DataOption
from ratestream.processes import directories, run_processes

if TYPE_CHECKING:
    from agents.stream.app import StreamApp

UNFORESEEN = 70
_PROGRESS_S = 1.0
_STOP_S = 8.0
"""How long Faust may take to stop once all tasks are closed; nothing depends on it any more."""
_AGAIN = "Nothing unfinished counts: start the {} again, and it goes on from what was committed."

_logger = logging.getLogger(__name__)


def worker(
    data: DataOption,
    web: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=1, max=65_535, help="Faust's web server, on 127.0.0.1; off by default."),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            metavar="COUNT", min=1, max=256, envvar=settings.PROCESSES, help="So many processes, to use several cores."
        ),
    ] = 1,
    check: Annotated[
        bool, typer.Option("--check", help="Say whether the worker of this directory gets on: exit code 0 or 1.")
    ] = False,
    log: Annotated[str, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")] = "info",
) -> None:
    """Rate usage from Kafka until stopped: charges, statements and rejections go to their topics.

    Several workers share the partitions; each has a data directory of its own. The state in it can be restored from
    Kafka: a directory that is lost costs time, never money.
    """
    if check:
        raise typer.Exit(max([tell_health(directory) for directory in directories(data, processes)]))
    start_logging(log)
    if processes > 1:
        if web is not None:
            raise typer.BadParameter("One port serves one process: leave out --web, or --processes.")
        raise typer.Exit(run_processes(data, processes, log))
    from agents.stream.app import Membership
    from agents.stream.connection import connection
    from agents.stream.topics import Topics
    from agents.stream.topics import check as check_topics
    from agents.stream.wiring import rating_tasks, splitting_tasks

    where = connection(os.environ)
    session_timeout_s = settings.session_timeout_s(os.environ)
    layout = check_topics(where)
    topics = Topics.of(where.prefix)
    with locked(data):
        tasks = rating_tasks(where, topics, layout, data, os.environ, fail)
        splitters = splitting_tasks(where, topics, layout, os.environ, fail)
        membership = Membership(worker_id(data), data / "faust", session_timeout_s, web)

        def make() -> "StreamApp":
            from agents.stream.app import make_app

            return make_app(where, topics, membership, fail, tasks, splitters)

        run_worker(make, data, membership.worker_id)


def worker_id(data: Path) -> str:
    """A name that no other worker has and that this one has again after a restart: of its host and its directory.

    >>> worker_id(Path("/tmp")) == worker_id(Path("/tmp/../tmp"))
    True
    """
    host = socket.gethostname()
    place = blake2b(f"{host}\0{data.resolve()}".encode(), digest_size=4).hexdigest()
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in host[:100]) + f"-{place}"


def run_worker(make_app: "Callable[[], StreamApp]", data: Path, name: str, kind: str = "worker") -> None:
    """Runs the app that `make_app` makes in its loop, until SIGTERM or SIGINT. `data` gets progress.json.

    `kind` is what the process calls itself: a worker or a sink.
    """
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # for the loop of Faust's consumer thread as well
    named = f"{kind} {name}"
    _logger.info("%s starts", named)
    try:
        asyncio.run(_run(make_app, data, name, kind))
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends the process
        fail(error, kind, kind)
    _logger.info("%s has stopped", named)
    logging.shutdown()


def fail(error: BaseException, place: str, kind: str = "worker") -> NoReturn:
    """Tells in one line what happened where, and ends the process at once."""
    from agents.errors import AgentError

    told = " ".join(str(error).split()) or "no more is known"
    if not isinstance(error, AgentError):
        again = f"{_AGAIN.format(kind)} If it ends so again, add --log debug."
        told = f"{type(error).__name__}: {told} ({_source(error)}). {again}"
    _logger.debug("%s", "".join(traceback.format_exception(error)))
    sys.stderr.write(f"ratestream {kind}: {place}: {told}\n")
    sys.stderr.flush()
    os._exit(UNFORESEEN)


def start_logging(level: str) -> None:
    """Short lines on stderr. Libraries are quiet unless debugging: what ends the worker is told by the worker."""
    levels = logging.getLevelNamesMapping()
    if level.upper() not in levels:
        raise typer.BadParameter(f"{level!r} is no level. Write debug, info, warning or error.", param_hint="--log")
    ours = levels[level.upper()]
    handler = logging.StreamHandler(sys.stderr)
    line = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    line.converter = time.gmtime
    handler.setFormatter(line)
    theirs = ours if ours <= logging.DEBUG else logging.CRITICAL
    logging.basicConfig(level=theirs, handlers=[handler], force=True)
    logging.getLogger("aiokafka").setLevel(min(theirs, logging.ERROR))
    for house in ("agents", "ratestream"):
        logging.getLogger(house).setLevel(ours)
    for services in ("agents.stream.app", "agents.stream.transport"):  # Faust logs under the names of its subclasses
        logging.getLogger(services).setLevel(theirs)


async def _run(make_app: "Callable[[], StreamApp]", data: Path, name: str, kind: str) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    app = make_app()
    telling = asyncio.create_task(_tell_progress(app, data, name))
    starting = asyncio.create_task(app.start())
    starting.add_done_callback(partial(_started, kind))
    await stopping.wait()
    _logger.info("%s %s stops", kind, name)
    await asyncio.gather(*(hosting.end() for hosting in app.hostings))
    telling.cancel()
    starting.cancel()
    _, unfinished = await asyncio.wait({asyncio.create_task(app.stop())}, timeout=_STOP_S)
    if unfinished:  # a rebalance that began meanwhile can keep Faust waiting for an answer that no longer comes
        _logger.warning("%s %s has stopped, and Faust has not", kind, name)
        logging.shutdown()
        os._exit(0)


def _started(kind: str, starting: asyncio.Task[None]) -> None:
    if not starting.cancelled() and (error := starting.exception()) is not None:
        fail(error, kind, kind)


async def _tell_progress(app: "StreamApp", data: Path, name: str) -> None:
    from agents.stream.progress import write_progress

    while True:
        try:
            write_progress(data, name, app.hostings, datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the process
            app.fail(error, str(data))
        await asyncio.sleep(_PROGRESS_S)


def tell_health(data: Path) -> int:
    """The exit code of a check; each problem is a line on stderr."""
    from agents.stream.progress import problems

    found = problems(data, datetime.now(UTC))
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


def locked(data: Path) -> BinaryIO:
    """The directory's lock, until it is closed. Raises DirectoryError where it cannot be had."""
    from agents.directory import take_lock
    from agents.errors import DirectoryError

    try:
        data.mkdir(parents=True, exist_ok=True)
        return take_lock(data)
    except OSError as error:
        raise DirectoryError(f"{data}: {error.strerror}. Name a directory that can be written.") from error


def _source(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "of a library"
