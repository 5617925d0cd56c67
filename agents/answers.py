"""Answers: what people ask of a data directory, from the state and from ClickHouse.

A question is a value, so that it can be put to the process that has the directory (owner.py). An answer is a list of
bytes: the JSON of nouns (schemas/codecs), or an encoded table (sinks/columns).
"""

from pathlib import Path
from typing import assert_never

from msgspec import Struct
from msgspec.json import encode
from msgspec.structs import replace

from agents.books import Books
from agents.errors import NoAnswerError
from agents.reporting import answer_report
from agents.reports import Report
from pipeline.calendar import days_between
from pipeline.closing import close_next
from pipeline.ledger import Ledger
from pipeline.terms import AccountPlan, Plans
from schemas.charge import Charge
from schemas.codecs import json_bytes
from schemas.rejection import Reason
from schemas.statement import Statement
from schemas.tariff import canonical
from sinks import queries
from sinks.columns import encode_table
from sinks.export import Format, write_export


class StatementOf(Struct, frozen=True, tag=True):
    """The statement of the period of this name, such as `2024-05`, or the latest one: its JSON."""

    tenant: str
    account: str
    period: str | None = None


class BillOf(Struct, frozen=True, tag=True):
    """What each open period with usage, and each closed one that late usage has joined, comes to so far: statements of
    revision 0, as if no more usage came.
    """

    tenant: str
    account: str


class StatementHeads(Struct, frozen=True, tag=True):
    """All statements, or those of an account, without lines: a table."""

    tenant: str = ""
    account: str = ""
    limit: int = 1_000


class ChargesOf(Struct, frozen=True, tag=True):
    """The charges of an account, or of one of its statements: their JSON."""

    tenant: str
    account: str
    period: str | None = None
    limit: int = 1_000


class ChargeById(Struct, frozen=True, tag=True):
    """One charge, by its id or the beginning of it: its JSON; Grounds as JSON; the tariff version, if it has one."""

    charge_id: str


class RejectedUsage(Struct, frozen=True, tag=True):
    """Rejections of one reason, or all: their JSON."""

    reason: Reason | None = None
    limit: int = 1_000


class Sql(Struct, frozen=True, tag=True):
    """A SELECT of the user's: a table."""

    statement: str


class ExportTo(Struct, frozen=True, tag=True):
    """All tables as files of a directory: `rows path`, a line each."""

    folder: str
    kind: Format


class ReportOf(Struct, frozen=True, tag=True):
    """One of the reports: tables, and JSON where it says so."""

    report: Report


class Grounds(Struct, frozen=True):
    """What an explanation needs besides the charge and its tariff: the account's zone, and by the name of a time band
    (one named "" where there are none) for how many days its per-day bounds count.
    """

    zone: str
    days: dict[str, int]


LEAST_BEGINNING = 6
"""Digits of a charge id that may stand for all of it."""

Question = StatementOf | BillOf | StatementHeads | ChargesOf | ChargeById | RejectedUsage | Sql | ExportTo | ReportOf


def answer(books: Books, question: Question) -> list[bytes]:  # noqa: PLR0911 - one return for each question
    """The answer, with everything that the directory holds. Raises NoAnswerError or sinks.errors.SinkError."""
    if isinstance(question, BillOf):
        return [json_bytes(draft) for draft in _bill(books, question)]
    books.projection.catch_up()
    match question:
        case StatementOf():
            return [json_bytes(_statement(books, question))]
        case StatementHeads():
            heads = queries.statement_heads(
                books.clickhouse, tenant=question.tenant, account=question.account, limit=question.limit
            )
            return [encode_table(heads)]
        case ChargesOf():
            return [json_bytes(charge) for charge in _charges(books, question)]
        case ChargeById():
            return _charge(books, question)
        case RejectedUsage():
            found = queries.rejections(books.clickhouse, reason=question.reason, limit=question.limit)
            return [json_bytes(rejection) for rejection in found]
        case Sql():
            return [encode_table(books.clickhouse.query(question.statement))]
        case ExportTo():
            files = write_export(queries.export_reads(books.clickhouse), Path(question.folder), question.kind)
            return [f"{rows} {file}".encode() for file, rows in files.items()]
        case ReportOf():
            return answer_report(books.clickhouse, question.report)
        case _:
            assert_never(question)


def _statement(books: Books, question: StatementOf) -> Statement:
    plan = _plan(books.reference.plans(), question.tenant, question.account)
    if question.period is not None:
        start = _period(plan, question.period)
    else:
        heads = queries.statement_heads(books.clickhouse, tenant=question.tenant, account=question.account)
        if not heads.num_rows:
            raise NoAnswerError(f"account {question.account} has no statement yet. Its running bill: ratestream bill")
        start = heads["period_start"].cast("int64")[-1].as_py()
    found = queries.statement(books.clickhouse, question.tenant, question.account, start)
    if found is None:
        name = plan.calendar.name(start)
        raise NoAnswerError(
            f"account {question.account} has no statement of {name}: the period is open, or not its own"
        )
    return found


def _bill(books: Books, question: BillOf) -> list[Statement]:
    """Closes the open periods of a copy that nobody keeps."""
    ledger = Ledger(books.reference.plans(), books.directory)
    state = ledger.account(question.tenant, question.account)
    if state is None:
        raise _no_account(question.tenant, question.account)
    drafts: list[Statement] = []
    while not drafts or state.held():
        for draft in close_next(ledger, state).statements:
            statement_id = draft.statement_id.rpartition("/")[0] + "/0"
            drafts.append(replace(draft, statement_id=statement_id, revision=0))
        if not drafts and not state.held():
            raise NoAnswerError(f"account {question.account} has nothing to bill: no tariff, or no usage, is open")
    return drafts


def _charges(books: Books, question: ChargesOf) -> list[Charge]:
    plan = _plan(books.reference.plans(), question.tenant, question.account)
    start = None if question.period is None else _period(plan, question.period)
    return queries.charges(
        books.clickhouse, question.tenant, question.account, statement_start=start, limit=question.limit
    )


def _charge(books: Books, question: ChargeById) -> list[bytes]:
    charge = _found_charge(books, question.charge_id)
    plans = books.reference.plans()
    grounds = encode(_grounds(plans, _plan(plans, charge.tenant, charge.account), charge))
    if not charge.tariff:
        return [json_bytes(charge), grounds]
    return [json_bytes(charge), grounds, canonical(plans.tariff(charge.tariff, charge.version))]


def _found_charge(books: Books, beginning: str) -> Charge:
    charge = queries.charge(books.clickhouse, beginning)
    if charge is None:
        ids = queries.charge_ids(books.clickhouse, beginning, limit=2) if len(beginning) >= LEAST_BEGINNING else []
        if len(ids) > 1:
            raise NoAnswerError(f"more than one charge id begins with {beginning}. Give more of it")
        charge = queries.charge(books.clickhouse, ids[0]) if ids else None
    if charge is None:
        raise NoAnswerError(f"no charge {beginning}. List an account's charges: ratestream charges ACCOUNT")
    return charge


def _grounds(plans: Plans, plan: AccountPlan, charge: Charge) -> Grounds:
    period = (charge.period_start, charge.period_end)
    terms = plans.terms_under(plan, charge.meter, charge.tariff, charge.version, period, charge.usage_start)
    if terms is None or not charge.usage_id:
        return Grounds(plan.zone.key, {})
    if terms.timeline is None:
        return Grounds(plan.zone.key, {"": days_between(terms.start, terms.end, plan.zone)})
    bands = terms.rules.bands or ()
    return Grounds(plan.zone.key, {band.name: terms.timeline.days(band.season) for band in bands})


def _plan(plans: Plans, tenant: str, account: str) -> AccountPlan:
    plan = plans.account(tenant, account)
    if plan is None:
        raise _no_account(tenant, account)
    return plan


def _no_account(tenant: str, account: str) -> NoAnswerError:
    return NoAnswerError(f"no account {account!r} of tenant {tenant!r} in this directory")


def _period(plan: AccountPlan, name: str) -> int:
    try:
        return plan.calendar.period_named(name)[0]
    except ValueError as error:
        raise NoAnswerError(f"account {plan.account.account}: {error}") from None
