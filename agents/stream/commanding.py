"""Commanding: what an operator asks of the workers goes to the topic `commands`.

A command about one account goes to the partition of that account, any other to every partition. Each partition's worker
writes it into its own `usage`, where it takes effect in order; so a command that comes twice does what it did before.
"""

from agents.stream.encoding import keyed
from agents.stream.messages import Close, Outgoing, Release, encode_command
from agents.stream.publishing import Publisher
from agents.stream.topics import Topics


def command(publisher: Publisher, topics: Topics, partitions: int, what: Close | Release) -> list[int]:
    """Sends the command, which has arrived on return; the partitions that it went to."""
    value = encode_command(what)
    if isinstance(what, Close) and what.account:
        key, partition = keyed(what.tenant, what.account, partitions)
        sent = [partition]
    else:
        key, sent = None, list(range(partitions))
    for partition in sent:
        publisher.send(topics.commands, Outgoing(key, value), partition)
    publisher.settle()
    return sent
