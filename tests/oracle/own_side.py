"""Own side: the oracle's own result for the files of a question, and how an export refers to it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from tests.oracle.bills import AccountKey, Bill, Usage, bills_of, tariff_of, usage_by_account
from tests.oracle.contracts import Account, Tariff, contracts_from
from tests.oracle.coverage import Gap, gaps_of
from tests.oracle.exported import Exported, Line, Statement
from tests.oracle.fees import Section
from tests.oracle.readings import Intake, take_in
from tests.oracle.record import Place

PeriodKey = tuple[str, str, datetime]
"""Tenant, account, start of a billing period."""


@dataclass
class Question:
    """What is compared: files and documents on one side, an export on the other."""

    usage: list[Path]
    tariffs: Path
    accounts: Path
    export: Exported
    by_event_time: bool
    """Whether all records were taken in the order of their time, as `rate` does, and all periods closed."""


@dataclass
class Own:
    """The oracle's side, and how the export refers to it. Accounts with gaps are in neither it nor `export`."""

    gaps: list[Gap]
    export: Exported
    accounts: dict[AccountKey, Account]
    intake: Intake
    usage: dict[AccountKey, Usage]
    bills: dict[PeriodKey, Bill]
    rejected: dict[Place, str]
    by_event_time: bool

    def name(self, key: PeriodKey) -> str:
        """How a message calls a period."""
        account = self.accounts.get(key[:2])
        return f"{key[1]} {account.period_name(key[2]) if account else key[2]}"

    def tariff(self, key: AccountKey, section: Section) -> Tariff | None:
        """The tariff version of a section; None for the account's own fees."""
        return tariff_of(self.accounts[key], section)


def own_side(question: Question) -> Own:
    contracts = contracts_from(question.tariffs, question.accounts)
    gaps = gaps_of(contracts, question.export)
    left_out = {key for gap in gaps for key in gap.accounts}
    by_name = {file.name: str(file) for file in question.usage}
    rejected = {
        (by_name.get(Path(origin).name, origin), offset): reason
        for reason, origin, offset in question.export.rejections
    }
    accounts = {key: account for key, account in contracts.accounts.items() if key not in left_out}
    intake = take_in(
        question.usage,
        accounts,
        left_out=left_out,
        now=datetime.now(UTC),
        by_event_time=question.by_event_time,
        too_late=frozenset(place for place, reason in rejected.items() if reason == "too-late"),
    )
    export = Exported(
        [charge for charge in question.export.charges if (charge.tenant, charge.account) not in left_out],
        [one for one in question.export.statements if (one.tenant, one.account) not in left_out],
        [
            (reason, origin, offset)
            for reason, origin, offset in question.export.rejections
            if (by_name.get(Path(origin).name, origin), offset) not in intake.not_judged
        ],
    )
    usage = usage_by_account(intake, accounts)
    told: dict[AccountKey, dict[datetime, list[tuple[object, ...]]]] = {}
    for statement in export.statements:
        keys = [line_key(line) for line in statement.lines]
        told.setdefault((statement.tenant, statement.account), {})[statement.period_start] = keys
    bills = {
        (*key, bill.period[0]): bill
        for key, account in accounts.items()
        for bill in bills_of(account, usage[key], told.get(key, {}), all_with_usage=question.by_event_time)
    }
    kept = {place: reason for place, reason in rejected.items() if place not in intake.not_judged}
    return Own(gaps, export, accounts, intake, usage, bills, kept, question.by_event_time)


def line_key(line: Line) -> tuple[object, ...]:
    """What tells a line from the others of its statement, as the oracle's own lines say it."""
    section, price = (line.tariff, line.version), Fraction(line.unit_price)
    return (line.kind, section, line.meter, line.name, line.band, line.tier, price, line.period_start)


def key_of(statement: Statement) -> PeriodKey:
    return statement.tenant, statement.account, statement.period_start


def account_of(statement: Statement) -> AccountKey:
    return statement.tenant, statement.account
