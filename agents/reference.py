"""Reference: the tariffs and accounts under which a directory's usage was rated.

They are kept in the directory, so that a running bill and an explanation need no files, and so that what was charged
stays true: a tariff version never changes, and what was in force for an account while its usage was rated stays in
force there, to the end of the last billing period that holds any, until the account is rated again (rerating.py). What
is new is adopted with the journal entry that tells ClickHouse of it. succession.py has the stored forms.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from agents.directory import Directory
from agents.errors import SuccessionError
from agents.journal import encode_tables
from agents.succession import (
    ACCOUNTS,
    ADOPTED,
    PASTS,
    TARIFFS,
    Declared,
    adopted_key,
    basics,
    contradiction,
    decode_declared,
    decode_name,
    decode_past,
    document_key,
    encode,
    past_key,
    tariff_key,
)
from pipeline.entries import Key, account_key
from pipeline.ledger import AccountState, Ledger
from pipeline.terms import AccountPlan, Plans, RatedPast
from schemas.account import Account
from schemas.catalogue import Catalogue
from schemas.tariff import Tariff, canonical
from sinks.document_columns import accounts_table, tariffs_table

_SHOWN = 20
"""Problems that one error tells; the rest is counted."""

Pasts = dict[tuple[str, str], RatedPast]


@dataclass(frozen=True, slots=True)
class Succession:
    """What a directory would hold with some documents: `plans` to go on with, and `asked`, the documents' own."""

    plans: Plans
    asked: Plans
    tariffs: dict[Key, bytes] = field(default_factory=dict)
    accounts: dict[Key, Declared] = field(default_factory=dict)
    pasts: Pasts = field(default_factory=dict)


class Reference:
    """The tariffs and accounts of one directory."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._tariffs = dict(directory.scan(TARIFFS))
        self._adopted = dict(directory.scan(ADOPTED))
        self._accounts = {key: decode_declared(value) for key, value in directory.scan(ACCOUNTS)}
        self._pasts: Pasts = {
            decode_name(key[len(PASTS) :]): decode_past(value) for key, value in directory.scan(PASTS) if value
        }
        self._plans: Plans | None = None

    def plans(self) -> Plans:
        """The stored tariffs and accounts, ready to rate with; read once, as every question asks for them."""
        if self._plans is None:
            self._plans = Plans(self._catalogue({}, {}), self._pasts)
        return self._plans

    def behind(self) -> Pasts:
        """The accounts for which something stays in force that the documents no longer say."""
        return self._pasts

    def release(self, tenant: str, account: str) -> dict[Key, bytes]:
        """The change with which an account's documents hold for its past, too; `released` says that it is stored."""
        return {past_key(tenant, account): b""} if (tenant, account) in self._pasts else {}

    def released(self, tenant: str, account: str) -> None:
        """The account's documents hold for all of its time now."""
        if self._pasts.pop((tenant, account), None) is not None:
            self._plans = None

    def _catalogue(self, tariffs: dict[Key, bytes], accounts: dict[Key, Declared]) -> Catalogue:
        """What is stored, and what comes to it."""
        stored = sorted(self._tariffs, key=lambda key: (self._adopted.get(adopted_key(key), b""), key))
        documents = [*(self._tariffs[key] for key in stored), *tariffs.values()]
        declared = (self._accounts | accounts).values()
        return Catalogue.of(
            [Tariff.model_validate_json(document) for document in documents],
            [Account.model_validate_json(one.document) for one in declared],
        )

    def declared(self, tenant: str, account: str) -> int:
        """When the account was first heard of."""
        return self._accounts[document_key(tenant, account)].declared

    def adopt(self, given: Catalogue, now: int) -> Plans:
        """Take in new and changed documents; what is stored and not given stays.

        Raises SuccessionError where something given contradicts what usage was rated under; then nothing is taken in.
        """
        found = self.succession(given, now)
        if found.tariffs or found.accounts:
            self._store(found)
            self._plans = found.plans
        return self.plans()

    def succession(self, given: Catalogue, now: int) -> Succession:
        """What adopting documents would come to. Raises SuccessionError as `adopt` does."""
        tariffs = {tariff_key(t): canonical(t) for versions in given.tariffs.values() for t in versions}
        accounts = {document_key(*key): account for key, account in given.accounts.items()}
        problems = [self._changed_version(key) for key, text in tariffs.items() if self._tariffs.get(key, text) != text]
        _stop_at(problems)
        new_tariffs = {key: text for key, text in tariffs.items() if key not in self._tariffs}
        new_accounts = {key: stored for key, a in accounts.items() if (stored := self._newer(key, a, now)) is not None}
        catalogue = self._catalogue(new_tariffs, new_accounts)
        if not (new_tariffs or new_accounts):
            return Succession(self.plans(), Plans(catalogue))
        before, after = self.plans(), Plans(catalogue, self._pasts)
        problems, pasts = [], {}
        for state, old, new in self._rated(before, after):
            found = contradiction(state, old, new)
            if isinstance(found, str):
                problems.append(found)
            elif found is not None:
                pasts[state.tenant, state.account] = found
        _stop_at(problems)
        plans = Plans(catalogue, self._pasts | pasts) if pasts else after
        return Succession(plans, Plans(catalogue), new_tariffs, new_accounts, pasts)

    def _newer(self, key: Key, account: Account, now: int) -> Declared | None:
        """The account as it is to be stored; None where it is stored like that."""
        document = account.model_dump_json(by_alias=True, exclude_defaults=True)
        stored = self._accounts.get(key)
        if stored is not None and stored.document == document:
            return None
        return Declared(stored.declared if stored else now, document)

    def _changed_version(self, key: Key) -> str:
        name, version = key[len(TARIFFS) :].decode().split("\0")
        return (
            f"tariff {name} version {version} is not what it was when {self._directory.path} first used it. A "
            "version never changes: put it back, and publish the change as a new version with a later effective_from"
        )

    def _rated(self, before: Plans, after: Plans) -> Iterator[tuple[AccountState, AccountPlan, AccountPlan]]:
        """The accounts that hold something and whose plan would change: their state, and both plans."""
        ledger = Ledger(before, self._directory)
        for tenant, account in before.accounts():
            old, new = before.account(tenant, account), after.account(tenant, account)
            if old is None or new is None or (old.assignments == new.assignments and basics(old) == basics(new)):
                continue
            state = ledger.account(tenant, account)
            if state is not None and self._directory.get(account_key(tenant, account)) is not None:
                yield state, old, new

    def _store(self, found: Succession) -> None:
        seq = self._directory.seq + 1
        tables = {}
        if found.tariffs:
            named = [(*key[len(TARIFFS) :].decode().split("\0"), text.decode()) for key, text in found.tariffs.items()]
            tables["tariffs"] = tariffs_table([(name, version, text) for name, version, text in named], seq)
        if found.accounts:
            documents = [
                (Account.model_validate_json(stored.document), stored.document) for stored in found.accounts.values()
            ]
            tables["accounts"] = accounts_table([(a.tenant, a.account, text) for a, text in documents], seq)
        adopted = {adopted_key(key): seq.to_bytes(8, "big") for key in found.tariffs}
        accounts = {key: encode(stored) for key, stored in found.accounts.items()}
        pasts = {past_key(*name): encode(past) for name, past in found.pasts.items()}
        self._directory.commit({**found.tariffs, **adopted, **accounts, **pasts}, encode_tables(tables))
        self._tariffs.update(found.tariffs)
        self._adopted.update(adopted)
        self._accounts.update(found.accounts)
        self._pasts.update(found.pasts)


def _stop_at(problems: Iterable[str]) -> None:
    found = list(problems)
    if found:
        more = [f"... and {len(found) - _SHOWN} more of the kind"] if len(found) > _SHOWN else []
        raise SuccessionError("\n".join([*(f"{problem}." for problem in found[:_SHOWN]), *more]))
