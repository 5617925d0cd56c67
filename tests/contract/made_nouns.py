"""Nouns made from a number: the same number makes the same noun in every process."""

from hashlib import blake2b, sha256

from msgspec.structs import replace

from schemas.charge import Charge, ChargeKind, Part
from schemas.instants import DAY_US
from schemas.rejection import Position, Reason, Rejection
from schemas.statement import Allowance, LineKind, Settlement, Statement, StatementKind, StatementLine, TaxLine

MONTH_US = 30 * DAY_US
FIRST_US = 15_500 * DAY_US
UNIT_PRICE = 110_000_000_001


def made_id(number: int) -> str:
    return blake2b(b"%d" % number, digest_size=16).hexdigest()


def made_charge(number: int, *, months: int = 3) -> Charge:
    month = FIRST_US + number % months * MONTH_US
    quantity = 1_000_003 * (number + 1) * (-1 if number % 7 == 3 else 1)
    parts = (
        Part("peak", 1, UNIT_PRICE, quantity, UNIT_PRICE * quantity),
        *([Part("", 2, 0, 0, 25 * 10**17, "parking", "7.5", 1_875 * 10**14)] if number % 3 == 0 else []),
    )
    return Charge(
        charge_id=made_id(number),
        kind=ChargeKind.USAGE,
        tenant="default",
        account=f"home-{number % 5}",
        source="meter",
        usage_id=f"reading-{number}",
        meter="electricity",
        unit="kWh",
        usage_start=month + number * 1_000_001,
        usage_end=month + number * 1_000_001 + 900_000_000,
        period_start=month,
        period_end=month + MONTH_US,
        statement_start=month,
        statement_end=month + MONTH_US,
        used_before=number * 10**6,
        quantity=quantity,
        parts=parts,
        amount=sum(part.amount for part in parts),
        currency="GBP" if number % 2 else "USD",
        tariff="uk-electricity",
        version="2020-04",
        running_total=(number + 1) * 10**30,
        corrects="",
    )


def made_interim(number: int, interim: int) -> Statement:
    """An interim statement of the same period as `made_statement` of that number."""
    statement_id = f"{made_id(-1 - number)}-{interim}"
    return replace(made_statement(number), statement_id=statement_id, kind=StatementKind.INTERIM, number=interim)


def made_statement(number: int, *, revision: int = 0) -> Statement:
    start = FIRST_US + number * MONTH_US
    lines = tuple(
        StatementLine(
            kind=LineKind.USAGE,
            period_start=start,
            period_end=start + MONTH_US,
            tariff="uk-electricity",
            version="2020-04",
            meter="electricity",
            name="Electricity",
            band="",
            tier=tier,
            unit_price=UNIT_PRICE,
            quantity=tier * 10**6,
            unit="kWh",
            exact=tier * UNIT_PRICE * 10**6,
            amount=tier * 11 * 10**16,
            gross=tier * 12 * 10**16,
            due=tier * 9 * 10**16,
        )
        for tier in range(1, 12)
    )
    return Statement(
        statement_id=made_id(-1 - number),
        tenant="default",
        account="home-1",
        period_start=start,
        period_end=start + MONTH_US,
        zone="Europe/London",
        currency="GBP",
        revision=revision,
        complete=number % 2 == 0,
        lines=lines,
        taxes=(TaxLine("uk-electricity", "2020-04", "VAT", "5", 726 * 10**16, 36 * 10**16, "power"),) if number else (),
        exact=sum(line.exact for line in lines),
        net=726 * 10**16,
        tax=36 * 10**16,
        total=762 * 10**16,
        usage_records=number * 11,
        charges=11,
        usage_first=start + 1 if number else None,
        usage_last=start + 2 if number else None,
        usage_digest="0" * 64,
        charges_digest="f" * 64,
        settlements=tuple(Settlement(f"Credit {one}", one * 10**18, one - 1) for one in range(1, number + 1)),
        allowances=(Allowance("electricity", "kWh", 40 * 10**6, 20 * 10**6, 20 * 10**6),) if number == 1 else (),
        due=(762 - number) * 10**16,
    )


def made_rejection(number: int) -> Rejection:
    original = bytes([number % 256, 255, 0]) + b'{"quantity": "NaN"}'
    return Rejection(
        reason=Reason.NOT_FINITE if number % 2 else Reason.UNREADABLE,
        message=f"record {number}: quantity NaN is not finite. Correct it and send it again.",
        position=Position("usage.jsonl", 0, number, number + 1, number % 5),
        tenant="default",
        account="home-1",
        source="meter",
        usage_id="",
        original=original,
        size=len(original),
        sha256=sha256(original).hexdigest(),
    )
