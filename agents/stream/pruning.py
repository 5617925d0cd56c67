"""Pruning: what lateness can no longer reach leaves the state, with the transaction that finds it.

A usage record's entry is needed as long as its duplicate would be taken for new usage: until its period is closed and
its meter is past the period's end by the tariff's lateness, when any record of that period is refused as too late. A
closed period goes when all of its meters have come so far, a later one is closed as well, and neither a statement to
come nor a level to be carried on goes back to it. Voids have no period of their own and stay.
"""

from agents.stream.table import Pack, Table
from pipeline.entries import Entry, Key, period_key, unpack_entry
from pipeline.ledger import LONG_AGO, AccountState, Ledger
from schemas.instants import DAY_US, SECOND_US

_LOOK_AFTER_US = 66 * DAY_US
"""Event time after which a pack is looked at: a month and the usual lateness. What is not past by then is kept."""


def pack_to_prune(table: Table) -> Pack | None:
    """The oldest pack, once most of it may be past; None before that."""
    if table.first_end + _LOOK_AFTER_US >= table.applied.reached:
        return None
    return table.oldest_pack()


def records_to_keep(pack: Pack, ledger: Ledger) -> dict[bytes, bytes]:
    """The entries of a pack that are still needed, by identity."""
    return {identity: stored for identity, stored in pack.records if not _is_past(unpack_entry(stored), ledger)}


def _is_past(entry: Entry, ledger: Ledger) -> bool:
    state = ledger.account(entry.tenant, entry.account)
    if state is None or not entry.postings:
        return False
    mark = state.watermarks.get(entry.meter, LONG_AGO)
    for posting in entry.postings:
        if posting.statement_start >= state.open_from:
            return False  # what it corrects may join that statement and must not be counted twice
        end = state.plan.calendar.period(posting.period_start)[1]
        under = state.plan.under(posting.tariff, posting.version, posting.start)
        if under is None or end > state.open_from or end + under.tariff.closing.lateness_s * SECOND_US >= mark:
            return False
    return True


def periods_to_drop(table: Table, state: AccountState) -> list[Key]:
    """The keys of an account's closed periods that nothing can reach any more; the latest closed one stays."""
    prefix = period_key(state.tenant, state.account, 0)[:-8]
    starts = [int.from_bytes(key[-8:], "big") - (1 << 63) for key, _ in table.scan(prefix)]
    *earlier, latest = [start for start in starts if start < state.open_from] or [state.open_from]
    to_be_stated = {start for period in state.held() for start in (*period.adjusted, *period.revised)}
    levels = _levels(state, latest)
    keys = []
    for start in reversed(earlier):
        own = _levels(state, start)
        if own <= levels and start not in to_be_stated and _is_unreachable(state, start):
            keys.append(period_key(state.tenant, state.account, start))
        levels |= own
    return keys


def _levels(state: AccountState, start: int) -> set[str]:
    """The items of a period whose levels later ones begin with, unless a period in between has these items as well."""
    end = state.plan.calendar.period(start)[1]
    return {
        name
        for entry in state.plan.within(start, end)
        for name, rules in entry.tariff.meters.items()
        if rules.aggregation.is_carried
    }


def _is_unreachable(state: AccountState, start: int) -> bool:
    end = state.plan.calendar.period(start)[1]
    for entry in state.plan.within(start, end):
        past = end + entry.tariff.closing.lateness_s * SECOND_US
        if any(state.watermarks.get(meter, LONG_AGO) <= past for meter in entry.tariff.items):
            return False
    return True
