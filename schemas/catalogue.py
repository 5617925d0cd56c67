"""The catalogue: all tariffs and accounts, checked against each other before any usage is read.

Whatever is wrong in any of the files is told in one DocumentError. The files are compared only once each is right by
itself, so that one mistake is not told twice.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import combinations, pairwise
from pathlib import Path as FilePath
from typing import Generic, NamedTuple, Self, TypeVar

from pydantic import BaseModel

from schemas.account import Account, AccountFile, TariffEntry
from schemas.documents import SUFFIXES, read_documents
from schemas.node import Document, Node
from schemas.problem import DocumentError, Path, Problem, nearest
from schemas.tariff import Tariff
from schemas.validation import validate

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Tariffs by name, their versions in the order of `effective_from`; accounts by (tenant, account)."""

    tariffs: Mapping[str, tuple[Tariff, ...]]
    accounts: Mapping[tuple[str, str], Account]

    @classmethod
    def of(cls, tariffs: Iterable[Tariff], accounts: Iterable[Account]) -> Self:
        """The catalogue of nouns that agree with each other."""
        versions: dict[str, list[Tariff]] = {}
        for tariff in sorted(tariffs, key=lambda tariff: (tariff.tariff, tariff.effective_from)):
            versions.setdefault(tariff.tariff, []).append(tariff)
        return cls(
            {name: tuple(of_name) for name, of_name in versions.items()},
            {(account.tenant, account.account): account for account in accounts},
        )


def load_catalogue(tariffs: FilePath, accounts: FilePath | None) -> Catalogue:
    """The tariffs and accounts of two files, or directories of *.yaml, *.yml and *.json files.

    Without accounts the tariffs are checked by themselves. Raises DocumentError with all problems of all files.
    """
    tariff_documents, tariff_problems = _load(tariffs, Tariff)
    account_documents, account_problems = _load(accounts, AccountFile) if accounts is not None else ([], [])
    _stop_at([*tariff_problems, *account_problems])
    placed_tariffs = [_Placed(document, (), tariff) for document, tariff in tariff_documents]
    placed_accounts = [
        _Placed(document, ("accounts", index), account)
        for document, of_document in account_documents
        for index, account in enumerate(of_document.accounts)
    ]
    _stop_at([*_repeated_tariffs(placed_tariffs), *_repeated_accounts(placed_accounts)])
    catalogue = Catalogue.of((placed.noun for placed in placed_tariffs), (placed.noun for placed in placed_accounts))
    _stop_at(problem for placed in placed_accounts for problem in _account_problems(placed, catalogue.tariffs))
    return catalogue


def account_problems(account: Account, tariffs: Mapping[str, tuple[Tariff, ...]]) -> list[str]:
    """What keeps an account that is no part of a file from being rated under these tariffs, each with a remedy."""
    placed = _Placed(Document("", Node(0, {})), (), account)
    found = _account_problems(placed, tariffs)
    return [f"{problem.path}: {problem.what} - {problem.remedy}" for problem in found]


def _stop_at(problems: Iterable[Problem]) -> None:
    found = list(problems)
    if found:
        raise DocumentError(found)


def _load(place: FilePath, model: type[M]) -> tuple[list[tuple[Document, M]], list[Problem]]:
    loaded = []
    files, problems = _files(place)
    for file in files:
        documents, file_problems = read_documents(file)
        problems += file_problems
        for document in documents:
            noun, noun_problems = validate(model, document)
            problems += noun_problems
            if noun is not None:
                loaded.append((document, noun))
    return loaded, problems


def _files(place: FilePath) -> tuple[list[FilePath], list[Problem]]:
    if not place.is_dir():
        return [place], []
    files = sorted(file for file in place.iterdir() if file.suffix in SUFFIXES and not file.name.startswith("."))
    if files:
        return files, []
    remedy = f"put a {', '.join(sorted(SUFFIXES))} file there or give another path"
    return [], [Problem(str(place), 0, "", "no document in the directory", "", remedy)]


class _Placed(NamedTuple, Generic[T]):
    """A noun and where it stands."""

    document: Document
    path: Path
    noun: T

    def problem(self, at: Path, what: str, remedy: str) -> Problem:
        """A problem at a path relative to the noun."""
        return self.document.problem((*self.path, *at), what, remedy)

    def where(self, at: Path = ()) -> str:
        """File and line, for a problem elsewhere that points here."""
        found = self.problem(at, "", "")
        return f"{found.file}:{found.line}"


def _repeated_tariffs(placed: list[_Placed[Tariff]]) -> Iterator[Problem]:
    versions: dict[tuple[str, str], _Placed[Tariff]] = {}
    starts: dict[tuple[str, date], _Placed[Tariff]] = {}
    for item in placed:
        tariff = item.noun
        same_version = versions.setdefault((tariff.tariff, tariff.version), item)
        same_start = starts.setdefault((tariff.tariff, tariff.effective_from), item)
        if same_version is not item:
            what = f"{tariff.tariff}@{tariff.version} is already at {same_version.where(('version',))}"
            yield item.problem(("version",), what, "give the new version another name")
        elif same_start is not item:
            what = f"version {same_start.noun.version} at {same_start.where()} takes effect on the same date"
            yield item.problem(("effective_from",), what, "date one of them later")


def _repeated_accounts(placed: list[_Placed[Account]]) -> Iterator[Problem]:
    seen: dict[tuple[str, str], _Placed[Account]] = {}
    for item in placed:
        first = seen.setdefault((item.noun.tenant, item.noun.account), item)
        if first is not item:
            what = f"account of tenant {item.noun.tenant} is already at {first.where(('account',))}"
            yield item.problem(("account",), what, "remove one, or put all its tariffs under one account")


def _account_problems(placed: _Placed[Account], tariffs: Mapping[str, tuple[Tariff, ...]]) -> Iterator[Problem]:
    spans: list[_Span] = []
    for index, entry in enumerate(placed.noun.tariffs):
        versions = tariffs.get(entry.tariff, ())
        if not versions:
            remedy = f"publish it among the tariffs, or {nearest(entry.tariff, tariffs)}"
            yield placed.problem(("tariffs", index, "tariff"), "no such tariff", remedy)
        elif entry.from_ < versions[0].effective_from:
            first = versions[0]
            what = f"{entry.tariff} takes effect only on {first.effective_from} (version {first.version})"
            remedy = f"start the entry on {first.effective_from}, or publish an earlier version"
            yield placed.problem(("tariffs", index, "from"), what, remedy)
        else:
            spans += _spans(index, entry, versions)
    yield from _currency_problems(placed, spans)
    yield from _priced_twice(placed, spans)


class _Span(NamedTuple):
    """The dates `[start, end)` during which one entry of an account puts one version in force."""

    entry: int
    start: date
    end: date
    tariff: Tariff


def _spans(index: int, entry: TariffEntry, versions: tuple[Tariff, ...]) -> Iterator[_Span]:
    starts = [tariff.effective_from for tariff in versions]
    for tariff, (start, end) in zip(versions, pairwise([*starts, date.max]), strict=True):
        first, last = max(start, entry.from_), min(end, entry.end or date.max)
        if first < last:
            yield _Span(index, first, last, tariff)


def _currency_problems(placed: _Placed[Account], spans: list[_Span]) -> Iterator[Problem]:
    for span in spans:
        if span.tariff.currency != placed.noun.currency:
            what = f"{span.tariff.tariff}@{span.tariff.version} is in {span.tariff.currency}"
            what += f", the account in {placed.noun.currency}"
            remedy = f"give the account a tariff in {placed.noun.currency}, or change its currency"
            yield placed.problem(("tariffs", span.entry, "tariff"), what, remedy)


def _priced_twice(placed: _Placed[Account], spans: list[_Span]) -> Iterator[Problem]:
    """One problem for each pair of entries that price a meter, or items of one name, on the same date."""
    told: set[tuple[int, int]] = set()
    for one, other in combinations(spans, 2):
        meters = sorted(one.tariff.items.keys() & other.tariff.items.keys())
        items = sorted(one.tariff.meters.keys() & other.tariff.meters.keys())
        start, end = max(one.start, other.start), min(one.end, other.end)
        if not (meters or items) or start >= end or (one.entry, other.entry) in told:
            continue
        told.add((one.entry, other.entry))
        twice = f"meter {meters[0]} is priced twice" if meters else f"item {items[0]} is there twice"
        what = f"{twice} from {start}: by {one.tariff.tariff} and by {other.tariff.tariff}"
        remedy = f"end one entry by then: until: {start}"
        yield placed.problem(("tariffs", other.entry), what, remedy)
