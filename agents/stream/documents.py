"""Documents: the accounts of one partition and all tariffs, as they were published, while usage is being rated.

They are part of the partition's state, so a restored partition goes on under exactly what it has rated under. A
document that cannot be taken is refused and changes nothing: one that is not valid, a tariff version that has changed,
an account that contradicts what its usage was rated under. What is in force for usage that was rated already stays in
force there (succession.py). After table.py, before partition.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Literal, NamedTuple

from pydantic import ValidationError

from agents.stream.keys import account_key, account_of, partition_of
from agents.stream.table import Table
from agents.succession import (
    ACCOUNTS,
    ADOPTED,
    PASTS,
    TARIFFS,
    Declared,
    adopted_key,
    contradiction,
    decode_declared,
    decode_name,
    decode_past,
    document_key,
    encode,
    past_key,
    tariff_key,
)
from pipeline.entries import Key
from pipeline.entries import account_key as state_key
from pipeline.ledger import Ledger
from pipeline.terms import Plans, RatedPast
from schemas.account import Account
from schemas.catalogue import Catalogue, account_problems
from schemas.instants import DAY_US, to_us
from schemas.tariff import Tariff, canonical

Name = tuple[str, str]
"""Tenant and account."""


class Published(NamedTuple):
    """A message of `accounts`, `tariffs` or `commands`; `appended` is when, in microseconds."""

    topic: Literal["accounts", "tariffs", "commands"]
    key: bytes | None
    value: bytes | None
    offset: int
    appended: int


@dataclass(slots=True)
class Adoption:
    """What published documents change. `refused` says why for those that cannot be taken."""

    changes: dict[Key, bytes] = field(default_factory=dict)
    refused: list[tuple[Published, str]] = field(default_factory=list)
    accounts: set[Name] = field(default_factory=set)
    tariffs: list[tuple[Key, Tariff]] = field(default_factory=list)


class Documents:
    """The documents of one partition. `plans` are ready to rate with; accounts are read when first needed."""

    def __init__(self, table: Table, partition: int, partitions: int) -> None:
        self._table = table
        self._partition, self._partitions = partition, partitions
        adopted = dict(table.scan(ADOPTED))
        stored = sorted(table.scan(TARIFFS), key=lambda item: (adopted.get(adopted_key(item[0]), b""), item[0]))
        self._texts = dict(stored)
        self._tariffs = {key: Tariff.model_validate_json(text) for key, text in stored}
        self.plans = self._plans(self._tariffs)

    def declared(self, tenant: str, account: str) -> int:
        """When the account was first published (microseconds). Raises KeyError for one that never was."""
        return _Accounts(self._table).declared((tenant, account)).declared

    def names_after(self, cursor: bytes) -> Iterator[tuple[bytes, Name]]:
        """The accounts past a cursor, in the order of their keys, each with the cursor that goes on after it."""
        for key, _ in self._table.scan(ACCOUNTS, cursor):
            yield key[len(ACCOUNTS) :], decode_name(key[len(ACCOUNTS) :])

    def adopt(self, published: Sequence[Published], ledger: Ledger) -> Adoption:
        """What the documents change; `taken` then makes it so. The ledger has no changes of its own."""
        adoption = Adoption()
        tariffs = dict(self._tariffs)
        for message in published:
            if message.topic == "tariffs":
                refusal = self._adopt_tariff(message, tariffs, adoption, ledger)
                if refusal:
                    adoption.refused.append((message, refusal))
        for message in published:
            if message.topic == "accounts":
                refusal = self._adopt_account(message, tariffs, adoption, ledger)
                if refusal:
                    adoption.refused.append((message, refusal))
        return adoption

    def taken(self, adoption: Adoption) -> None:
        """The adoption is stored: rate with it from now on. Accounts that were read before have to be read again."""
        if adoption.tariffs:
            for key, tariff in adoption.tariffs:
                self._tariffs[key] = tariff
                self._texts[key] = adoption.changes[key]
            self.plans = self._plans(self._tariffs)

    def _plans(self, tariffs: Mapping[Key, Tariff]) -> Plans:
        return Plans(self._catalogue(tariffs), _Pasts(self._table))

    def _catalogue(self, tariffs: Mapping[Key, Tariff], accounts: Mapping[Name, Account] | None = None) -> Catalogue:
        return Catalogue(
            Catalogue.of(tariffs.values(), []).tariffs, _Accounts(self._table) if accounts is None else accounts
        )

    def _adopt_tariff(
        self, message: Published, tariffs: dict[Key, Tariff], adoption: Adoption, ledger: Ledger
    ) -> str | None:
        """Add the tariff version, or say why it cannot be taken."""
        try:
            tariff = Tariff.model_validate_json(message.value or b"")
        except ValidationError as error:
            return f"tariff message {_shown(message.key)}: {_told(error)}. Publish a valid version"
        message_key = f"{tariff.tariff}@{tariff.version}".encode()
        if message.key != message_key:  # versions under one key would be compacted away
            return (
                f"tariff {tariff.tariff} version {tariff.version} has the key {_shown(message.key)}. "
                f"Publish it with the key {_shown(message_key)}"
            )
        key, text = tariff_key(tariff), canonical(tariff)
        known = adoption.changes.get(key) or self._texts.get(key)
        if known is not None:
            return None if known == text else _changed(tariff)
        others = [other for other in tariffs.values() if other.tariff == tariff.tariff]
        if any(other.currency != tariff.currency for other in others):
            return (
                f"tariff {tariff.tariff} version {tariff.version} is in {tariff.currency}, its other versions are in "
                f"{others[0].currency}. Publish a tariff with a name of its own"
            )
        after = {**tariffs, key: tariff}
        pasts = self._pasts_after(tariff, after, ledger)
        if isinstance(pasts, str):
            return pasts
        tariffs[key] = tariff
        adoption.tariffs.append((key, tariff))
        adoption.changes[key] = text
        adoption.changes[adopted_key(key)] = message.offset.to_bytes(8, "big")
        adoption.changes.update({past_key(*name): encode(past) for name, past in pasts.items()})
        adoption.accounts.update(pasts)
        return None

    def _pasts_after(
        self, tariff: Tariff, tariffs: Mapping[Key, Tariff], ledger: Ledger
    ) -> dict[Name, RatedPast] | str:
        """What has to stay in force for accounts with usage after the version takes effect; or why it cannot."""
        begins = to_us(datetime.combine(tariff.effective_from, time(), UTC)) - DAY_US  # in the zone that is first
        if self._table.applied.reached <= begins:
            return {}
        after = Plans(self._catalogue(tariffs), _Pasts(self._table))
        pasts: dict[Name, RatedPast] = {}
        for _, name in self.names_after(b""):
            found = self._contradiction(name, after, ledger)
            if isinstance(found, str):
                return found
            if found is not None:
                pasts[name] = found
        return pasts

    def _contradiction(self, name: Name, after: Plans, ledger: Ledger) -> str | RatedPast | None:
        if self._table.get(state_key(*name)) is None:
            return None
        state, new = ledger.account(*name), after.account(*name)
        return None if state is None or new is None else contradiction(state, state.plan, new)

    def _adopt_account(  # noqa: PLR0911 - one return for each way to be refused
        self, message: Published, tariffs: Mapping[Key, Tariff], adoption: Adoption, ledger: Ledger
    ) -> str | None:
        """Add the account, or say why it cannot be taken."""
        if message.value is None:
            return f"account message {_shown(message.key)} is empty: an account is ended with `until`, never deleted"
        try:
            account = Account.model_validate_json(message.value)
        except ValidationError as error:
            return f"account message {_shown(message.key)}: {_told(error)}. Publish a valid document"
        name = (account.tenant, account.account)
        if partition_of(account_key(*name), self._partitions) != self._partition or message.key != account_key(*name):
            return (
                f"account {account.account} of tenant {account.tenant} has the key {_shown(message.key)}, in partition "
                f"{self._partition}. Publish it with the key {_shown(account_key(*name))}"
            )
        catalogue = self._catalogue(tariffs, {name: account})
        problems = account_problems(account, catalogue.tariffs)
        if problems:
            return f"account {account.account}: {'; '.join(problems)}"
        before = self._document(name, adoption)
        document = account.model_dump_json(by_alias=True, exclude_defaults=True)
        if before is not None and before.document == document:
            return None
        found = self._contradiction(name, Plans(catalogue, _Pasts(self._table)), ledger)
        if isinstance(found, str):
            return found
        adoption.changes[document_key(*name)] = encode(
            Declared(before.declared if before is not None else message.appended, document)
        )
        if found is not None:
            adoption.changes[past_key(*name)] = encode(found)
        adoption.accounts.add(name)
        return None

    def _document(self, name: Name, adoption: Adoption) -> Declared | None:
        """The account's document as it is now."""
        stored = adoption.changes.get(document_key(*name)) or self._table.get(document_key(*name))
        return None if stored is None else decode_declared(stored)


class _Accounts(Mapping[Name, Account]):
    """The accounts of a partition, each read from the table when it is asked for."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def declared(self, name: Name) -> Declared:
        """The document as it is stored, and when it was first published."""
        stored = self._table.get(document_key(*name))
        if stored is None:
            raise KeyError(name)
        return decode_declared(stored)

    def __getitem__(self, name: Name) -> Account:
        return Account.model_validate_json(self.declared(name).document)

    def __iter__(self) -> Iterator[Name]:
        return (decode_name(key[len(ACCOUNTS) :]) for key, _ in self._table.scan(ACCOUNTS))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Pasts(Mapping[Name, RatedPast]):
    """What stays in force for accounts although their documents say something else."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __getitem__(self, name: Name) -> RatedPast:
        stored = self._table.get(past_key(*name))
        if not stored:
            raise KeyError(name)
        return decode_past(stored)

    def __iter__(self) -> Iterator[Name]:
        return (decode_name(key[len(PASTS) :]) for key, value in self._table.scan(PASTS) if value)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _changed(tariff: Tariff) -> str:
    return (
        f"tariff {tariff.tariff} version {tariff.version} is not what it was when it was first published. A version "
        "never changes: publish the change as a new version with a later effective_from"
    )


def _told(error: ValidationError) -> str:
    """The first few problems of a document, on one line."""
    details = error.errors(include_url=False, include_input=False)
    told = [f"{'.'.join(map(str, detail['loc'])) or 'document'}: {detail['msg']}" for detail in details[:3]]
    return "; ".join([*told, *([f"and {len(details) - 3} more"] if len(details) > 3 else [])])


def _shown(key: bytes | None) -> str:
    return repr((key or b"").decode("utf-8", "backslashreplace"))[:80]


def account_named(key: bytes | None) -> Name:
    """The tenant and account of a message key; two empty texts where it is none."""
    try:
        return account_of(key or b"")
    except ValueError:
        return "", ""
