"""A data directory over its life: the same file again, two processes, watching, signals, later documents."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.command import ACCOUNTS, CLOUD, TARIFFS, export, ratestream, start, succeed
from tests.integration.mixed_usage import cloud_lines

pytest.importorskip("chdb", reason="the embedded engine is not installed: pip install 'ratestream[embedded]'")

WAIT_S = 60


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A directory into which the made-up customers' usage was rated, and its export."""
    folder = tmp_path_factory.mktemp("rated")
    succeed(*run_into(folder / "data", CLOUD))
    return folder / "data", export(folder / "data", folder / "export")


@pytest.fixture
def data(rated: tuple[Path, dict[str, bytes]], tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(rated[0], tmp_path / "data", symlinks=True)
    return tmp_path / "data"


def run_into(data: Path, *files: Path, tariffs: Path = TARIFFS, accounts: Path = ACCOUNTS) -> list[str | Path]:
    return ["run", "--data", data, "--tariffs", tariffs, "--accounts", accounts, *files]


def halves(folder: Path) -> tuple[Path, Path]:
    """The made-up customers' usage in two files."""
    lines = cloud_lines()
    middle = len(lines) // 2
    files = folder / "first.jsonl", folder / "second.jsonl"
    for file, some in zip(files, (lines[:middle], lines[middle:]), strict=True):
        file.write_text("\n".join([*some, ""]), encoding="utf-8")
    return files


def test_the_same_file_again_changes_nothing(data: Path, rated: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    other_name = tmp_path / "other.jsonl.gz"
    shutil.copy(CLOUD, other_name)
    for again in (CLOUD, other_name):
        assert "nothing new" in succeed(*run_into(data, again))
        assert export(data, tmp_path / "export") == rated[1]


def test_the_same_records_in_another_file_are_duplicates(
    data: Path, rated: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    good = [line for line in cloud_lines() if "/20120305T120000/" not in line and line.endswith("}")]
    file = tmp_path / "again.jsonl"
    file.write_text("\n".join([*good, ""]), encoding="utf-8")
    assert f"duplicates  {len(good):>13,}" in succeed(*run_into(data, file))
    assert export(data, tmp_path / "export") == rated[1]


def test_usage_in_two_runs_is_usage_in_one(rated: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    """Charges and statements are the same; only the rejections tell of other files. Documents are kept."""
    first, second = halves(tmp_path)
    succeed(*run_into(tmp_path / "data", first))
    succeed("run", "--data", tmp_path / "data", second)
    found = export(tmp_path / "data", tmp_path / "export")
    assert {**found, "rejected": b""} == {**rated[1], "rejected": b""}


@contextmanager
def watching(data: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that watches the folder, until it has the directory; ended when the test is over, whatever happened."""
    with start(*run_into(data), "--watch", folder) as process:
        try:
            wait_for(lambda: has(process, data))
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def has(process: subprocess.Popen[str], data: Path) -> bool:
    """Whether the process has the directory and can be asked."""
    file = data / "owner.json"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return f'"pid": {process.pid},' in text and '"port"' in text


def wait_for(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.1)


def received(data: Path) -> int:
    """How many charges the running owner has, asked of it."""
    done = ratestream("query", "SELECT count() AS n FROM charges FINAL", "--data", data, "--format", "json")
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout)["n"])


def test_watching(rated: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    """Files are taken as they appear, questions are answered meanwhile, others are refused, and a signal ends it."""
    data, folder = tmp_path / "data", tmp_path / "in"
    folder.mkdir()
    first, second = halves(tmp_path)
    with watching(data, folder) as process:
        assert received(data) == 0
        appear(first, folder)
        wait_for(lambda: received(data) > 1500)
        before = received(data)
        bill = json.loads(succeed("bill", "cloud-initech", "--data", data, "--format", "json"))
        assert bill["account"] == "cloud-initech"
        assert float(bill["total"]) > 0
        statement = succeed("statement", "cloud-acme", "--data", data, "--period", "2012-01", "--format", "json")
        assert statement.encode() != b""

        refused = ratestream(*run_into(data, second))
        assert refused.returncode == 5, refused.stderr
        assert "in use" in refused.stderr
        assert str(process.pid) in refused.stderr
        assert "Traceback" not in refused.stderr

        appear(second, folder)
        wait_for(lambda: received(data) > before)
        wait_for(lambda: received(data) == rated[1]["charges"].count(b"\n"))
        assert_found(export(data, tmp_path / "meanwhile"), rated[1])
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 143, err
    assert "Traceback" not in err
    assert "2 files read" in out
    assert_found(export(data, tmp_path / "after"), rated[1])


def appear(file: Path, folder: Path) -> None:
    """Slowly, under a name that is not taken, and then under its own."""
    content = file.read_bytes()
    unfinished = folder / f"{file.name}.part"
    unfinished.write_bytes(content[: len(content) // 2])
    time.sleep(1.5)
    unfinished.write_bytes(content)
    unfinished.rename(folder / file.name)


def assert_found(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert {**found, "rejected": b""} == {**expected, "rejected": b""}


def test_a_file_that_grows_while_it_is_watched(rated: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    """A writer that appends is waited for; what was read of it before counts once."""
    data, folder = tmp_path / "data", tmp_path / "in"
    folder.mkdir()
    content = b"\n".join([*(line.encode() for line in cloud_lines()), b""])
    with watching(data, folder) as process:
        with (folder / "growing.jsonl").open("wb") as file:
            for begin in range(0, len(content), len(content) // 6 + 1):
                file.write(content[begin : begin + len(content) // 6 + 1])
                file.flush()
                time.sleep(0.7)
        wait_for(lambda: received(data) == rated[1]["charges"].count(b"\n"))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130, err
    assert_found(export(data, tmp_path / "export"), rated[1])


def test_a_signal_in_the_middle_keeps_what_was_read(rated: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    """The batch in hand is finished, and the same command goes on."""
    data = tmp_path / "data"
    lines = cloud_lines()
    files = []
    for number in range(30):
        file = tmp_path / f"{number:02}.jsonl"
        file.write_text("\n".join([*lines[number * 107 : (number + 1) * 107], ""]), encoding="utf-8")
        files.append(file)
    codes = set()
    for number in range(6):
        with start(*run_into(data, *files)) as process:
            wait_for(lambda: process.poll() is not None or has(process, data))
            time.sleep(number / 10)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=WAIT_S)
        assert "Traceback" not in err
        codes.add(process.returncode)
        if process.returncode == 0:
            break
    assert 143 in codes
    assert codes <= {0, 143}
    succeed(*run_into(data, *files))
    assert_found(export(data, tmp_path / "export"), rated[1])


def changed(folder: Path, name: str, old: str, new: str) -> Path:
    """The tariffs with one text replaced, or the accounts."""
    if name == ACCOUNTS.name:
        text = ACCOUNTS.read_text(encoding="utf-8")
        place = folder / name
        place.write_text(text.replace(old, new, 1), encoding="utf-8")
    else:
        place = folder / "tariffs"
        shutil.copytree(TARIFFS, place)
        text = (TARIFFS / name).read_text(encoding="utf-8")
        (place / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    assert old in text
    return place


def assert_refused(data: Path, *, tariffs: Path = TARIFFS, accounts: Path = ACCOUNTS, telling: str) -> None:
    done = ratestream(*run_into(data, CLOUD, tariffs=tariffs, accounts=accounts))
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert telling in done.stderr


def test_a_changed_version_is_refused(data: Path, rated: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    cheaper = changed(tmp_path, "cloud.yaml", 'unit_price: "0.00009"', 'unit_price: "0.00008"')
    assert_refused(data, tariffs=cheaper, telling="tariff cloud-starter version 2012")
    assert export(data, tmp_path / "export") == rated[1]


def version(folder: Path, effective_from: str) -> Path:
    """The tariffs with one more version of cloud-starter."""
    first, _, second = (TARIFFS / "cloud.yaml").read_text(encoding="utf-8").partition("---\n")
    later = first.replace('version: "2012"', 'version: "later"').replace("2012-01-01", effective_from)
    place = folder / "tariffs"
    shutil.copytree(TARIFFS, place)
    (place / "cloud.yaml").write_text(f"{first}---\n{later}---\n{second}", encoding="utf-8")
    return place


def test_a_new_version_with_a_past_date_changes_nothing_that_was_rated(
    data: Path, rated: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    """It is taken in, that is told, and it holds from the first billing period without usage."""
    tariffs = version(tmp_path, "2012-03-01")
    done = ratestream(*run_into(data, CLOUD, tariffs=tariffs))
    assert done.returncode == 0, done.stderr
    assert "account cloud-initech: other tariffs or versions are given" in done.stderr
    assert export(data, tmp_path / "export") == rated[1]
    succeed(*run_into(data, usage(tmp_path, "cloud-initech", "2012-07-02"), tariffs=tariffs))
    found = json.loads(succeed("bill", "cloud-initech", "--data", data, "--format", "json").splitlines()[-1])
    assert {line["version"] for line in found["lines"] if line["meter"] == "compute"} == {"later"}


def test_a_new_version_with_a_later_date_is_taken(data: Path, tmp_path: Path) -> None:
    succeed(*run_into(data, usage(tmp_path, "cloud-initech", "2012-08-01"), tariffs=version(tmp_path, "2012-08-01")))
    found = json.loads(succeed("bill", "cloud-initech", "--data", data, "--format", "json").splitlines()[-1])
    assert {line["version"] for line in found["lines"] if line["meter"] == "compute"} == {"later"}


def usage(folder: Path, account: str, day: str) -> Path:
    record = {
        "id": f"{account}/{day}",
        "account": account,
        "meter": "compute",
        "quantity": "3600",
        "start": f"{day}T00:00:00Z",
        "end": f"{day}T01:00:00Z",
    }
    file = folder / f"{account}-{day}.jsonl"
    file.write_text(json.dumps(record) + "\n", encoding="utf-8")
    return file


HOOLI = "  - {account: cloud-hooli, zone: UTC, currency: USD, tariffs: [{tariff: cloud-starter, from: 2012-07-01}]}\n"


def test_an_account_that_is_added_later(data: Path, rated: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    """Its usage is rejected until then; what others were charged stays."""
    file = usage(tmp_path, "cloud-hooli", "2012-07-02")
    succeed(*run_into(data, file))
    assert "unknown-account" in succeed("rejected", "list", "--data", data)
    accounts = tmp_path / "accounts.yaml"
    accounts.write_text(ACCOUNTS.read_text(encoding="utf-8").rstrip("\n") + "\n" + HOOLI, encoding="utf-8")
    # What was rejected can be sent again: it is the same record in another file.
    again = tmp_path / "again.jsonl"
    again.write_bytes(file.read_bytes() + b"\n")
    succeed(*run_into(data, again, accounts=accounts))
    bill = json.loads(succeed("bill", "cloud-hooli", "--data", data, "--format", "json").splitlines()[0])
    assert bill["usage_records"] == 1
    found = export(data, tmp_path / "export")
    assert found["statements"] == rated[1]["statements"]
    assert set(rated[1]["charges"].splitlines()) < set(found["charges"].splitlines())


INITECH = "      - {tariff: cloud-starter, from: 2012-01-01}\n    fees:"


def until(folder: Path, day: str) -> Path:
    ended = INITECH.replace("from: 2012-01-01}", f"from: 2012-01-01, until: {day}}}")
    return changed(folder, ACCOUNTS.name, INITECH, ended)


def test_an_end_that_is_set_later(data: Path, tmp_path: Path) -> None:
    """After the last usage: the last period is closed with its fees by days, and usage after the end is rejected."""
    succeed(*run_into(data, usage(tmp_path, "cloud-acme", "2012-07-20"), accounts=until(tmp_path, "2012-07-11")))
    late = succeed(*run_into(data, usage(tmp_path, "cloud-initech", "2012-07-12"), accounts=tmp_path / ACCOUNTS.name))
    assert "no-tariff" in late
    inside = usage(tmp_path, "cloud-initech", "2012-07-10")
    succeed(*run_into(data, inside, accounts=tmp_path / ACCOUNTS.name))
    bills = map(json.loads, succeed("bill", "cloud-initech", "--data", data, "--format", "json").splitlines())
    july = next(bill for bill in bills if bill["period_start"] == "2012-07-01T00:00:00Z")
    fees = {line["name"]: line["quantity"] for line in july["lines"] if line["kind"] == "recurring"}
    assert fees["Support plan"] == "0.322581"  # 10 of 31 days


def test_an_end_before_rated_usage_is_refused(data: Path, rated: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    assert_refused(data, accounts=until(tmp_path, "2012-06-11"), telling="account cloud-initech")
    assert export(data, tmp_path / "export") == rated[1]


@pytest.mark.parametrize(
    ("was", "is_now"),
    [
        ("zone: America/New_York", "zone: America/Chicago"),
        ("zone: America/New_York", "zone: America/New_York\n    clock: fixed-offset"),
        ("billing_day: 15", "billing_day: 16"),
        ("billing_day: 15", "cycle: {anchor: 2012-01-15}"),
    ],
)
def test_another_zone_clock_or_cycle_is_refused(data: Path, tmp_path: Path, was: str, is_now: str) -> None:
    moved = changed(tmp_path, ACCOUNTS.name, was, is_now)
    assert_refused(data, accounts=moved, telling="account cloud-acme")


def test_a_clickhouse_that_no_longer_opens_can_be_deleted(rated: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    """A copy that followed the engine's links is one that it cannot open."""
    data = tmp_path / "data"
    shutil.copytree(rated[0], data, symlinks=False)
    done = ratestream("bill", "cloud-acme", "--data", data)
    assert done.returncode == 1
    assert f"delete {data / 'clickhouse'}" in done.stderr
    shutil.rmtree(data / "clickhouse")
    assert export(data, tmp_path / "export") == rated[1]


def test_what_was_rejected_has_another_chance_when_its_cause_is_mended(tmp_path: Path) -> None:
    """Usage of a customer who was declared too late, and a mapping that named the wrong column."""
    accounts = tmp_path / "accounts.yaml"
    text = ACCOUNTS.read_text(encoding="utf-8")
    accounts.write_text(text.replace("account: cloud-acme", "account: cloud-other"), encoding="utf-8")
    data = tmp_path / "data"
    first = succeed(*run_into(data, CLOUD, accounts=accounts))
    assert "unknown-account" in first
    assert "nothing new" in succeed(*run_into(data, CLOUD))
    again = succeed(*run_into(data, CLOUD), "--again")
    assert "rejected                7" in again
    fresh = tmp_path / "fresh"
    succeed(*run_into(fresh, CLOUD))
    assert export(data, tmp_path / "one")["statements"] == export(fresh, tmp_path / "two")["statements"]


def test_another_mapping_reads_the_file_anew(tmp_path: Path) -> None:
    file = tmp_path / "reads.csv"
    file.write_text(
        "id,customer,meter,quantity,start,end\na,cloud-acme,compute,60,2012-01-20T00:00:00Z,2012-01-20T01:00:00Z\n",
        encoding="utf-8",
    )
    data = tmp_path / "data"
    assert "missing-field" in succeed(*run_into(data, file))
    assert "accepted                1" in succeed(*run_into(data, file), "--map", "account=customer")
