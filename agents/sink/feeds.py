"""Feeds: a database is filled from the topics that it was first filled from, and from no others.

A topic that was deleted and made again, or one of another prefix or cluster, has the same offsets for other messages:
its rows would replace those of the first. Before app.py.
"""

from collections.abc import Mapping
from typing import Protocol

import pyarrow as pa

from agents.errors import StateError

_FEEDS = pa.schema([("topic", pa.string()), ("cluster", pa.string()), ("topic_id", pa.string())])


class Database(Protocol):
    """Where feeds are recorded."""

    def query_arrow(self, sql: str) -> pa.Table:
        """The rows of a SELECT."""

    def insert(self, table_name: str, table: pa.Table, token: str) -> None:
        """Insert the whole table."""


def claim(database: Database, cluster_id: str, topic_ids: Mapping[str, str]) -> None:
    """Record that the database is filled from these topics (their ids by full name), where nothing is recorded yet.

    Raises StateError where it is filled from others.
    """
    recorded = {
        row["topic"]: (row["cluster"], row["topic_id"])
        for row in database.query_arrow("SELECT topic, cluster, topic_id FROM feeds FINAL").to_pylist()
    }
    wanted = {topic: (cluster_id, topic_id) for topic, topic_id in topic_ids.items()}
    for topic, found in sorted(recorded.items()):
        if wanted.get(topic) != found:
            raise StateError(_foreign(topic, found, wanted))
    new = [(topic, *of) for topic, of in wanted.items() if topic not in recorded]
    if new:
        columns = [pa.array(column, pa.string()) for column in zip(*new, strict=True)]
        database.insert("feeds", pa.Table.from_arrays(columns, schema=_FEEDS), f"{cluster_id}-{len(recorded)}")


def _foreign(topic: str, found: tuple[str, str], wanted: Mapping[str, tuple[str, str]]) -> str:
    cluster, topic_id = found
    if topic in wanted:
        other = f"now it has the id {wanted[topic][1]} in cluster {wanted[topic][0]}"
    else:
        other = "which is none of this sink's"
    return (
        f"{topic}: the database is filled from the topic with id {topic_id} of cluster {cluster}, {other}. Rows of "
        "other topics would replace its own. Name an empty database in RATESTREAM_CLICKHOUSE, or the topics that it is "
        "filled from in RATESTREAM_BROKERS and RATESTREAM_PREFIX."
    )
