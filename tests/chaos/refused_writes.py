"""Refused writes: the broker takes no more charges, as they are too large or not permitted.

A worker must not go on past that: it ends, and its exit code says that something is wrong. Once the cause is mended,
nothing is missing.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ConfigResource,
    ConfigResourceType,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import SecurityDisabledError

from tests.chaos.message import Message
from tests.chaos.topics import Feeder, Topics
from tests.chaos.workers import Workers

AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
"""Properties of a broker that can deny."""

_TIMEOUT_S = 90.0
_SETTING = "max.message.bytes"


class NoAuthorizerError(Exception):
    """The broker has no authorizer, so it cannot deny anything."""


@contextmanager
def too_small(topics: Topics, name: str = "charges") -> Iterator[None]:
    """Meanwhile no batch of the topic can be larger than 40 bytes: none at all."""
    with _administration(topics) as admin:
        resource = ConfigResource(ConfigResourceType.TOPIC, topics.prefix + name, {_SETTING: "40"})
        before = _configured(admin, topics.prefix + name)
        admin.alter_configs([resource])
        try:
            yield
        finally:
            resource.configs = {_SETTING: before}
            admin.alter_configs([resource])


@contextmanager
def denied(topics: Topics, name: str = "charges") -> Iterator[None]:
    """Meanwhile nobody may write into the topic. Raises NoAuthorizerError."""
    pattern = ResourcePattern(ResourceType.TOPIC, topics.prefix + name)
    rules = [
        ACL("User:*", "*", ACLOperation.WRITE, ACLPermissionType.DENY, pattern),
        ACL("User:*", "*", ACLOperation.ALL, ACLPermissionType.ALLOW, pattern),
    ]
    with _administration(topics) as admin:
        try:
            result = admin.create_acls(rules)
        except SecurityDisabledError as error:
            raise NoAuthorizerError(str(error)) from error
        if result["failed"]:
            raise NoAuthorizerError(str(result["failed"]))
        try:
            yield
        finally:
            admin.delete_acls([ACLFilter("User:*", "*", ACLOperation.ANY, ACLPermissionType.ANY, pattern)])


def worker_that_may_not_write(topics: Topics, workers: Workers, messages: Sequence[Message]) -> int:
    """The exit code of the one running worker, given messages while it cannot write. Raises TimeoutError."""
    (worker,) = workers.running
    with Feeder(topics, messages, lambda: 500.0) as feeder:
        until = monotonic() + _TIMEOUT_S
        while worker.is_alive:
            if monotonic() > until:
                raise TimeoutError(f"the worker goes on although it cannot write\n{worker.last_lines()}")
            sleep(0.1)
        feeder.finish()
    code: int = worker.process.wait()
    workers.running.remove(worker)
    return code


@contextmanager
def _administration(topics: Topics) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=topics.bootstrap)
    try:
        yield admin
    finally:
        admin.close()


def _configured(admin: KafkaAdminClient, topic: str) -> str:
    found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    value: str = found["topic"][topic][_SETTING]["value"]
    return value
