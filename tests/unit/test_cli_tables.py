"""What a reader gets to see: statements, charges, explanations, rejections and tables, within 80 columns."""

import csv
import io
from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa
import pytest
from msgspec.structs import replace

from agents.answers import Grounds
from agents.intake_log import Tally
from ratestream.charges import print_charges
from ratestream.explanation import Explained, print_explanation
from ratestream.rejections import print_rejections
from ratestream.rows import csv_cell, print_table, rows_of, write_csv, write_json
from ratestream.statements import print_heads, print_overview, print_statement, write_statements_csv
from ratestream.summary import tally_lines
from schemas.charge import Charge, Part
from schemas.rejection import Position, Reason, Rejection
from schemas.statement import Allowance, Settlement, Statement, StatementKind
from schemas.tariff import Tariff
from sinks.statement_columns import statements_table
from tests.small_books import Books, account, graduated, package, per_unit, reading, tariff, volume

TAX = [{"name": "VAT", "percent": "5"}]
FEES = [{"name": "Standing charge", "amount": "0.25", "per": "day"}]

LONG = 123_456_789_012_345_678
"""A number of all its 18 decimals."""


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")  # a terminal may say so; tables are made for 80 all the same


def books(of_tariff: Tariff, *quantities: str) -> Books:
    """A statement of January 2024 over these quantities."""
    made = Books(of_tariff, account(), closes=False)
    made.take(*(reading(f"r{day}", quantity, f"2024-01-{day:02}") for day, quantity in enumerate(quantities, 1)))
    made.close_all()
    return made


def explained(of_tariff: Tariff, *quantities: str) -> Explained:
    """The last charge of usage, with its grounds."""
    charge = [charge for charge in books(of_tariff, *quantities).charges if charge.usage_id][-1]
    return Explained(charge, of_tariff, Grounds("UTC", {"": 31}))


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    found = capsys.readouterr().out.splitlines()
    assert max(map(len, found)) <= 80
    assert all(line == line.rstrip() for line in found)
    return found


def test_a_statement_shows_its_lines_and_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    made = books(tariff(graduated(("10", "0.5"), (None, "0.25")), tax=TAX, fees=FEES), "8", "4.5")
    print_statement(made.statements[0])
    assert "\n".join(lines(capsys)) == (
        "Statement 2024-01 of home\n"
        "Period      2024-01-01 to 2024-01-31 (UTC)\n"
        "Usage       2 records, 2024-01-01 00:00 to 2024-01-02 00:00\n"
        "Exact       13.375 USD, before rounding and tax\n"
        "Statement   default/home/2024-01/1, from 3 charges\n"
        "Incomplete  closed before every meter had passed the end of the period\n"
        "\n"
        "                   quantity  unit  unit price    USD\n"
        "────────────────────────────────────────────────────\n"
        "plan, version 1\n"
        "  power, tier 1          10  kWh          0.5   5.00\n"
        "  power, tier 2         2.5  kWh         0.25   0.63\n"
        "  Standing charge        31  day         0.25   7.75\n"
        "────────────────────────────────────────────────────\n"
        "Net                                            13.38\n"
        "VAT, 5 % of 13.38                               0.67\n"
        "Total                                          14.05\n"
    )


def test_a_statement_shows_discounts_the_taxes_of_items_and_what_is_due(capsys: pytest.CaptureFixture[str]) -> None:
    meters = {name: {"unit": "GB", "price": per_unit("1"), "tax": tax} for name, tax in (("disk", []), ("net", TAX))}
    coupon = {"name": "Welcome", "amount": "10", "from": "2024-01-01"}
    made = Books(tariff(meters=meters), account(coupons=[coupon]), closes=False)
    made.take(*(reading(name, "40", "2024-01-01", meter=name) for name in meters))
    statement = replace(
        made.close_all()[0],
        settlements=(Settlement("Interim 1", 20 * 10**18, 0), Settlement("Prepaid", 30 * 10**18, 15 * 10**17)),
        allowances=(Allowance("net", "GB", 40 * 10**6, 20 * 10**6, 20 * 10**6),),
        due=2175 * 10**16,
    )
    print_statement(statement, gross=True)
    assert "\n".join(lines(capsys)[1:]) == (
        "Period      2024-01-01 to 2024-01-31 (UTC)\n"
        "Usage       2 records, 2024-01-01 00:00 to 2024-01-01 00:00\n"
        "Exact       70.00 USD, before rounding and tax\n"
        "Statement   default/home/2024-01/1, from 3 charges\n"
        "Incomplete  closed before every meter had passed the end of the period\n"
        "Allowance   net, GB: included 40, used 20, left 20\n"
        "\n"
        "                          quantity  unit  unit price     USD  with tax\n"
        "──────────────────────────────────────────────────────────────────────\n"
        "plan, version 1\n"
        "  disk, tier 1                  40  GB             1   40.00     40.00\n"
        "  net, tier 1                   40  GB             1   40.00     42.00\n"
        "  Welcome, disk, tier 1                                -5.00     -5.00\n"
        "  Welcome, net, tier 1                                 -5.00     -5.25\n"
        "──────────────────────────────────────────────────────────────────────\n"
        "Net                                                    70.00\n"
        "VAT on net, 5 % of 35.00                                1.75\n"
        "Total                                                  71.75\n"
        "Interim 1                                             -20.00\n"
        "Prepaid, 1.50 left                                    -30.00\n"
        "Due                                                    21.75\n"
    )


def test_an_interim_statement_is_no_statement_of_its_period(capsys: pytest.CaptureFixture[str]) -> None:
    own = made_statements()[0]
    interim = replace(own, kind=StatementKind.INTERIM, number=2, statement_id="default/home/2024-01/interim-2")
    print_statement(interim)
    assert lines(capsys)[0] == "Interim statement 2 of 2024-01 of home"
    heads = statements_table([interim, own])
    print_heads(heads)
    assert "home     2024-01  2024-01-01  2024-01-31        1  2.00 USD  interim 2" in lines(capsys)
    print_overview(heads)
    assert lines(capsys)[0] == "home: 1 statement, 2.00 USD in all"


def test_the_parts_of_a_charge_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    one = explained(tariff(per_unit("0.5")), "3")
    parts = (
        Part("", 0, 0, 0, 2 * 10**17, "connection"),
        Part("", 1, 10**11, 33_333_333, 33 * 10**17, "energy", "20", 66 * 10**16),
    )
    one = replace(one, charge=replace(one.charge, parts=parts, amount=35 * 10**17))
    print_explanation(one)
    text = " ".join(" ".join(lines(capsys)).split())
    assert "connection 0.20" in text
    assert "tier 1 energy, tax 20 % 33.333333 kWh × 0.1 ≈ 3.30" in text
    print_charges([one.charge])
    assert "power: connection, energy" in "\n".join(lines(capsys))


def test_the_amounts_of_a_statement_s_csv_add_up_to_its_total(capsys: pytest.CaptureFixture[str]) -> None:
    made = books(tariff(per_unit("0.333"), tax=TAX, fees=FEES), "8.1")
    write_statements_csv(made.statements)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["kind"] for row in rows] == ["usage", "recurring", "tax"]
    assert [(row["number"], row["gross"] != "") for row in rows] == [("0", True), ("0", True), ("0", False)]
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal(made.statements[0].total) / 10**18


def test_texts_of_others_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    rejection = Rejection(
        Reason.UNREADABLE, "bad\x1b[2J", Position("f\r", 0, 1, 2), "", "", "", "", b"\x1b]0;\xff" * 99, 495, "00"
    )
    print_rejections([rejection])
    out = capsys.readouterr().out
    assert all(char.isprintable() for char in out.replace("\n", ""))
    assert "f\\r:2" in out
    assert "(495 bytes)" in out


def test_long_numbers_are_never_broken(capsys: pytest.CaptureFixture[str]) -> None:
    charge = books(tariff(per_unit("0.123456789012")), "8999999999999.999999").charges[0]
    print_charges([charge])
    text = "\n".join(lines(capsys))
    assert "8999999999999.999999" in text
    assert "1111111101107.999999876543210988" in text


PER_DAY = graduated(("0.2", "1"), (None, "2", "3"), tiers_per="day", free_units="0.1")


@pytest.mark.parametrize(
    ("of_tariff", "quantities", "told"),
    [
        (tariff(per_unit("0.5")), ["3"], ["Price of power: 0.5 USD per kWh", "tier 1 3 kWh × 0.5 = 1.50"]),
        (
            tariff(graduated(("10", "0.5"), (None, "0.25"))),
            ["8", "4.5"],
            [
                "Used before 8 kWh",
                "tier 1 2 kWh × 0.5 = 1.00",
                "tier 2 2.5 kWh × 0.25 = 0.625",
                "exact amount 1.625 USD",
                "statement after it, before tax 5.625 USD",
                "to 2 decimals (half-up)",
            ],
        ),
        (
            tariff(PER_DAY),
            ["3", "7"],
            ["0.1 kWh a day are included", "1 6.2 0.2 × 31 days 1 0", "included 0.1 kWh × 0", "tier 2 flat fee 3.00"],
        ),
        (
            tariff(volume(("10", "0.5"), (None, "0.25"))),
            ["8", "4"],
            ["tier 1 -8 kWh × 0.5 = -4.00", "tier 2 12 kWh × 0.25 = 3.00", "given back at the old price"],
        ),
        (
            tariff(package("10", "2", free_units="5")),
            ["4", "3"],
            ["2 USD for each begun package of 10 kWh", "tier 1 1 packages × 2 = 2.00", "inside a begun package"],
        ),
    ],
)
def test_an_explanation_does_the_arithmetic(
    of_tariff: Tariff, quantities: list[str], told: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    print_explanation(explained(of_tariff, *quantities))
    text = " ".join(" ".join(lines(capsys)).split())
    assert [sentence for sentence in told if sentence not in text] == []


def test_a_price_without_tiers_of_units_is_told_by_its_terms(capsys: pytest.CaptureFixture[str]) -> None:
    tiers = [{"up_to": "1000", "percent": "1.50", "flat_fee": "200"}, {"percent": "1"}]
    of_tariff = tariff({"model": "graduated_percentage", "first_flat_fee": "always", "tiers": tiers})
    print_explanation(replace(explained(tariff(per_unit("1")), "3"), tariff=of_tariff))
    text = " ".join(" ".join(lines(capsys)).split())
    assert "Price of power: Each tier takes its percentage of its own amounts only." in text
    assert "first_flat_fee always tiers 1 up_to 1000 tiers 1 percent 1.5 tiers 1 flat_fee 200 tiers 2 percent 1" in text


def test_a_fee_is_explained_without_a_meter(capsys: pytest.CaptureFixture[str]) -> None:
    of_tariff = tariff(per_unit("1"), fees=FEES)
    fee = next(charge for charge in books(of_tariff, "1").charges if not charge.usage_id)
    print_explanation(Explained(fee, of_tariff, Grounds("UTC", {})))
    text = "\n".join(lines(capsys))
    assert "Standing charge" in text
    assert "No usage caused it" in text


def test_a_list_and_an_overview_of_statements(capsys: pytest.CaptureFixture[str]) -> None:
    heads = statements_table(made_statements())
    print_heads(heads)
    assert "home     2024-02  2024-02-01  2024-02-29        1  12.00 USD  incomplete" in lines(capsys)
    print_overview(heads)
    assert lines(capsys) == ["home: 2 statements, 14.00 USD in all", "  2024-01  2.00  2024-02 12.00"]


def made_statements() -> list[Statement]:
    made = Books(tariff(per_unit("1")), account(), closes=False)
    made.take(reading("a", "2", "2024-01-05"), reading("b", "12", "2024-02-05"))
    return made.close_all()


TABLE = pa.table(
    {
        "name": ["=1+1", None],
        "amount": pa.array([Decimal("-1.50"), None], pa.decimal128(38, 18)),
        "at": pa.array([0, 1], pa.timestamp("us", "UTC")),
        "parts": pa.array([[Decimal("2.50")], []], pa.list_(pa.decimal128(38, 12))),
    }
)


def test_rows_as_json_are_exact(capsys: pytest.CaptureFixture[str]) -> None:
    write_json(rows_of(TABLE))
    assert capsys.readouterr().out == (
        '{"name":"=1+1","amount":"-1.5","at":"1970-01-01T00:00:00Z","parts":["2.5"]}\n'
        '{"name":null,"amount":null,"at":"1970-01-01T00:00:00.000001Z","parts":[]}\n'
    )


def test_rows_as_csv_hold_no_formula(capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(TABLE.column_names, rows_of(TABLE))
    assert capsys.readouterr().out.splitlines() == [
        "name,amount,at,parts",
        '\'=1+1,-1.5,1970-01-01T00:00:00Z,"[""2.5""]"',
        ",,1970-01-01T00:00:00.000001Z,[]",
    ]


@pytest.mark.parametrize(("value", "cell"), [("-1", "-1"), ("-1+2", "'-1+2"), ("@x", "'@x"), (-1, -1), (None, None)])
def test_a_number_is_no_formula(value: object, cell: object) -> None:
    assert csv_cell(value) == cell


def test_a_narrow_table_is_flat_and_a_wide_one_upright(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(TABLE.select(["name", "amount"]))
    assert lines(capsys)[2:] == ["=1+1    -1.5", ""]
    print_table(TABLE.append_column("note", pa.array(["x" * 60, ""])))
    assert lines(capsys)[:3] == ["row 1", "  name    =1+1", "  amount  -1.5"]


def test_a_tally_says_why_and_how_much() -> None:
    tally = Tally(received=3, accepted=1, duplicates=1, rejected=1, reasons={"future": 1}, charged={"USD": str(LONG)})
    text = "\n".join(tally_lines(tally))
    assert "future                1" in text
    assert "0.123456789012345678 USD exact, before tax" in text
    assert tally.adds_up
    assert not Tally(received=1).adds_up


def test_charges_of_several_kinds_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    found: list[Charge] = books(tariff(per_unit("1"), fees=FEES), "1").charges
    print_charges(found)
    text = "\n".join(lines(capsys))
    assert "Standing charge (recurring)" in text
    assert "power" in text
