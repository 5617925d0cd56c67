"""A test that cannot fail proves nothing: the harness finds Faust as documented wrong."""

import uuid
from pathlib import Path

from deploy.broker import Broker
from tests.chaos.faust_run import run_faust

SEED = 20_240_331
TRIES = 5


def test_faust_as_documented_loses_or_doubles(broker: Broker, prefix: str, tmp_path: Path) -> None:
    """It is right where nothing is done to it (on a busy machine not at once), and wrong after a few kills."""
    assert any(_is_right_undisturbed(broker, f"{prefix}quiet-{number}.", tmp_path) for number in range(TRIES))
    for number in range(TRIES):
        seed, topics = SEED + number, f"{prefix}{uuid.uuid4().hex[:6]}."
        faults = run_faust(broker.bootstrap, topics, tmp_path / str(number), seed)
        print(f"seed {seed}: {faults}")
        assert faults.found > faults.due / 2, f"it hardly ran: {faults}"
        if faults.is_wrong:
            return
    raise AssertionError(f"{TRIES} runs of Faust as documented were right, from seed {SEED} on")


def _is_right_undisturbed(broker: Broker, prefix: str, folder: Path) -> bool:
    quiet = run_faust(broker.bootstrap, prefix, folder / prefix, SEED, records=1_000, kills=0)
    print(f"undisturbed, seed {SEED}: {quiet}")
    return not quiet.is_wrong
