"""A test that cannot fail proves nothing: the harness finds Faust as documented wrong."""

import uuid
from pathlib import Path

from deploy.broker import Broker
from tests.chaos.faust_run import run_faust

SEED = 20_240_331
TRIES = 3


def test_faust_as_documented_loses_or_doubles(broker: Broker, prefix: str, tmp_path: Path) -> None:
    """It is right where nothing is done to it, and wrong after a few kills."""
    quiet = run_faust(broker.bootstrap, f"{prefix}quiet.", tmp_path / "quiet", SEED, records=1_000, kills=0)
    assert not quiet.is_wrong, f"seed {SEED}: {quiet}"
    for number in range(TRIES):
        seed, topics = SEED + number, f"{prefix}{uuid.uuid4().hex[:6]}."
        faults = run_faust(broker.bootstrap, topics, tmp_path / str(number), seed)
        print(f"seed {seed}: {faults}")
        assert faults.found > faults.due / 2, f"it hardly ran: {faults}"
        if faults.is_wrong:
            return
    raise AssertionError(f"{TRIES} runs of Faust as documented were right, from seed {SEED} on")
