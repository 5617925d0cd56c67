"""Kafka's jars are had whole or not at all, and who lacks Java or Maven is told what to install.

Small programs stand for `java` and `mvn`: what they are asked is the same.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.errors import NoBrokerError
from deploy.kafka_jars import java, kafka_jars
from tests.integration.command import ROOT

FETCHES = """
for option; do case $option in -DoutputDirectory=*) target=${option#*=};; esac; done
mkdir "$target"; echo one > "$target/one.jar"; sleep 0.5; echo two > "$target/two.jar"; echo x >> "$CALLS"
"""
FETCH = "import os; from deploy.kafka_jars import kafka_jars; print(kafka_jars(os.environ))"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One in which there is only what a test puts there."""
    (tmp_path / "bin").mkdir()
    path = os.pathsep.join([str(tmp_path / "bin"), "/bin", "/usr/bin"])
    return {"PATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache"), "CALLS": str(tmp_path / "calls")}


@pytest.fixture
def bare(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """One without any program but the test's."""
    return environment | {"PATH": str(tmp_path / "bin")}


def program(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


def test_two_processes_that_fetch_at_once_have_the_same_whole_jars(tmp_path: Path, environment: dict[str, str]) -> None:
    program(tmp_path, "mvn", FETCHES)
    fetching = [
        subprocess.Popen([sys.executable, "-c", FETCH], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = {process.communicate(timeout=30)[0].strip() for process in fetching}
    assert [process.returncode for process in fetching] == [0, 0]
    (jars,) = told
    assert sorted(jar.name for jar in Path(jars).iterdir()) == ["one.jar", "two.jar"]
    assert list((tmp_path / "cache" / "ratestream").iterdir()) == [Path(jars)]
    assert Path(environment["CALLS"]).read_text() == "x\nx\n"


def test_what_is_there_is_not_fetched_again(tmp_path: Path, environment: dict[str, str]) -> None:
    program(tmp_path, "mvn", FETCHES)
    first = kafka_jars(environment)
    program(tmp_path, "mvn", "exit 1")
    assert kafka_jars(environment) == first


def test_a_fetch_that_fails_leaves_nothing_and_tells_why(tmp_path: Path, environment: dict[str, str]) -> None:
    program(tmp_path, "mvn", FETCHES + "echo 'no route to host'; exit 1")
    with pytest.raises(NoBrokerError, match="no route to host"):
        kafka_jars(environment)
    assert list((tmp_path / "cache" / "ratestream").iterdir()) == []


def test_without_maven_it_says_how_to_install_it(bare: dict[str, str]) -> None:
    with pytest.raises(NoBrokerError, match="apt install maven"):
        kafka_jars(bare)


def test_without_java_it_says_how_to_install_it(bare: dict[str, str]) -> None:
    with pytest.raises(NoBrokerError, match="apt install openjdk-17-jre-headless"):
        java(bare)


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.22", "16"])
def test_an_old_java_is_named(tmp_path: Path, bare: dict[str, str], version: str) -> None:
    program(tmp_path, "java", f"echo 'openjdk version \"{version}\" 2024-01-16' >&2")
    with pytest.raises(NoBrokerError, match=f"{version}.*Java 17 or later"):
        java(bare)


@pytest.mark.parametrize("version", ["17.0.15", "21", "25.0.1"])
def test_java_of_today_will_do(tmp_path: Path, bare: dict[str, str], version: str) -> None:
    program(tmp_path, "java", f"echo 'openjdk version \"{version}\" 2025-04-15' >&2")
    assert java(bare) == str(tmp_path / "bin" / "java")


def test_java_home_goes_first(tmp_path: Path, bare: dict[str, str]) -> None:
    program(tmp_path, "java", "echo 'openjdk version \"11\"' >&2")
    home = tmp_path / "jdk"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").write_text("#!/bin/sh\necho 'openjdk version \"21\"' >&2")
    (home / "bin" / "java").chmod(0o755)
    assert java(bare | {"JAVA_HOME": str(home)}) == str(home / "bin" / "java")
