"""The layout of the topics: what a new one is, and what is said of those that would break the guarantees."""

import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import run

import pytest
from typer.testing import CliRunner

from agents.stream.layout import DAY_MS, MIB, RULES, Found, missing, partitions_of, problems, refusals, settings_of
from agents.stream.topics import Topics
from ratestream.cli import app

ROOT = Path(__file__).parents[2]
SUBJECTS = [rule.subject for rule in RULES]


def as_made(partitions: int = 4, replicas: int = 1) -> dict[str, Found]:
    """All topics as `ratestream topics create` makes them."""
    return {
        rule.subject: Found(
            name=f"r.{rule.subject}",
            topic_id=f"id of {rule.subject}",
            partitions=partitions_of(rule, partitions),
            replicas=replicas,
            leaderless=(),
            settings=settings_of(rule, replicas),
        )
        for rule in RULES
    }


def with_setting(found: Mapping[str, Found], subject: str, setting: str, value: str) -> dict[str, Found]:
    topic = found[subject]
    return {**found, subject: topic._replace(settings={**topic.settings, setting: value})}


def test_names_follow_the_prefix() -> None:
    assert Topics._fields == tuple(subject.replace("-", "_") for subject in SUBJECTS)
    topics = Topics.of("ratestream.")
    assert topics.usage == "ratestream.usage"
    assert topics.usage_bulk == "ratestream.usage-bulk"
    assert topics.tariffs == "ratestream.tariffs"


@pytest.mark.parametrize("replicas", [1, 2, 3, 5])
@pytest.mark.parametrize("partitions", [1, 4, 300])
def test_what_is_made_is_right(partitions: int, replicas: int) -> None:
    found = as_made(partitions, replicas)
    assert [*problems(found), *missing("r.", found), *refusals(found, partitions, replicas)] == []


def test_a_new_topic() -> None:
    found = as_made(partitions=8, replicas=3)
    assert {topic.settings["message.timestamp.type"] for topic in found.values()} == {"LogAppendTime"}
    assert {topic.settings["min.insync.replicas"] for topic in found.values()} == {"2"}
    assert {topic.settings["unclean.leader.election.enable"] for topic in found.values()} == {"false"}
    compacted = [name for name, topic in found.items() if topic.settings["cleanup.policy"] == "compact"]
    assert compacted == ["changelog", "accounts", "tariffs"]
    assert {name: topic.partitions for name, topic in found.items() if topic.partitions != 8} == {"tariffs": 1}
    for_ever = [name for name, topic in found.items() if topic.settings.get("retention.ms") == "-1"]
    assert for_ever == ["charges", "statements", "usage-rejected"]
    changelog = found["changelog"].settings
    assert changelog["delete.retention.ms"] == str(7 * DAY_MS)
    assert changelog["max.message.bytes"] == str(64 * MIB)
    assert changelog["min.cleanable.dirty.ratio"] == "0.3"


@pytest.mark.parametrize(
    ("subject", "setting", "value", "wanted"),
    [
        *((subject, "message.timestamp.type", "CreateTime", "LogAppendTime") for subject in SUBJECTS),
        *((subject, "unclean.leader.election.enable", "true", "false") for subject in SUBJECTS),
        *((subject, "max.message.bytes", "1048588", "") for subject in SUBJECTS),
        *((subject, "cleanup.policy", "delete", "compact") for subject in ("changelog", "accounts", "tariffs")),
        *((subject, "cleanup.policy", "compact", "delete") for subject in ("usage", "charges", "commands")),
        ("changelog", "cleanup.policy", "compact,delete", "compact"),
        ("usage", "cleanup.policy", "compact,delete", "delete"),
        ("usage", "retention.ms", str(7 * DAY_MS - 1), str(7 * DAY_MS)),
        ("usage", "retention.bytes", "1073741824", "-1"),
        ("charges", "retention.ms", "3600000", str(7 * DAY_MS)),
        ("changelog", "delete.retention.ms", "0", str(DAY_MS)),
        ("changelog", "max.message.bytes", str(16 * MIB), str(64 * MIB)),
        ("changelog", "min.insync.replicas", "2", "1"),
    ],
)
def test_a_wrong_setting_is_told_with_the_right_one(subject: str, setting: str, value: str, wanted: str) -> None:
    (problem,) = problems(with_setting(as_made(), subject, setting, value))
    assert problem.startswith(f"r.{subject} has {setting}={value}: ")
    assert f"--entity-name r.{subject} --add-config {setting}={wanted}" in problem


@pytest.mark.parametrize(
    ("subject", "setting", "value"),
    [
        ("usage", "retention.ms", "-1"),
        ("usage", "retention.ms", str(30 * DAY_MS)),
        ("charges", "retention.ms", str(7 * DAY_MS)),
        ("accounts", "delete.retention.ms", str(DAY_MS)),
        ("usage", "max.message.bytes", str(100 * MIB)),
        ("changelog", "min.cleanable.dirty.ratio", "0.5"),
    ],
)
def test_a_setting_that_breaks_nothing_is_let_be(subject: str, setting: str, value: str) -> None:
    assert list(problems(with_setting(as_made(), subject, setting, value))) == []


def test_three_replicas_of_which_one_may_acknowledge_are_refused() -> None:
    (problem,) = problems(with_setting(as_made(replicas=3), "usage", "min.insync.replicas", "1"))
    assert "what one broker alone acknowledged is lost with it" in problem


@pytest.mark.parametrize("subject", [rule.subject for rule in RULES if rule.is_keyed])
def test_topics_of_accounts_with_different_counts_are_refused(subject: str) -> None:
    found = as_made()
    (problem,) = problems({**found, subject: found[subject]._replace(partitions=5)})
    assert f"r.{subject} 5" in problem
    assert "under another RATESTREAM_PREFIX" in problem


def test_bulk_usage_may_have_any_count_and_tariffs_one() -> None:
    found = as_made()
    assert list(problems({**found, "usage-bulk": found["usage-bulk"]._replace(partitions=1)})) == []
    (problem,) = problems({**found, "tariffs": found["tariffs"]._replace(partitions=4)})
    assert problem.startswith("r.tariffs has 4 partitions, not 1")


def test_what_is_missing_is_told_at_once() -> None:
    found = as_made()
    del found["charges"], found["tariffs"]
    assert list(missing("r.", found)) == [
        "r.charges, r.tariffs: not there. Make what is missing: ratestream topics create"
    ]
    assert list(problems(found)) == []


def test_partitions_without_a_leader_and_hidden_settings_are_told() -> None:
    found = as_made()
    found["usage"] = found["usage"]._replace(leaderless=(1, 3))
    found["charges"] = found["charges"]._replace(settings={})
    leaderless, hidden = problems(found)
    assert leaderless == "r.usage has no leader for partition 1, 3. Start the brokers that hold it"
    assert hidden.startswith("r.charges: its settings cannot be seen")


def test_every_problem_is_told() -> None:
    found = with_setting(as_made(), "usage", "cleanup.policy", "compact")
    found = with_setting(found, "usage", "message.timestamp.type", "CreateTime")
    found = with_setting(found, "accounts", "cleanup.policy", "delete")
    assert len(list(problems(found))) == 3


def test_the_count_of_partitions_stays() -> None:
    (refusal,) = refusals(as_made(partitions=4), partitions=8, replicas=1)
    assert "have 4 partitions, not 8" in refusal
    assert "an account's partition follows from their number" in refusal
    assert "--partitions 4" in refusal


@pytest.mark.parametrize("arguments", [[], ["create"], ["check"]])
def test_help_tells_what_each_command_does(arguments: list[str]) -> None:
    told = CliRunner().invoke(app, ["topics", *arguments, "--help"])
    assert told.exit_code == 0
    assert max(map(len, told.stdout.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [["--partitions", "0"], ["--replication", "0"]])
def test_no_partitions_and_no_replicas_are_a_wrong_command_line(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["topics", "create", *arguments]).exit_code == 2


def test_the_command_line_loads_no_client_of_kafka_for_other_commands() -> None:
    script = "import sys, ratestream.cli; print({'aiokafka', 'faust', 'kafka'} & set(sys.modules))"
    told = run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


def test_replicas_are_not_changed_silently() -> None:
    (refusal,) = refusals(as_made(replicas=1), partitions=4, replicas=3)
    assert refusal.startswith("r.usage, r.usage-bulk, r.charges")
    assert "1 replica, not 3" in refusal
