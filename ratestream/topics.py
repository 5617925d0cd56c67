"""Topics: made and checked from the command line, and shown in a table."""

import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agents.stream.layout import Found
    from agents.stream.topics import Layout


def create(
    partitions: Annotated[
        int, typer.Option(min=1, help="Of each topic about accounts; it stays so, and bounds the number of workers.")
    ] = 4,
    replication: Annotated[int, typer.Option(min=1, help="On how many brokers each partition lies.")] = 1,
) -> None:
    """Make the topics that are missing. Those that are there are checked and stay as they are."""
    from agents.stream import topics
    from agents.stream.connection import connection

    created = topics.create(connection(os.environ), partitions, replication)
    _show(created.layout, created.made)
    print(f"OK: {len(created.made)} made, {len(created.layout.topics) - len(created.made)} were there")


def check() -> None:
    """Check that the topics are as the guarantees need them; every problem with what to do."""
    from agents.stream import topics
    from agents.stream.connection import connection

    layout = topics.check(connection(os.environ))
    _show(layout)
    print(f"OK: {len(layout.topics)} topics, cluster {layout.cluster_id}")


def _show(layout: "Layout", made: Collection[str] = ()) -> None:
    from ratestream.screen import cells, grid, show

    table = grid(("Topic", "left"), ("Partitions", "right"), ("Replicas", "right"), ("Keeps", "left"), ("", "left"))
    for topic in layout.topics:
        new = "new" if topic.name in made else ""
        table.add_row(*cells(topic.name, str(topic.partitions), str(topic.replicas), _kept(topic), new))
    show(table)
    show()


def _kept(topic: "Found") -> str:
    from agents.stream.layout import DAY_MS

    if topic.settings["cleanup.policy"] == "compact":
        return "latest of each key"
    kept_ms = topic.number("retention.ms")
    return "everything" if kept_ms < 0 else f"{kept_ms // DAY_MS} days"
