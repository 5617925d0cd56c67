"""docker-compose.yml and deploy/Dockerfile say what this project is: read, without Docker.

Every command they name is one of the command line, every setting is known, every tag is pinned, nothing is secret, and
whatever goes on running is asked for its health.
"""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main
import yaml
from typer.core import TyperGroup
from typer.exceptions import TyperException

from agents import settings
from deploy import clickhouse_container
from deploy.kafka_properties import kafka_version
from ratestream.cli import app

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
COMPOSE = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY|CREDENTIAL")
PINNED = re.compile(r"[a-z0-9./-]+:\d+\.\d+[\w.-]*")


class Stage(NamedTuple):
    """One stage of the Dockerfile: where it comes from, and its instructions in order."""

    base: str
    steps: Sequence[tuple[str, str]]


def dockerfile() -> dict[str, Stage]:
    """The stages by name."""
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    stages: dict[str, Stage] = {}
    steps: list[tuple[str, str]] = []
    for line in filter(None, map(str.strip, plain.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            steps = []
            stages[name] = Stage(base, steps)
        else:
            steps.append((word, " ".join(rest.split())))
    return stages


STAGES = dockerfile()


def image(name: str) -> list[tuple[str, str]]:
    """All instructions that make a stage what it is, those of the stages it comes from first."""
    stage = STAGES[name]
    return [*(image(stage.base) if stage.base in STAGES else []), *stage.steps]


def last(name: str, word: str) -> str:
    """What the instruction says that holds in the end."""
    return [rest for said, rest in image(name) if said == word][-1]


def understand(arguments: Sequence[str]) -> None:
    """Raises where the command line would refuse the arguments; runs nothing."""
    command = typer.main.get_command(app)
    rest = list(arguments)
    while isinstance(command, TyperGroup):
        command = command.commands[rest.pop(0)]
    command.make_context(command.name, rest)


def check_schema(path: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("check_jsonschema", reason="NOT RUN: the schema of compose files comes with check-jsonschema")
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(check, capture_output=True, text=True, check=False)


def test_the_compose_file_fits_the_schema_of_compose_files() -> None:
    done = check_schema(COMPOSE_FILE)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("condition: service_healthy", "condition: healthy"), ("interval: 3s", "every: 3s"), ("services:", "service:")],
)
def test_a_wrong_compose_file_does_not(tmp_path: Path, right: str, wrong: str) -> None:
    damaged = tmp_path / "docker-compose.yml"
    damaged.write_text(COMPOSE_FILE.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
    assert check_schema(damaged).returncode == 1


def test_it_has_all_of_the_stream() -> None:
    assert list(SERVICES) == ["kafka", "clickhouse", "topics", "migrate", "worker", "sink", "producer"]
    assert list(OURS) == ["topics", "migrate", "worker", "sink", "producer"]


@pytest.mark.parametrize("name", OURS)
def test_its_commands_are_those_of_the_command_line(name: str) -> None:
    understand(OURS[name]["command"])


@pytest.mark.parametrize("stage", ["worker", "local"])
def test_the_images_commands_are_those_of_the_command_line(stage: str) -> None:
    assert json.loads(last(stage, "ENTRYPOINT")) == ["ratestream"]
    arguments = json.loads(last(stage, "CMD"))
    if arguments != ["--help"]:
        understand(arguments)


@pytest.mark.parametrize("arguments", [["work"], ["worker", "--dta", "/data"], ["simulate", "--accounts", "many"]])
def test_a_wrong_command_is_found(arguments: list[str]) -> None:
    with pytest.raises((TyperException, KeyError)):
        understand(arguments)


def environments() -> dict[str, Mapping[str, str]]:
    """What each service and each image sets."""
    ours = {f"image {name}": dict(_pairs(name)) for name in ("worker", "local")}
    return ours | {name: service.get("environment", {}) for name, service in SERVICES.items()}


def _pairs(stage: str) -> list[tuple[str, str]]:
    told = [word for said, rest in image(stage) if said == "ENV" for word in shlex.split(rest)]
    return [(name, value) for name, _, value in (word.partition("=") for word in told)]


@pytest.mark.parametrize(("place", "environment"), environments().items())
def test_every_setting_is_known_and_none_is_secret(place: str, environment: Mapping[str, str]) -> None:
    settings.check_names(environment)
    assert all(isinstance(value, str) for value in environment.values()), f"{place}: YAML takes a value for no text"
    assert not [name for name in environment if SECRET.search(name)]
    assert not [name for name, value in environment.items() if re.search(r"://[^/]*:[^/]*@", value)]


@pytest.mark.parametrize("name", OURS)
def test_ours_find_the_broker_by_its_inner_name(name: str) -> None:
    inside = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")[0]
    assert inside == f"INSIDE://{OURS[name]['environment'][settings.BROKERS]}"
    settings.clickhouse_dsn(OURS[name]["environment"])


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    assert PINNED.fullmatch(SERVICES[name]["image"])


def test_versions_are_those_of_the_project() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka_version()}"
    assert SERVICES["clickhouse"]["image"] == clickhouse_container.IMAGE
    assert {service["image"] for service in OURS.values()} == {f"ratestream:{VERSION}-worker"}
    bases = {stage.base for stage in STAGES.values() if stage.base not in STAGES}
    assert all(map(PINNED.fullmatch, bases)), bases


@pytest.mark.parametrize("name", SERVICES)
def test_no_other_machine_reaches_a_port(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_what_goes_on_running_is_asked_for_its_health(name: str) -> None:
    check = SERVICES[name].get("healthcheck", {})
    if name in {"topics", "migrate", "producer"}:
        assert check == {"disable": True}, "the worker's check, from their image, does not fit them"
    elif name == "sink":
        assert check["test"][:2] == ["CMD", "ratestream"]
        assert "--check" in check["test"]
        understand(check["test"][2:])
    elif name in OURS:
        assert not check
        assert "HEALTHCHECK" in dict(STAGES[OURS[name]["build"]["target"]].steps)
    else:
        assert {"test", "interval", "timeout", "retries"} <= check.keys()


def test_what_is_waited_for_says_when_it_is_there() -> None:
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert "test" in SERVICES[name]["healthcheck"]
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert SERVICES[name]["restart"] == "no"


def test_what_is_mounted_is_there_and_runs_without_parameters() -> None:
    mounted = [volume for service in SERVICES.values() for volume in service.get("volumes", []) if volume[0] == "."]
    assert mounted == ["./deploy/clickhouse:/docker-entrypoint-initdb.d:ro"], "which the image runs in their order"
    files = sorted((ROOT / "deploy" / "clickhouse").glob("*.sql"))
    assert [file.name[:3] for file in files] == ["01_", "02_", "03_"]
    assert not [file for file in files if re.search(r"\{\w+:\w+\}", file.read_text(encoding="utf-8"))]


def test_a_worker_can_be_scaled() -> None:
    worker = SERVICES["worker"]
    assert not {"container_name", "ports", "hostname", "volumes"} & worker.keys(), "each needs its own"
    assert ("VOLUME", "/data") in image("worker")
    assert worker["command"] == json.loads(last("worker", "CMD"))


def test_the_health_of_a_worker_is_a_command() -> None:
    check = json.loads(last("worker", "HEALTHCHECK").partition(" CMD ")[2])
    assert check[0] == "ratestream"
    assert "--check" in check
    understand(check[1:])


def test_a_worker_is_asked_to_stop_by_sigterm() -> None:
    assert last("worker", "STOPSIGNAL") == "SIGTERM"


@pytest.mark.parametrize("stage", ["worker", "local"])
def test_an_image_runs_as_nobody_and_holds_no_tools(stage: str) -> None:
    assert last(stage, "USER") == "10001:10001"
    copied = [rest for word, rest in image(stage) if word == "COPY"]
    assert copied == [f"--from=build-{stage} /opt/ratestream /opt/ratestream"]
    assert not [rest for word, rest in image(stage) if word == "RUN" and re.search(r"\b(pip|apt|apt-get|curl)\b", rest)]
    (install,) = (rest for word, rest in STAGES[f"build-{stage}"].steps if word == "RUN")
    assert "--without-pip" in install
    assert "--no-index" in install
    assert "[dev]" not in install


def test_what_is_fetched_is_locked() -> None:
    fetched = [rest for word, rest in image("build") if word == "RUN" and "--no-index" not in rest]
    assert [" --require-hashes " in rest and "-r requirements.lock" in rest for rest in fetched] == [True]


def test_a_build_without_target_makes_the_local_image() -> None:
    assert list(STAGES)[-1] == "local"
    assert {service["build"]["target"] for service in OURS.values()} <= STAGES.keys()


def test_what_the_image_needs_is_sent_to_the_builder() -> None:
    sent = {line[1:].rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert {"requirements.lock", "pyproject.toml", "README.md", "LICENSE"} | packages == sent
