"""Every report on the real engine, against answers worked out by hand. Every row is stored twice, and counts once."""

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from agents.errors import NoAnswerError
from agents.reporting import answer_report
from agents.reports import (
    BillReport,
    CompletenessReport,
    LateReport,
    LineReport,
    MoversReport,
    ProfileReport,
    RecordReport,
    RejectedReport,
    RevenueReport,
    StatementReport,
    Tabular,
    TopReport,
)
from ratestream.cli import app
from schemas.account import Account
from schemas.charge import Charge
from schemas.instants import to_us
from schemas.rejection import Position, Reason
from schemas.statement import Settlement, Statement
from schemas.usage import UsageRecord
from sinks.charge_columns import charges_table
from sinks.clickhouse import ClickHouse
from sinks.columns import decode_table
from sinks.document_columns import accounts_table
from sinks.rejection_columns import rejections_table
from sinks.reports.dimensions import By, Step
from sinks.statement_columns import statement_lines_table, statements_table, taxes_table
from sinks.usage_columns import ArchivedUsage, usage_table
from tests.contract.made_nouns import made_rejection
from tests.small_books import Books, account, graduated, per_unit, reading, tariff, volume

pytest.importorskip("chdb", reason="NOT RUN on chDB: pip install 'ratestream[embedded]'")

TIERS = graduated(("10", "0.5"), (None, "0.25"))
FEES = [{"name": "Standing charge", "amount": "0.25", "per": "day"}]
VAT = [{"name": "VAT", "percent": "20"}]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")

Row = dict[str, Any]


class Kept:
    """What is stored, and for whom."""

    def __init__(self, sink: ClickHouse) -> None:
        self.sink = sink

    def rows(self, report: Tabular) -> list[Row]:
        """The answer's rows."""
        rows: list[Row] = decode_table(answer_report(self.sink, report)[0]).to_pylist()
        return rows

    def keep(self, accounts: Sequence[Account], charges: Sequence[Charge], statements: Sequence[Statement]) -> None:
        """Store it twice."""
        documents = [
            (one.tenant, one.account, one.model_dump_json(by_alias=True, exclude_defaults=True)) for one in accounts
        ]
        for time in ("once", "again"):
            token = f"{time} {accounts[0].account}"
            self.sink.insert("accounts", accounts_table(documents, 1), token)
            self.sink.insert("charges", charges_table(charges), token)
            self.sink.insert("statement_lines", statement_lines_table(statements), token)
            self.sink.insert("taxes", taxes_table(statements), token)
            self.sink.insert("statements", statements_table(statements), token)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with ClickHouse(f"chdb://{tmp_path_factory.mktemp('reports')}/chdb") as sink:
        sink.migrate()
        kept = Kept(sink)
        _keep_home(kept)
        _keep_volume(kept)
        _keep_behind(kept)
        _keep_clocks(kept)
        _keep_days(kept)
        _keep_shop(kept)
        _keep_rejections(kept)
        yield kept


def _keep_home(kept: Kept) -> None:
    """`home`: January is closed; February is open, with a record of January that came late, and a correction."""
    plan, home = tariff(TIERS, tax=VAT, fees=FEES), account()
    books = Books(plan, home, closes=False)
    books.take(
        reading("r1", "8", "2024-01-01", "2024-01-01T01:00"), reading("r2", "4.5", "2024-01-02", "2024-01-02T01:00")
    )
    books.close_all()
    books.take(
        reading("r3", "3", "2024-02-05", "2024-02-05T01:00"),
        reading("r4", "2", "2024-01-20", "2024-01-20T01:00"),
        reading("r5", "7", "2024-02-06", "2024-02-06T01:00"),
        reading("r6", "5", "2024-02-06", "2024-02-06T01:00", corrects="r5"),
    )
    kept.keep([home], books.charges, books.statements)
    archived = [_archived("r1", 0), _archived("r2", 7), _archived("r2", 9)]
    kept.sink.insert("usage", usage_table(archived), "usage")


def _archived(usage_id: str, offset: int) -> ArchivedUsage:
    return ArchivedUsage(reading(usage_id, "1", "2024-01-01"), 3, offset, 1, to_us(datetime(2024, 1, 3, tzinfo=UTC)))


def _keep_volume(kept: Kept) -> None:
    """`bulk`: its second record reaches the cheaper tier, and the first tier's charges cancel out. Two revisions."""
    bulk = account(account="bulk")
    books = Books(tariff(volume(("10", "1"), (None, "0.5"))), bulk, closes=False)
    books.take(*(reading(f"b{day}", "8", f"2024-01-0{day}", account="bulk") for day in (1, 2)))
    first = books.close_all()[0]
    prepaid = (Settlement("Prepaid", 2 * 10**18, 0),)
    again = replace(first, statement_id="default/bulk/2024-01/2", revision=2, settlements=prepaid, due=6 * 10**18)
    kept.keep([bulk], books.charges, [first, again])


def _keep_behind(kept: Kept) -> None:
    """`behind`: a record of January came late, and February's statement carries it; a minimum and a coupon, too."""
    behind = account(account="behind", coupons=[{"name": "Welcome", "amount": "1", "from": "2024-02-01"}])
    books = Books(tariff(per_unit("0.5"), minimum={"amount": "3"}), behind, closes=False)
    books.take(reading("j1", "8", "2024-01-02", account="behind"))
    books.close_all()
    books.take(
        *(reading(name, "4", day, account="behind") for name, day in (("j2", "2024-01-20"), ("f1", "2024-02-01")))
    )
    books.close_all()
    kept.keep([behind], books.charges, books.statements)


def _hours(name: str, start: datetime, count: int) -> list[UsageRecord]:
    begins = [start.astimezone(UTC) + place * HOUR for place in range(count)]
    return [reading(f"{name}{one:%dT%H}", "1", one, one + HOUR, account=name) for one in begins]


def _keep_clocks(kept: Kept) -> None:
    """In Berlin, days as periods: one of 23 hours in `spring`, one of 25 in `autumn`, where 29 October is silent."""
    names = ("spring", "autumn")
    accounts = [account(account=name, zone="Europe/Berlin", cycle={"unit": "day"}) for name in names]
    books = Books(tariff(per_unit("1")), accounts, closes=False)
    march = _hours("spring", datetime(2024, 3, 31, tzinfo=BERLIN), 23)
    october = _hours("autumn", datetime(2024, 10, 27, tzinfo=BERLIN), 25 + 20)
    books.take(*march[:5], *march[6:], *october)
    books.close_all()
    books.take(*_hours("autumn", datetime(2024, 10, 30, tzinfo=BERLIN), 3))
    kept.keep(accounts, books.charges, books.statements)


def _keep_days(kept: Kept) -> None:
    """`daily`: a record a day in March, with one missing, none in April, one in May."""
    daily = account(account="daily", zone="Europe/Berlin")
    months = Books(tariff(per_unit("1"), fees=FEES), daily, closes=False)
    begins = [datetime(2024, 3, 1, tzinfo=BERLIN) + place * DAY for place in range(31)]
    days = [reading(f"d{one.day}", "1", one, one + DAY, account="daily") for one in begins]
    months.take(*(day for day in days if day.id != "d12"))
    months.close_all()
    months.take(
        reading("d32", "1", datetime(2024, 5, 1, tzinfo=BERLIN), datetime(2024, 5, 2, tzinfo=BERLIN), account="daily")
    )
    months.close_all()
    kept.keep([daily], months.charges, months.statements)


def _keep_shop(kept: Kept) -> None:
    """Tenant `shop`, in euros: three accounts whose revenue of June and July is known."""
    made = Books(tariff(per_unit("1")), closes=False).take(reading("x", "1", "2024-06-01")).charges[0]
    amounts = {"=sum": ("10", "4"), "up": ("1", "9.5"), "new": (None, "2.000000000000000001"), "flat": ("3", "3")}
    charges = [
        replace(
            made,
            charge_id=f"{name}-{month}",
            tenant="shop",
            account=name,
            usage_id=f"{name}-{month}",
            currency="EUR",
            usage_start=to_us(datetime(2024, month, 30, 23, tzinfo=UTC)),
            amount=(fixed := int(Decimal(amount) * 10**18)),
            parts=(replace(made.parts[0], amount=fixed),),
        )
        for name, both in amounts.items()
        for month, amount in zip((6, 7), both, strict=True)
        if amount is not None
    ]
    kept.keep([account(account="up", tenant="shop")], charges, [])


def _keep_rejections(kept: Kept) -> None:
    rejections = [
        replace(made_rejection(number), reason=Reason.NEGATIVE if number < 3 else Reason.NO_ZONE, position=position)
        for number, position in enumerate(
            [
                Position("usage", 2, 5, 0, 1),
                Position("usage", 2, 40),
                Position("usage", 0, 9),
                Position("a.csv", 0, 0, 2),
            ]
        )
    ]
    for token in ("once", "again"):
        kept.sink.insert("rejected", rejections_table(rejections), token)


def picked(rows: Sequence[Row], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def D(text: str) -> Decimal:  # noqa: N802 - as short as what it stands for
    return Decimal(text)


def test_a_running_bill_holds_what_the_open_period_has_been_charged(kept: Kept) -> None:
    """February: r3 is 3 × 0.5. r5 came and went, r6 is 5 × 0.5. r4 belongs to January, which had 12.5: 2 × 0.25."""
    rows = kept.rows(BillReport("default", "home"))
    assert picked(rows, "meter", "tier", "quantity", "unit", "amount", "charges", "currency") == [
        ("power", 1, D("8"), "kWh", D("4"), 4, "USD"),
        ("power", 2, D("2"), "kWh", D("0.5"), 1, "USD"),
    ]
    assert {row["period_start"] for row in rows} == {datetime(2024, 2, 1, tzinfo=UTC)}


def test_an_account_without_statements_has_a_running_bill(kept: Kept) -> None:
    assert picked(kept.rows(BillReport("shop", "up")), "amount", "currency") == [(D("10.5"), "EUR")]


def test_a_statement_is_told_in_rows_whose_amounts_add_up(kept: Kept) -> None:
    """5.00 + 0.63 + 31 × 0.25 = 13.38, and a fifth of that is 2.68."""
    document, rows = answer_report(kept.sink, StatementReport("default", "home"))
    found = decode_table(rows).to_pylist()
    assert picked(found, "kind", "line", "tier", "quantity", "exact", "amount") == [
        ("usage", 1, 1, D("10"), D("5"), D("5")),
        ("usage", 2, 2, D("2.5"), D("0.625"), D("0.63")),
        ("recurring", 3, 0, D("31"), D("7.75"), D("7.75")),
        ("tax", 1, 0, D("0"), D("13.38"), D("2.68")),
    ]
    assert json.loads(document)["total"] == "16.06" == str(sum(row["amount"] for row in found).normalize())


def test_a_statement_is_its_latest_revision_less_what_settles_it(kept: Kept) -> None:
    rows = decode_table(answer_report(kept.sink, StatementReport("default", "bulk", "2024-01"))[1]).to_pylist()
    assert picked(rows, "revision", "kind", "name", "amount") == [
        (2, "usage", "", D("8")),
        (2, "settlement", "Prepaid", D("-2")),
    ]


def revenue(step: Step, *by: By, tenant: str = "", zone: str = "UTC", period: str = "") -> RevenueReport:
    return RevenueReport(step, by, tenant, zone, period)


def test_revenue_is_told_by_time_in_a_zone_and_never_across_currencies(kept: Kept) -> None:
    by_month = kept.rows(revenue(Step.MONTH, By.TENANT, period="2024-06"))
    assert picked(by_month, "time", "tenant", "currency", "amount", "charges") == [
        (datetime(2024, 6, 1, tzinfo=UTC), "shop", "EUR", D("14"), 3)
    ]
    auckland = kept.rows(revenue(Step.MONTH, tenant="shop", zone="Pacific/Auckland"))  # both are in July there
    assert picked(auckland, "time", "amount") == [(datetime(2024, 6, 30, 12, tzinfo=UTC), D("32.500000000000000001"))]
    hours = kept.rows(revenue(Step.HOUR, tenant="shop", zone="UTC+05:30", period="2024-07"))
    assert picked(hours, "time", "charges") == [
        (datetime(2024, 6, 30, 22, 30, tzinfo=UTC), 3),
        (datetime(2024, 7, 30, 22, 30, tzinfo=UTC), 4),
    ]
    autumn = kept.rows(revenue(Step.HOUR, zone="Europe/Berlin", period="2024-10-27"))
    assert len({row["time"] for row in autumn}) == 25


def test_revenue_by_tier_splits_charges(kept: Kept) -> None:
    """`home`: 5 in tier 1; 0.625 and the late 0.5 in tier 2. `bulk`: 8 in tier 1, given back; 16 × 0.5 in tier 2.

    `behind`: 8 × 0.5 and the late 4 × 0.5, in tier 1.
    """
    rows = kept.rows(revenue(Step.YEAR, By.METER, By.TIER, zone="Europe/Berlin", period="2024-01"))
    assert picked(rows, "meter", "tier", "amount", "charges") == [
        ("Standing charge", 0, D("15.5"), 2),  # of `home` and of `daily`
        ("power", 1, D("11"), 6),
        ("power", 2, D("9.125"), 3),
    ]


def test_the_largest_accounts_come_first(kept: Kept) -> None:
    rows = kept.rows(TopReport(2, "shop", "UTC", ""))
    assert picked(rows, "account", "amount", "charges") == [("=sum", D("14"), 2), ("up", D("10.5"), 2)]
    july = kept.rows(TopReport(1, "shop", "UTC", "2024-W31"))
    assert picked(july, "account", "amount") == [("up", D("9.5"))]
    both = kept.rows(TopReport(1, "", "UTC", "2024"))
    assert picked(both, "currency", "tenant", "account") == [("EUR", "shop", "=sum"), ("USD", "default", "daily")]


def test_movers_are_told_against_the_period_before(kept: Kept) -> None:
    rows = kept.rows(MoversReport(9, "shop", "UTC", "2024-07"))
    assert picked(rows, "account", "before", "after", "change") == [
        ("up", D("1"), D("9.5"), D("8.5")),
        ("=sum", D("10"), D("4"), D("-6")),
        ("new", D("0"), D("2.000000000000000001"), D("2.000000000000000001")),
    ]
    quarter = kept.rows(MoversReport(1, "shop", "UTC", "2024-Q3"))
    assert quarter == rows[:1]


def hour_of_week(rows: Sequence[Row], weekday: int, hour: int) -> tuple[Decimal, int]:
    assert len(rows) == 168
    row = rows[(weekday - 1) * 24 + hour]
    assert (row["weekday"], row["hour"]) == (weekday, hour)
    return row["quantity"], row["hours"]


def test_a_week_of_hours_follows_the_clocks_of_the_zone(kept: Kept) -> None:
    """Sunday 31 March has no hour 2 (and no record of hour 6), and the hour 2 of Sunday 27 October comes twice."""
    spring, autumn = (kept.rows(ProfileReport("default", name)) for name in ("spring", "autumn"))
    assert [hour_of_week(spring, 7, hour)[1] for hour in range(1, 8)] == [1, 0, 1, 1, 1, 0, 1]
    assert [hour_of_week(autumn, 7, hour) for hour in (1, 2, 3)] == [(D("1"), 1), (D("2"), 2), (D("1"), 1)]
    assert [hour_of_week(autumn, 1, hour) for hour in (19, 20)] == [(D("1"), 1), (D("0"), 0)]
    utc = kept.rows(ProfileReport("default", "autumn", zone="UTC"))
    assert [hour_of_week(utc, 6, hour)[0] for hour in (21, 22, 23)] == [0, 1, 1]
    one_day = kept.rows(ProfileReport("default", "autumn", "power", period="2024-10-28"))
    assert (hour_of_week(one_day, 7, 2), hour_of_week(one_day, 1, 0)) == ((D("0"), 0), (D("1"), 1))


def test_a_day_has_23_24_or_25_hours_to_be_complete(kept: Kept) -> None:
    rows = [*kept.rows(CompletenessReport("default", "spring")), *kept.rows(CompletenessReport("default", "autumn"))]
    assert picked(rows, "period_start", "closed", "interval_s", "expected", "present", "missing") == [
        (_berlin(3, 31), 1, 3600, 23, 22, ["2024-03-31T04:00:00Z/2024-03-31T05:00:00Z"]),
        (_berlin(10, 27), 1, 3600, 25, 25, []),
        (_berlin(10, 28), 1, 3600, 24, 20, ["2024-10-28T19:00:00Z/2024-10-28T23:00:00Z"]),
        (_berlin(10, 30), 0, 3600, 3, 3, []),
    ]
    assert {row["zone"] for row in rows} == {"Europe/Berlin"}


def test_a_day_is_one_interval_and_a_silent_month_is_missing(kept: Kept) -> None:
    rows = kept.rows(CompletenessReport("default", "daily"))
    assert picked(rows, "period_start", "interval_s", "expected", "present", "missing") == [
        (_berlin(3, 1), 86400, 31, 30, ["2024-03-11T23:00:00Z/2024-03-12T23:00:00Z"]),
        (_berlin(4, 1), 86400, 30, 0, ["2024-03-31T22:00:00Z/2024-04-30T22:00:00Z"]),
        (_berlin(5, 1), 86400, 31, 1, ["2024-05-01T22:00:00Z/2024-05-31T22:00:00Z"]),
    ]


def test_an_interval_may_be_given_and_gaps_of_half_of_it_are_none(kept: Kept) -> None:
    rows = kept.rows(CompletenessReport("default", "spring", "2024-03-31", 7200))
    assert picked(rows, "expected", "present", "missing") == [(11, 11, [])]


def test_a_corrected_record_does_not_count_twice(kept: Kept) -> None:
    """February of `home`: until 6 February, 01:00, there are 121 hours, and records of two."""
    rows = kept.rows(CompletenessReport("default", "home", "2024-02"))
    assert picked(rows, "expected", "present") == [(121, 2)]
    assert rows[0]["missing"][-1] == "2024-02-05T01:00:00Z/2024-02-06T00:00:00Z"


def _berlin(month: int, day: int) -> datetime:
    return datetime(2024, month, day, tzinfo=BERLIN).astimezone(UTC)


PLACE = ("partition", "offset", "index", "copies")


def test_a_line_leads_to_its_charges_and_their_places_on_the_topic(kept: Kept) -> None:
    rows = kept.rows(LineReport("default", "home", "2024-01", 1))
    assert picked(rows, "usage_id", "quantity", "amount", "line_exact", *PLACE) == [
        ("r1", D("8"), D("4"), D("5"), 3, 0, 1, 1),
        ("r2", D("2"), D("1"), D("5"), 3, 7, 1, 2),
    ]
    everything = kept.rows(LineReport("default", "home", "2024-01"))
    assert picked(everything, "line", "usage_id", "kind", "amount", "partition")[2:] == [
        (2, "r2", "usage", D("0.625"), 3),
        (3, "", "recurring", D("7.75"), None),
    ]


def test_a_record_leads_to_its_lines(kept: Kept) -> None:
    rows = kept.rows(RecordReport("default", "", "r2"))
    assert picked(rows, "line", "statement_id", "amount", "offset") == [
        (1, "default/home/2024-01/1", D("1"), 7),
        (2, "default/home/2024-01/1", D("0.625"), 7),
    ]
    late = kept.rows(RecordReport("default", "default", "r4"))
    assert picked(late, "line", "statement_id", "kind", "amount", "offset") == [
        (None, None, "adjustment", D("0.5"), None)
    ]


def test_parts_that_cancel_out_are_on_no_line(kept: Kept) -> None:
    rows = kept.rows(LineReport("default", "bulk", "2024-01"))
    assert picked(rows, "line", "line_exact", "statement_id", "usage_id", "tier", "amount") == [
        (1, D("8"), "default/bulk/2024-01/2", "b2", 2, D("8")),
        (None, None, "default/bulk/2024-01/2", "b1", 1, D("8")),
        (None, None, "default/bulk/2024-01/2", "b2", 1, D("-8")),
    ]


def test_lines_of_every_kind_lead_to_their_charges(kept: Kept) -> None:
    """February of `behind`: 4 × 0.5, up to the minimum of 3, less the coupon; and January's late 4 × 0.5."""
    rows = kept.rows(LineReport("default", "behind", "2024-02"))
    lines = {row["line"]: row["line_exact"] for row in rows}
    stated = answer_report(kept.sink, StatementReport("default", "behind", "2024-02"))[1]
    kinds = {row["line"]: row["kind"] for row in decode_table(stated).to_pylist()}
    found = [(kinds[row["line"]], row["kind"], row["usage_id"], row["amount"]) for row in rows]
    assert ("usage", "usage", "f1", D("2")) in found
    assert ("true_up", "true_up", "", D("1")) in found
    assert ("adjustment", "adjustment", "j2", D("2")) in found
    assert ("discount", "credit", "", D("-1")) in found
    assert len(found) >= len(lines) == len(kinds)


def test_late_usage_and_corrections_are_told_by_period(kept: Kept) -> None:
    january, february = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
    rows = kept.rows(LateReport("default", "home"))
    assert picked(rows, "period_start", "statement_start", "kind", "quantity", "amount", "charges", "zone") == [
        (january, february, "adjustment", D("2"), D("0.5"), 1, "UTC"),
        (february, february, "reversal", D("-7"), D("-3.5"), 1, "UTC"),
    ]


def test_rejections_are_counted_by_reason(kept: Kept) -> None:
    assert picked(kept.rows(RejectedReport()), "reason", "rejections", "percent", "first_at", "last_at", "example") == [
        ("negative", 3, D("75.00"), "usage[0]@9", "usage[2]@40", made_rejection(2).message),
        ("no-zone", 1, D("25.00"), "a.csv:2", "a.csv:2", made_rejection(3).message),
    ]


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (BillReport("default", "nobody"), "no account 'nobody' of tenant 'default'"),
        (StatementReport("shop", "up"), "no statement yet"),
        (StatementReport("default", "home", "2024-02"), "no statement of 2024-02"),
        (StatementReport("default", "home", "2024-Q1"), "'2024-Q1' is no period"),
        (LineReport("default", "home", "2024-01", 9), "has no line 9 with charges"),
        (RecordReport("shop", "", "r1"), "no charge names the usage record 'r1'"),
        (TopReport(1, "", "UTC", "last week"), "'last week' is no period"),
    ],
)
def test_what_is_not_there_is_told(kept: Kept, report: Tabular | StatementReport, told: str) -> None:
    with pytest.raises(NoAnswerError, match=told):
        answer_report(kept.sink, report)


def test_views_say_the_same_as_reports(kept: Kept) -> None:
    def only(sql: str) -> list[Row]:
        rows: list[Row] = kept.sink.query_arrow(sql).to_pylist()
        return rows

    sums = [
        only(f"SELECT currency, sum(amount) AS amount FROM {name} GROUP BY currency ORDER BY currency")
        for name in ("charges FINAL", "charge_parts", "revenue", "tier_revenue", "account_revenue")
    ]
    assert all(one == sums[0] for one in sums)
    assert sums[0][0]["amount"] == D("32.500000000000000001")
    bill = only("SELECT tier, quantity, amount, charges FROM running_bills WHERE account = 'home' ORDER BY tier")
    assert [tuple(row.values()) for row in bill] == picked(
        kept.rows(BillReport("default", "home")), "tier", "quantity", "amount", "charges"
    )
    complete = only("SELECT expected, present FROM completeness WHERE account = 'daily' ORDER BY period_start")
    assert complete == [{"expected": 31, "present": 30}, {"expected": 30, "present": 0}, {"expected": 31, "present": 1}]
    used = only("SELECT sum(quantity) AS used, count() AS hours FROM usage_hours WHERE account = 'spring'")
    assert used == [{"used": D("22"), "hours": 22}]
    latest = only("SELECT account, revision FROM latest_statements WHERE account IN ('bulk', 'home') ORDER BY account")
    assert latest == [{"account": "bulk", "revision": 2}, {"account": "home", "revision": 1}]


def test_views_ask_with_the_rights_of_who_asks(kept: Kept) -> None:
    found = kept.sink.query_arrow(
        "SELECT name, create_table_query AS made FROM system.tables "
        "WHERE database = currentDatabase() AND engine = 'View'"
    ).to_pylist()
    assert len(found) == 15
    assert [view["name"] for view in found if "SQL SECURITY INVOKER" not in view["made"]] == []


def command(kept: Kept, *arguments: str | Path) -> Result:
    return CliRunner().invoke(
        app, ["report", *map(str, arguments)], env={"RATESTREAM_CLICKHOUSE": kept.sink.where, "COLUMNS": "80"}
    )


ASKED = {
    "bill": ["bill", "home"],
    "revenue": ["revenue", "--by", "meter", "--by", "tier", "--step", "day"],
    "top": ["top"],
    "movers": ["movers", "--period", "2024-07"],
    "profile": ["profile", "autumn"],
    "late": ["late"],
    "rejected": ["rejected"],
    "completeness": ["completeness", "autumn"],
}


@pytest.mark.parametrize(
    "arguments", [*ASKED.values(), ["statement", "home"], ["lineage", "home", "--period", "2024-01"]]
)
def test_tables_are_made_for_80_columns(kept: Kept, arguments: list[str]) -> None:
    done = command(kept, *arguments)
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) > 2
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("arguments", ASKED.values())
def test_plots_are_drawn_on_the_terminal_and_as_a_page(kept: Kept, arguments: list[str], tmp_path: Path) -> None:
    pytest.importorskip("plotext", reason="NOT RUN: pip install 'ratestream[plots]'")
    pytest.importorskip("plotly", reason="NOT RUN: pip install 'ratestream[plots]'")
    page = tmp_path / "page.html"
    done = command(kept, *arguments, "--plot", "--html", page)
    assert done.exit_code == 0, done.output
    assert set(done.stdout) & set("█▓▒░▀▄▐▌●")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert "<script src" not in text
    assert "Plotly.newPlot" in text


@pytest.mark.parametrize(("module", "option"), [("plotext", "--plot"), ("plotly", "--html=x.html")])
def test_a_plot_without_its_extra_says_how_to_get_it(
    kept: Kept, module: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    done = command(kept, "top", option)
    assert done.exit_code == 2
    assert f"{module} is not installed: pip install 'ratestream[plots]'" in " ".join(
        done.output.replace("│", " ").split()
    )


def test_a_bill_for_a_reader_is_exact_and_rounded(kept: Kept) -> None:
    assert command(kept, "bill", "home").stdout == (
        "Running bill of home, 2024-02-01 to 2024-02-29 (UTC), not final\n"
        "                            charges  quantity  unit   USD\n"
        "─────────────────────────────────────────────────────────\n"
        "power, tier 1                     4         8  kWh   4.00\n"
        "power, tier 2                     1         2  kWh   0.50\n"
        "─────────────────────────────────────────────────────────\n"
        "Exact, before fees and tax                           4.50\n"
        "Rounded                                              4.50\n"
        "\n"
    )


def test_files_are_exact_and_safe_for_spreadsheets(kept: Kept, tmp_path: Path) -> None:
    asked = ["movers", "--period", "2024-07", "--tenant", "shop"]
    rows = list(csv.DictReader(io.StringIO(command(kept, *asked, "--format", "csv").stdout)))
    assert [(row["account"], row["change"]) for row in rows] == [
        ("up", "8.5"),
        ("'=sum", "-6"),
        ("new", "2.000000000000000001"),
    ]
    lines = command(kept, *asked, "--format", "json").stdout.splitlines()
    assert [json.loads(line)["after"] for line in lines] == ["9.5", "4", "2.000000000000000001"]
    file = tmp_path / "movers.parquet"
    assert command(kept, *asked, "--format", "parquet", "--out", file).exit_code == 0
    assert pq.read_table(file)["change"].to_pylist() == [D("8.5"), D("-6"), D("2.000000000000000001")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["top", "--format", "parquet"], "go together"),
        (["top", "--format", "parquet", "--out", "x.csv"], "does not end with .parquet"),
        (["top", "--zone", "Mars/Olympus"], "is no time zone"),
        (["lineage", "home"], "--period NAME"),
        (["completeness", "--period", "2024-01"], "name an ACCOUNT"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(kept: Kept, arguments: list[str], told: str) -> None:
    done = command(kept, *arguments)
    assert done.exit_code == 2
    assert told in " ".join(done.output.replace("│", " ").split())
