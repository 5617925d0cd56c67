"""Succession: tariffs and accounts as they are stored, and which ones may follow those that usage was rated under.

rt <name> 00 <version>       a tariff version
rs <name> 00 <version>       when it was adopted, a number: of two for the same date the later one holds
ra [tenant, account]         an account
rp [tenant, account]         what stays in force for it although the documents say something else; nothing, or empty
"""

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from pipeline.entries import Key, pack
from pipeline.ledger import LONG_AGO, AccountState
from pipeline.terms import AccountPlan, RatedPast
from schemas.instants import to_iso
from schemas.tariff import Tariff

TARIFFS, ADOPTED, ACCOUNTS, PASTS = b"rt", b"rs", b"ra", b"rp"


class Declared(Struct, frozen=True, array_like=True):
    """An account's document, and when this directory first heard of it (microseconds)."""

    declared: int
    document: str


encode = Encoder().encode
decode_declared = Decoder(Declared).decode
decode_past = Decoder(RatedPast).decode
decode_name = Decoder(tuple[str, str]).decode


def contradiction(state: AccountState, old: AccountPlan, new: AccountPlan) -> str | RatedPast | None:
    """What of the old plan has to stay in force, as usage was rated under it; or why the new one cannot follow it."""
    reached = max([state.open_from, *state.watermarks.values()])
    if basics(old) != basics(new):
        return (
            f"account {state.account}: zone, currency and billing periods were {basics(old)} when its usage was rated "
            "and cannot change. Put them back, or end this account with `until` and begin a new one"
        )
    if _in_force(old, reached) == _in_force(new, reached):
        return None
    unpriced = _unpriced(state, old, new, reached)
    if unpriced is not None:
        meter, since = unpriced
        return (
            f"account {state.account}: usage up to {to_iso(reached)} has been rated, and meter {meter!r} would have no "
            f"tariff from {to_iso(since)} on. Let its tariffs end later than that"
        )
    ends = [old.calendar.period(reached - 1)[1]] if reached > state.open_from else []
    until = max([state.open_from, *ends, *(period.end for period in state.held())])
    return RatedPast(until, _in_force(old, until))


def _unpriced(state: AccountState, old: AccountPlan, new: AccountPlan, reached: int) -> tuple[str, int] | None:
    """A meter that has sent usage, and since when it would have no tariff where it had one."""
    for entry in old.within(LONG_AGO, reached):
        for meter in sorted(entry.tariff.items.keys() & state.watermarks.keys()):
            since = entry.start
            while since < min(entry.end, state.watermarks[meter]):
                found = new.at(meter, since)
                if found is None:
                    return meter, since
                since = found.end
    return None


def basics(plan: AccountPlan) -> str:
    """What no later document of an account may change, as it is told."""
    account = plan.account
    return f"{account.zone} ({account.clock}), {account.currency}, day {account.billing_day}, {account.cycle}"


def _in_force(plan: AccountPlan, until: int) -> list[tuple[str, str, int, int]]:
    return [(e.tariff.tariff, e.tariff.version, e.start, e.end) for e in plan.within(LONG_AGO, until)]


def tariff_key(tariff: Tariff) -> Key:
    """Where the tariff version is kept."""
    return TARIFFS + f"{tariff.tariff}\0{tariff.version}".encode()


def adopted_key(tariff: Key) -> Key:
    """Where it is kept when the tariff version of this key was adopted."""
    return ADOPTED + tariff[len(TARIFFS) :]


def past_key(tenant: str, account: str) -> Key:
    """Where it is kept what stays in force for the account."""
    return PASTS + pack((tenant, account))


def document_key(tenant: str, account: str) -> Key:
    """Where the account's document is kept."""
    return ACCOUNTS + pack((tenant, account))
