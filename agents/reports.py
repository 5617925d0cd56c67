"""Reports: what is asked for by `ratestream report`, as values that can be put to another process (reporting.py)."""

from msgspec import Struct

from sinks.reports.dimensions import By, Step


class BillReport(Struct, frozen=True, tag=True):
    """What the open periods of an account come to so far, by meter, band and tier."""

    tenant: str
    account: str


class StatementReport(Struct, frozen=True, tag=True):
    """A statement of an account, of the period of this name or the latest: its JSON, and a table of its rows."""

    tenant: str
    account: str
    period: str = ""


class RevenueReport(Struct, frozen=True, tag=True):
    """Revenue by time, and by what else; of all time, or of the year, quarter, month, week or day of this name."""

    step: Step
    by: tuple[By, ...]
    tenant: str
    zone: str
    period: str


class TopReport(Struct, frozen=True, tag=True):
    """The accounts with the largest revenue, of all time or in a period as above."""

    limit: int
    tenant: str
    zone: str
    period: str


class MoversReport(Struct, frozen=True, tag=True):
    """The accounts whose revenue of a period, as above, differs most from that of the one before."""

    limit: int
    tenant: str
    zone: str
    period: str


class ProfileReport(Struct, frozen=True, tag=True):
    """Usage by hour of the week, in the account's zone where none is given. "" as meter is all of them."""

    tenant: str
    account: str
    meter: str = ""
    zone: str = ""
    period: str = ""


class LineReport(Struct, frozen=True, tag=True):
    """The charges and records behind a line of the statement of a period; 0 for all lines."""

    tenant: str
    account: str
    period: str
    line: int = 0


class RecordReport(Struct, frozen=True, tag=True):
    """The charges of a usage record, and on which lines they are. "" as source stands for any."""

    tenant: str
    source: str
    usage_id: str


class LateReport(Struct, frozen=True, tag=True):
    """Late usage and corrections, by account and period."""

    tenant: str
    account: str = ""


class RejectedReport(Struct, frozen=True, tag=True):
    """What was rejected, by reason."""


class CompletenessReport(Struct, frozen=True, tag=True):
    """Which intervals of usage are there; of one account or all of a tenant, of one period or all.

    `interval_s` 0 takes what most records of a meter last. A period is named for an account only.
    """

    tenant: str
    account: str = ""
    period: str = ""
    interval_s: int = 0


Tabular = (
    BillReport
    | RevenueReport
    | TopReport
    | MoversReport
    | ProfileReport
    | LineReport
    | RecordReport
    | LateReport
    | RejectedReport
    | CompletenessReport
)
"""A report whose answer is one table."""

Report = StatementReport | Tabular
