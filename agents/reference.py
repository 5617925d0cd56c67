"""Reference: the tariffs and accounts under which a directory's usage was rated.

They are kept in the directory, so that a running bill and an explanation need no files, and so that what was charged
stays true: a tariff version never changes, and what was in force for an account while its usage was rated stays in
force there. What is new is adopted with the journal entry that tells ClickHouse of it.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from agents.directory import Directory
from agents.errors import SuccessionError
from agents.journal import encode_tables
from pipeline.entries import Key, account_key, pack
from pipeline.ledger import LONG_AGO, AccountState, Ledger
from pipeline.terms import AccountPlan, Plans
from schemas.account import Account
from schemas.catalogue import Catalogue
from schemas.instants import to_iso
from schemas.tariff import Tariff, canonical
from sinks.document_columns import accounts_table, tariffs_table

_TARIFFS, _ACCOUNTS = b"rt", b"ra"
_SHOWN = 20
"""Problems that one error tells; the rest is counted."""


class Declared(Struct, frozen=True, array_like=True):
    """An account's document, and when this directory first heard of it (microseconds)."""

    declared: int
    document: str


_encode = Encoder().encode
_decode = Decoder(Declared).decode


class Reference:
    """The tariffs and accounts of one directory."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._tariffs = dict(directory.scan(_TARIFFS))
        self._accounts = {key: _decode(value) for key, value in directory.scan(_ACCOUNTS)}
        self._plans: Plans | None = None

    def plans(self) -> Plans:
        """The stored tariffs and accounts, ready to rate with; read once, as every question asks for them."""
        if self._plans is None:
            self._plans = self._read_plans()
        return self._plans

    def _read_plans(self) -> Plans:
        tariffs = [Tariff.model_validate_json(document) for document in self._tariffs.values()]
        accounts = [Account.model_validate_json(stored.document) for stored in self._accounts.values()]
        return Plans(Catalogue.of(tariffs, accounts))

    def declared(self, tenant: str, account: str) -> int:
        """When the account was first heard of."""
        return self._accounts[_document_key(tenant, account)].declared

    def adopt(self, given: Catalogue, now: int) -> Plans:
        """Take in new and changed documents; what is stored and not given stays.

        Raises SuccessionError where something given contradicts what usage was rated under; then nothing is taken in.
        """
        tariffs = {_tariff_key(t): canonical(t) for versions in given.tariffs.values() for t in versions}
        accounts = {_document_key(*key): account for key, account in given.accounts.items()}
        problems = [self._changed_version(key) for key, text in tariffs.items() if self._tariffs.get(key, text) != text]
        _stop_at(problems)
        new_tariffs = {key: text for key, text in tariffs.items() if key not in self._tariffs}
        new_accounts = {key: stored for key, a in accounts.items() if (stored := self._newer(key, a, now)) is not None}
        if not (new_tariffs or new_accounts):
            return self.plans()
        before = self.plans()
        self._tariffs.update(new_tariffs)
        self._accounts.update(new_accounts)
        after = self._plans = self._read_plans()
        _stop_at(self._contradictions(before, after))
        self._store(new_tariffs, new_accounts)
        return after

    def _newer(self, key: Key, account: Account, now: int) -> Declared | None:
        """The account as it is to be stored; None where it is stored like that."""
        document = account.model_dump_json(by_alias=True, exclude_defaults=True)
        stored = self._accounts.get(key)
        if stored is not None and stored.document == document:
            return None
        return Declared(stored.declared if stored else now, document)

    def _changed_version(self, key: Key) -> str:
        name, version = key[len(_TARIFFS) :].decode().split("\0")
        return (
            f"tariff {name} version {version} is not what it was when {self._directory.path} first used it. A "
            "version never changes: put it back, and publish the change as a new version with a later effective_from"
        )

    def _contradictions(self, before: Plans, after: Plans) -> Iterator[str]:
        """What the accounts that have been rated would have been rated under instead."""
        ledger = Ledger(before, self._directory)
        for tenant, account in before.accounts():
            old, new = before.account(tenant, account), after.account(tenant, account)
            if old is None or new is None or (old.assignments == new.assignments and _basics(old) == _basics(new)):
                continue
            state = ledger.account(tenant, account)
            if state is not None and self._directory.get(account_key(tenant, account)) is not None:
                yield from _contradiction(state, old, new)

    def _store(self, tariffs: dict[Key, bytes], accounts: dict[Key, Declared]) -> None:
        seq = self._directory.seq + 1
        tables = {}
        if tariffs:
            named = [(*key[len(_TARIFFS) :].decode().split("\0"), text.decode()) for key, text in tariffs.items()]
            tables["tariffs"] = tariffs_table([(name, version, text) for name, version, text in named], seq)
        if accounts:
            documents = [
                (Account.model_validate_json(stored.document), stored.document) for stored in accounts.values()
            ]
            tables["accounts"] = accounts_table([(a.tenant, a.account, text) for a, text in documents], seq)
        changes = {**tariffs, **{key: _encode(stored) for key, stored in accounts.items()}}
        self._directory.commit(changes, encode_tables(tables))


def _contradiction(state: AccountState, old: AccountPlan, new: AccountPlan) -> Iterator[str]:
    reached = max([state.open_from, *state.watermarks.values()])
    if _basics(old) != _basics(new):
        yield (
            f"account {state.account}: zone, currency and billing periods were {_basics(old)} when its usage was rated "
            "and cannot change. Put them back, or end this account with `until` and begin a new one"
        )
    elif _in_force(old, reached) != _in_force(new, reached):
        yield (
            f"account {state.account}: usage up to {to_iso(reached)} has been rated, and the tariffs or versions in "
            "force before that would change. Let entries and versions take effect later than that"
        )


def _basics(plan: AccountPlan) -> str:
    account = plan.account
    return f"{account.zone} ({account.clock}), {account.currency}, day {account.billing_day}, {account.cycle}"


def _in_force(plan: AccountPlan, until: int) -> list[tuple[str, str, int, int]]:
    return [(e.tariff.tariff, e.tariff.version, e.start, e.end) for e in plan.within(LONG_AGO, until)]


def _tariff_key(tariff: Tariff) -> Key:
    return _TARIFFS + f"{tariff.tariff}\0{tariff.version}".encode()


def _document_key(tenant: str, account: str) -> Key:
    return _ACCOUNTS + pack((tenant, account))


def _stop_at(problems: Iterable[str]) -> None:
    found = list(problems)
    if found:
        more = [f"... and {len(found) - _SHOWN} more of the kind"] if len(found) > _SHOWN else []
        raise SuccessionError("\n".join([*(f"{problem}." for problem in found[:_SHOWN]), *more]))
