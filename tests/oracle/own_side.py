"""Own side: the oracle's own result for the files of a question, and how an export refers to it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.oracle.bills import AccountKey, Bill, Section, Usage, bills_of, usage_by_account
from tests.oracle.contracts import Account, Tariff, accounts_from
from tests.oracle.exported import Exported
from tests.oracle.readings import Intake, Place, take_in

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
    """The oracle's side, and how the export refers to it."""

    accounts: dict[AccountKey, Account]
    intake: Intake
    usage: dict[AccountKey, Usage]
    bills: dict[PeriodKey, Bill]
    rejected: dict[Place, str]
    by_event_time: bool

    def name(self, key: PeriodKey) -> str:
        """How a message calls a period."""
        account = self.accounts.get(key[:2])
        local = key[2].astimezone(account.zone) if account else key[2]
        return f"{key[1]} {local:%Y-%m}"

    def tariff(self, key: AccountKey, section: Section) -> Tariff | None:
        """The tariff version of a section; None for the account's own fees."""
        entries = self.accounts[key].assignments
        return next((e.tariff for e in entries if (e.tariff.name, e.tariff.version) == section), None)


def own_side(question: Question) -> Own:
    accounts = accounts_from(question.tariffs, question.accounts)
    by_name = {file.name: str(file) for file in question.usage}
    rejected = {
        (by_name.get(Path(origin).name, origin), offset): reason
        for reason, origin, offset in question.export.rejections
    }
    intake = take_in(
        question.usage,
        accounts,
        now=datetime.now(UTC),
        by_event_time=question.by_event_time,
        too_late=frozenset(place for place, reason in rejected.items() if reason == "too-late"),
    )
    usage = usage_by_account(intake, accounts)
    bills = {
        (*key, bill.period[0]): bill
        for key, account in accounts.items()
        for bill in bills_of(account, usage[key], all_with_usage=question.by_event_time)
    }
    return Own(accounts, intake, usage, bills, rejected, question.by_event_time)
