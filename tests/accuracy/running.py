"""Running: documents and usage become files, and the files are read and rated.

In the order of event time this is what `ratestream rate` does: `load_catalogue`, then `rate_files`. In the order of
arrival the same files are read step by step into one ledger, because the case is about what was known when.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from agents.offline import rate_files
from pipeline.terms import Plans
from schemas.catalogue import Catalogue, load_catalogue
from schemas.files import read_usage
from schemas.rejection import Rejection
from tests.accuracy.documents import Documents, Json, Step
from tests.accuracy.result import Result, Run
from tests.small_books import LATER, Books


class RejectedError(Exception):
    """Usage of a case was not accepted."""


def run(documents: Documents, folder: Path) -> Result:
    """What the documents come to. Raises DocumentError for a tariff or account that is refused, or RejectedError."""
    if documents.order == "arrival":
        return _in_order_of_arrival(documents.steps, folder)
    (step,) = documents.steps
    usage = _write_usage(step, folder)
    rated = rate_files([usage], Plans(_catalogue(step, folder)), LATER)
    _none(rated.rejections)
    return Result([Run(rated.outcome.charges, rated.outcome.statements)])


def _in_order_of_arrival(steps: Sequence[Step], folder: Path) -> Result:
    books: Books | None = None
    runs = []
    for number, step in enumerate(steps):
        place = folder / str(number)
        place.mkdir()
        tariffs, accounts = _nouns(_catalogue(step, place))
        if books is None:
            books = Books(tariffs, accounts, closes=False)
        else:
            books.redeclare(tariffs, accounts)
        charges, statements = len(books.charges), len(books.statements)
        for batch in read_usage(_write_usage(step, place)):
            _none(batch.rejections)
            refusals = books.take(*batch.records).refusals
            _none([batch.rejection(index, refusal.reason, refusal.message) for index, refusal in refusals])
        if step.closes:
            books.close_all()
        runs.append(Run(books.charges[charges:], books.statements[statements:]))
    return Result(runs)


def _nouns(catalogue: Catalogue) -> tuple[list, list]:  # type: ignore[type-arg]
    return [t for versions in catalogue.tariffs.values() for t in versions], list(catalogue.accounts.values())


def _catalogue(step: Step, folder: Path) -> Catalogue:
    tariffs, accounts = folder / "tariffs.yaml", folder / "accounts.yaml"
    tariffs.write_text(yaml.dump_all(step.tariffs, Dumper=_Dumper, sort_keys=False), encoding="utf-8")
    accounts.write_text(yaml.dump({"accounts": list(step.accounts)}, Dumper=_Dumper, sort_keys=False), encoding="utf-8")
    return load_catalogue(tariffs, accounts)


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the parent's signature
        return True


def _write_usage(step: Step, folder: Path) -> Path:
    file = folder / "usage.jsonl"
    file.write_text("".join(f"{json.dumps(_written(facts))}\n" for facts in step.usage), encoding="utf-8")
    return file


def _written(facts: Json) -> Json:
    return {key: value for key, value in facts.items() if value is not None or key == "quantity"}


def _none(rejections: Sequence[Rejection]) -> None:
    if rejections:
        raise RejectedError(f"{rejections[0].reason}: {rejections[0].message}")
