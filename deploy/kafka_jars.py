"""The jars of Apache Kafka, fetched once from Maven Central into the user's cache.

A directory of jars appears whole or not at all, named after what kafka/pom.xml asks for: processes that fetch at once
each fetch for themselves, and the first one's is kept.
"""

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy.errors import NoBrokerError
from deploy.kafka_properties import POM, kafka_version

JAVA = 17
"""The oldest Java that runs it."""

FETCH_TIMEOUT_S = 300
_JAVA_MISSING = (
    f"Java {JAVA} or later runs it. Debian, Ubuntu: apt install openjdk-17-jre-headless. macOS: brew install openjdk"
)
_MAVEN_MISSING = "Maven fetches it, once. Debian, Ubuntu: apt install maven. macOS: brew install maven"


def java(environment: Mapping[str, str]) -> str:
    """The path of Java, JAVA_HOME's before that of the PATH. Raises NoBrokerError if there is none, or an old one."""
    home = environment.get("JAVA_HOME", "")
    path = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    path = path or shutil.which("java", path=environment.get("PATH"))
    if path is None:
        raise NoBrokerError(f"there is no `java`. {_JAVA_MISSING}.")
    told = subprocess.run([path, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < JAVA:
        raise NoBrokerError(f"{path} is {told.partition(chr(10))[0] or 'no Java'}. {_JAVA_MISSING}.")
    return path


def cache_directory(environment: Mapping[str, str]) -> Path:
    """Where this user's programs keep what they can fetch again.

    >>> cache_directory({"XDG_CACHE_HOME": "/var/cache/me"}), cache_directory({"HOME": "/home/me"})
    (PosixPath('/var/cache/me/ratestream'), PosixPath('/home/me/.cache/ratestream'))
    """
    home = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home()) / ".cache"
    return Path(home) / "ratestream"


def kafka_jars(environment: Mapping[str, str]) -> Path:
    """The directory of the jars, fetched if need be. Raises NoBrokerError where that cannot be done."""
    cache = cache_directory(environment)
    asked = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    jars = cache / f"kafka-{kafka_version()}-{asked}"
    if not jars.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetching-", dir=cache) as fetching:
            fetched = Path(fetching) / "jars"
            _fetch(fetched, environment)
            _keep(fetched, jars)
    return jars


def _fetch(target: Path, environment: Mapping[str, str]) -> None:
    maven = shutil.which("mvn", path=environment.get("PATH"))
    if maven is None:
        raise NoBrokerError(f"there is no `mvn`. {_MAVEN_MISSING}.")
    order = ["--batch-mode", "--quiet", "--no-transfer-progress", "--strict-checksums", "--file", str(POM)]
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}"]
    try:
        done = subprocess.run(  # noqa: S603
            [maven, *order, *goal],
            env=environment,
            capture_output=True,
            text=True,
            timeout=FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoBrokerError(
            f"Maven did not fetch Kafka within {FETCH_TIMEOUT_S} s. Is its repository reachable?"
        ) from None
    if done.returncode:
        raise NoBrokerError(f"Maven could not fetch Kafka; it told:\n{done.stdout.strip()[-2000:]}")


def _keep(fetched: Path, jars: Path) -> None:
    try:
        fetched.rename(jars)
    except OSError:
        if not jars.is_dir():  # otherwise another process was first: its jars are the same
            raise
