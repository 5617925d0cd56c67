"""Checks: what must be true of a schedule when everything has been taken in.

The committed messages are those of the uninterrupted run, in its order and byte for byte. So are the states, but for
three things that depend on what was committed together: the packs that entries of usage go in; what an account's own
entry repeats of its periods; and old periods, which go with a statement that finds them past. A period that only one of
the states still has must be one that the other may forget.
"""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from agents.stream.documents import Documents
from agents.stream.messages import COMMAND_HEADER, Outgoing
from agents.stream.pruning import periods_to_drop
from agents.stream.table import Applied, Table
from agents.succession import decode_name
from pipeline.entries import pack, period_key, unpack_account, unpack_period
from pipeline.ledger import Ledger
from tests.simulation.disk import Disk, DiskStore, Values
from tests.simulation.documents import PARTITION, PARTITIONS, PRICES
from tests.simulation.kafka import Kafka, Record
from tests.simulation.reference import Reference, uninterrupted
from tests.simulation.schedule import ProtocolError, Schedule
from tests.simulation.traffic import Fact

_NUMBER = 8  # bytes of a pack's number, before an entry
_RECORDS, _PACKS, _PERIODS, _ACCOUNTS = b"d", b"u", b"p", b"a"


class _Charge(Struct):
    """What the sums need of a charge."""

    charge_id: str
    kind: str
    tenant: str
    account: str
    source: str
    usage_id: str
    meter: str
    quantity: Decimal
    amount: Decimal
    period_start: str
    tariff: str
    version: str
    corrects: str


_decode_charge = Decoder(_Charge).decode


def check(schedule: Schedule) -> None:
    """Everything. Raises ProtocolError."""
    reference = uninterrupted(schedule)
    _check_messages(schedule.kafka, reference)
    _check_markers(schedule.kafka)
    _check_order(schedule.kafka)
    _check_counts(schedule, reference)
    _check_states(schedule, reference)
    _check_money(schedule)


def _check_messages(kafka: Kafka, reference: Reference) -> None:
    ids = Counter(_decode_charge(record.value or b"").charge_id for record in kafka.read("charges"))
    twice = [charge_id for charge_id, count in ids.items() if count > 1]
    _require(not twice, f"charges {twice[:3]} are there twice")
    _compare("charges", kafka.read("charges"), reference.charges)
    _compare("statements", kafka.read("statements"), reference.statements)
    _compare("usage_rejected", kafka.read("usage_rejected"), reference.rejections)


def _compare(topic: str, found: Sequence[Record], wanted: Sequence[Outgoing]) -> None:
    sent = [(record.key, record.value, list(record.headers)) for record in found]
    expected = [(message.key, message.value, list(message.headers)) for message in wanted]
    if sent != expected:
        place = next((at for at, pair in enumerate(zip(sent, expected, strict=False)) if pair[0] != pair[1]), None)
        at = min(len(sent), len(expected)) if place is None else place
        raise ProtocolError(
            f"{topic}: {len(sent)} messages instead of {len(expected)}; number {at} is {sent[at : at + 1]} instead of "
            f"{expected[at : at + 1]}"
        )


def _check_markers(kafka: Kafka) -> None:
    """Each command stands on usage once, in the order of the commands."""
    markers = [record.value for record in kafka.read("usage") if _is_marker(record)]
    ticks = b'{"command":"tick"}'
    commands = [record.value for record in kafka.read("commands")]
    _require([marker for marker in markers if marker != ticks] == commands, f"commands {commands} became {markers}")


def _is_marker(record: Record) -> bool:
    return any(name == COMMAND_HEADER for name, _ in record.headers)


def _check_order(kafka: Kafka) -> None:
    """No usage was rated before all that had been published before it."""
    usage = [record for record in kafka.read("usage") if not _is_marker(record)]
    before = Applied()
    for after, _ in kafka.history:
        rated = [r for r in usage if (before.usage, before.index) <= (r.offset, 0) and r.offset < after.usage]
        for topic in ("accounts", "tariffs"):
            unread = [r for r in kafka.records[topic][getattr(before, topic) :] if r is not None]
            if rated and unread and unread[0].number < rated[-1].number:
                raise ProtocolError(f"usage[{rated[-1].offset}] was rated before {topic}[{unread[0].offset}] was read")
        before = after


def _check_counts(schedule: Schedule, reference: Reference) -> None:
    kafka = schedule.kafka
    applied = kafka.history[-1].applied
    counts, wanted = applied.counts, reference.table.applied.counts
    _require(counts == wanted, f"counts are {counts} instead of {wanted}")
    _require(kafka.group_offset == applied.usage, f"the group is at {kafka.group_offset}, the state at {applied.usage}")
    received = sum(len(schedule.sent[r.offset].contents) for r in kafka.read("usage") if not _is_marker(r))
    _require(counts.received == received, f"{counts.received} records were received, {received} were sent")
    _require(
        counts.accepted + counts.duplicates + counts.rejected == received,
        f"{counts}: accepted, duplicates and rejected are not what was received",
    )
    rejections = [r for r in kafka.read("usage_rejected") if dict(r.headers)["reason"] != b"invalid-document"]
    _require(counts.rejected == len(rejections), f"{counts.rejected} are counted, {len(rejections)} rejected")
    _require(counts.charges == len(kafka.read("charges")), f"{counts.charges} charges are counted")


def _check_states(schedule: Schedule, reference: Reference) -> None:
    survived = _shared(schedule.last_worker.disk.values)
    _check_packs(survived)
    _compare_all(survived, _shared(restored(schedule.kafka).values), "the store", "one filled from the changelog")
    _compare_unforgotten(schedule.last_worker.disk, reference.disk)


def restored(kafka: Kafka) -> Disk:
    """A disk filled from the changelog alone."""
    disk = Disk()
    table = Table(DiskStore(disk, lambda _: None))
    for record in kafka.read("changelog"):
        table.write([(record.key or b"", record.value)], table.place)
    return disk


def _shared(values: Values) -> Values:
    """Without what is the store's own."""
    return {key: value for key, value in values.items() if not key.startswith(b"!")}


def _compare_all(found: Values, wanted: Values, what: str, other: str) -> None:
    wrong = [key for key in sorted({*found, *wanted}) if found.get(key) != wanted.get(key)]
    if wrong:
        raise ProtocolError(
            f"{what} and {other} differ in {len(wrong)} keys: {wrong[0]!r} is {found.get(wrong[0])!r} and "
            f"{wanted.get(wrong[0])!r}"
        )


def _check_packs(values: Values) -> None:
    """Every entry belongs to a pack that is there."""
    packs = {key[len(_PACKS) :] for key in values if key.startswith(_PACKS)}
    lost = [key for key, value in values.items() if key.startswith(_RECORDS) and value[:_NUMBER] not in packs]
    _require(not lost, f"entries {lost[:2]} belong to no pack, and would never be forgotten")


def _compare_unforgotten(found: Disk, wanted: Disk) -> None:
    """Two states, but for periods that only one of them has forgotten so far."""
    ours, theirs = _comparable(found.values), _comparable(wanted.values)
    forgotten = {key for key in ours.keys() ^ theirs.keys() if key.startswith(_PERIODS)}
    if forgotten:
        needed = forgotten - _may_be_forgotten(found) - _may_be_forgotten(wanted)
        _require(not needed, f"{sorted(needed)[:2]} was forgotten, and is still needed")
    _compare_all(
        {key: value for key, value in ours.items() if key not in forgotten},
        {key: value for key, value in theirs.items() if key not in forgotten},
        "the store",
        "that of the uninterrupted run",
    )


def _comparable(values: Values) -> Values:
    """Entries without the number of their pack, and accounts with all that is known of their meters.

    An account's own entry is written when a period of it opens or closes, with how far its meters have come by the end
    of that commit. What has come later stands in its periods, and the later one of both counts.
    """
    comparable: Values = {}
    for key, value in _shared(values).items():
        if key.startswith(_RECORDS):
            comparable[key] = value[_NUMBER:]
        elif key.startswith(_ACCOUNTS):
            comparable[key] = _account(key, value, values)
        elif not key.startswith((_PACKS, b"@")):
            comparable[key] = value
    return comparable


def _account(key: bytes, value: bytes, values: Values) -> bytes:
    entry = unpack_account(value)
    marks = Counter(entry.watermarks)
    for start in entry.periods:
        stored = values.get(period_key(*decode_name(key[len(_ACCOUNTS) :]), start))
        if stored is not None:
            marks |= Counter(unpack_period(stored).watermarks)
    return pack(replace(entry, watermarks=dict(sorted(marks.items()))))


def _may_be_forgotten(disk: Disk) -> set[bytes]:
    table = Table(DiskStore(disk, lambda _: None))
    documents = Documents(table, PARTITION, PARTITIONS)
    ledger = Ledger(documents.plans, table)
    states = [ledger.account(*name) for _, name in documents.names_after(b"")]
    return {key for state in states if state is not None for key in periods_to_drop(table, state)}


def _check_money(schedule: Schedule) -> None:
    """What was taken of each period comes to what its price says, by a sum that knows nothing of how it was rated."""
    counting, corrected = _taken(schedule)
    charges = [_decode_charge(record.value or b"") for record in schedule.kafka.read("charges")]
    charges = [charge for charge in charges if charge.usage_id]
    own = {(c.tenant, c.source, c.usage_id): c for c in charges if not c.corrects}
    measured = {fact.identity for fact in counting.values() if fact.quantity is not None}
    _require(own.keys() == measured, f"{sorted(own.keys() ^ measured)[:3]}: usage without a charge, or the other way")
    amounts: dict[tuple[str, ...], Decimal] = {}
    for charge in charges:
        amounts[_total_of(charge)] = amounts.get(_total_of(charge), Decimal(0)) + charge.amount
    quantities = dict.fromkeys(amounts, Decimal(0))
    for identity, charge in own.items():
        quantity = counting[identity].quantity or Decimal(0)
        _require(charge.quantity == quantity, f"{identity}: {charge.quantity} was charged instead of {quantity}")
        if identity not in corrected:
            quantities[_total_of(charge)] += quantity
    for total, amount in amounts.items():
        *_, tariff, version, meter = total
        wanted = PRICES[tariff, version][meter].amount(quantities[total])
        _require(amount == wanted, f"{total}: charges of {amount} for {quantities[total]}, which costs {wanted}")


def _total_of(charge: _Charge) -> tuple[str, ...]:
    return charge.tenant, charge.account, charge.period_start, charge.tariff, charge.version, charge.meter


def _taken(schedule: Schedule) -> tuple[dict[tuple[str, str, str], Fact], set[tuple[str, str, str]]]:
    """Usage that was sent and not rejected, by identity, and the identities that it corrects."""
    rejected = set()
    for record in schedule.kafka.read("usage_rejected"):
        said = dict(record.headers)
        if said["topic"] == b"usage":
            rejected.add((int(said["offset"]), int(said["index"])))
    taken: dict[tuple[str, str, str], Fact] = {}
    for record in schedule.kafka.read("usage"):
        message = schedule.sent.get(record.offset)
        for index, fact in enumerate(message.contents if message is not None else ()):
            if (record.offset, index) not in rejected and fact is not None:
                taken.setdefault(fact.identity, fact)
    return taken, {fact.corrected for fact in taken.values() if fact.corrects is not None}


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ProtocolError(otherwise)
