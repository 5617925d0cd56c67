"""URDB: rates of OpenEI's Utility Rate Database, as its API and its pages save them in JSON.

Energy becomes the item `energy`; time-of-use demand and flat demand become the items `demand` and `flat-demand` of the
same usage, in kWh. The tiers of a rate count the usage of all its periods together where their bounds agree, as OpenEI
and NREL's System Advisor Model have it; else each period's tiers count its own usage. A rate is in USD unless it says
otherwise, and its months and hours are those of the customer's zone.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from schemas.importing.reading import (
    FALLBACK_START,
    Given,
    Imported,
    Inexpressible,
    Json,
    Reading,
    foreign_json,
    foreign_list,
    number,
    one_line,
    refused,
    repeated,
    sequence,
    slug,
    whole,
)
from schemas.importing.schedule import Claim, Day, Run, claims, days_of, months_of, runs, split_periods
from schemas.importing.urdb_structure import Period, costs, is_tiered, periods_of
from schemas.node import cut

ENERGY, DEMAND, FLAT_DEMAND = "energy", "demand", "flat-demand"
_STRUCTURES = {ENERGY: "energyratestructure", DEMAND: "demandratestructure", FLAT_DEMAND: "flatdemandstructure"}
_DEMAND_UNITS = {DEMAND: "demandrateunit", FLAT_DEMAND: "flatdemandunit"}
_FEE_UNITS = {"$/month": "month", "$/day": "day", "$/year": "year"}
_DESCRIPTION_LENGTH = 2000

_READ = {
    *("name", "utility", "label", "uri", "startdate", "enddate", "currency", *_STRUCTURES.values()),
    *("energyweekdayschedule", "energyweekendschedule", "fueladjustmentsmonthly"),
    *("demandweekdayschedule", "demandweekendschedule", "demandwindow", *_DEMAND_UNITS.values()),
    *("flatdemandmonths", "fixedchargefirstmeter", "fixedmonthlycharge", "fixedchargeunits"),
    *("mincharge", "minchargeunits", "minmonthlycharge"),
}
_ABOUT = {
    *("approved", "is_default", "revisions", "supersedes", "source", "sourceparent", "eiaid", "country", "version"),
    *("description", "basicinformationcomments", "demandunits"),
}
"""Where the rate comes from and how it is shown: nothing of it is a price or a condition of one."""
_COMMENTS = ("energycomments", "demandcomments", "energyattrs", "demandattrs", "fixedattrs")
"""Words for people, which may hold conditions that no other field has."""
_INEXPRESSIBLE = {
    "annualmincharge": "a minimum per year",
    "coincidentratestructure": "a charge for the demand at the system's peak",
    "demandreactivepowercharge": "a charge for reactive power",
    "demandratchetpercentage": "a demand charge that the peaks of earlier months raise",
    "lookbackPercent": "a demand charge that the peaks of earlier months raise",
}


def tariffs(content: bytes, given: Given) -> list[Imported]:
    """The rates of one file: one rate, a list of them, or {"items": [...]}."""
    try:
        rates = foreign_list(foreign_json(content), "items")
    except Inexpressible as error:
        return [Imported("the file", None, (), (error.finding,))]
    return repeated(_imported(rate, f"rate {index}", given) for index, rate in enumerate(rates, start=1))


def _imported(rate: object, place: str, given: Given) -> Imported:
    if not isinstance(rate, dict) or not rate.get("name"):
        remedy = 'give a rate as the API has it: {"items": [{"name": ..., "energyratestructure": ...}]}'
        return refused(place, "no rate of URDB: it has no name", remedy)
    name = f"{one_line(rate['name'])} ({rate['label']})" if rate.get("label") else one_line(rate["name"])
    return _Rate(rate, Reading(cut(name)), given).imported()


class _Rate:
    """One rate while it is read; a field that is empty is as good as none."""

    def __init__(self, rate: Mapping[str, Any], reading: Reading, given: Given) -> None:
        self.rate = {key: value for key, value in rate.items() if value not in (None, "", [], {})}
        self.reading = reading
        self.given = given

    def imported(self) -> Imported:
        """The rate as a tariff document."""
        document: Json = {}
        with self.reading.part():
            document |= self._head()
        with self.reading.part():
            document["seasons"], document["meters"] = self._meters()
        with self.reading.part():
            document["fees"] = self._fees()
        with self.reading.part():
            document["minimum"] = self._minimum()
        self._tell_the_rest()
        if not document.get("meters") and not self.reading.findings:
            self.reading.refuse("no price of energy or demand", "import a rate that has one", _STRUCTURES[ENERGY])
        order = (
            "tariff",
            "version",
            "effective_from",
            "currency",
            "description",
            "seasons",
            "minimum",
            "fees",
            "meters",
        )
        return self.reading.imported({key: document[key] for key in order if document.get(key)})

    def _head(self) -> Json:
        utility, name = one_line(self.rate.get("utility", "")), one_line(self.rate["name"])
        start = self._start()
        source = f"OpenEI URDB {self.rate['label']}" if "label" in self.rate else "OpenEI URDB"
        return {
            "tariff": slug(utility, name),
            "version": start.isoformat(),
            "effective_from": start,
            "currency": self.given.currency or str(self.rate.get("currency", "USD")),
            "description": f"{name}{', ' if utility else ''}{utility}; {source}"[:_DESCRIPTION_LENGTH],
        }

    def _start(self) -> date:
        if "enddate" in self.rate:
            self.reading.note(f"enddate: {self._day('enddate')} is its last day; end the account's entry after it")
        if self.given.effective_from is not None:
            return self.given.effective_from
        if "startdate" in self.rate:
            return self._day("startdate")
        self.reading.note(f"no startdate: in force from {FALLBACK_START}; say another day with --effective-from")
        return FALLBACK_START

    def _day(self, key: str) -> date:
        """URDB has the utility's midnight in seconds since 1970: in America that is the same date in UTC."""
        try:
            return datetime.fromtimestamp(whole(self.rate[key], key), UTC).date()
        except (ValueError, OverflowError, OSError):
            raise Inexpressible("no such time", "write seconds since 1970", key) from None

    def _meters(self) -> tuple[Json, Json]:
        """The seasons of the tariff, in which all that varies by month is alike, and the items."""
        calendars: dict[str, Sequence[Any]] = {}
        for item, structure in _STRUCTURES.items():
            if structure in self.rate:
                with self.reading.part():
                    calendars[item] = self._calendar(item)
        varying = [calendar for calendar in calendars.values() if runs(calendar)]
        seasons = runs(*varying) if varying else []
        meters: Json = {}
        for item, calendar in calendars.items():
            with self.reading.part():
                in_item = seasons if calendar in varying else []
                meters |= self._energy(calendar, in_item) if item == ENERGY else self._demand(item, calendar, in_item)
        return {run.name: run.season for run in seasons}, meters

    def _calendar(self, item: str) -> Sequence[Any]:
        """What the item is in each of 12 months: periods by day and hour and what is added, or just a period."""
        periods = len(sequence(self.rate[_STRUCTURES[item]], _STRUCTURES[item]))
        if item == FLAT_DEMAND:
            months = months_of(self.rate.get("flatdemandmonths", [0] * 12), "flatdemandmonths")
            days_of([[month] * 24 for month in months], periods, "flatdemandmonths")
            return [(Day((month,) * 24, (month,) * 24), Decimal(0)) for month in months]
        weekday, weekend = f"{item}weekdayschedule", f"{item}weekendschedule"
        if periods == 1 and weekday not in self.rate and weekend not in self.rate:
            days = [Day((0,) * 24, (0,) * 24)] * 12
        else:
            rows = (days_of(self.rate.get(name), periods, name) for name in (weekday, weekend))
            days = [Day(*month) for month in zip(*rows, strict=True)]
        return list(zip(days, self._fuel() if item == ENERGY else [Decimal(0)] * 12, strict=True))

    def _fuel(self) -> list[Decimal]:
        """What a month adds to each kWh."""
        key = "fueladjustmentsmonthly"
        return [number(value, key, month) for month, value in enumerate(months_of(self.rate.get(key, [0] * 12), key))]

    def _energy(self, calendar: Sequence[tuple[Day, Decimal]], seasons: list[Run]) -> Json:
        periods = periods_of(self.rate[_STRUCTURES[ENERGY]], _STRUCTURES[ENERGY], self.reading)
        tiered = is_tiered(periods)
        item = self._bands(
            calendar, seasons, lambda period, fuel: period.price(self.reading, fuel, tiered=tiered), periods
        )
        across = self._across(calendar, periods) if tiered and "bands" in item else {}
        return {ENERGY: {"unit": "kWh", **across, **item}}

    def _across(self, calendar: Sequence[tuple[Day, Decimal]], periods: list[Period]) -> Json:
        """How tiers count: together in all periods of a month where their bounds agree."""
        of_month = [{periods[period].shape for row in day for period in row} for day, _ in calendar]
        if all(len(shapes) == 1 for shapes in of_month):
            several = any(len({*day.weekday, *day.weekend}) > 1 for day, _ in calendar)
            return {"tiers_across_bands": "pro-rata"} if several else {}
        self._refuse_split(calendar, "tiers")
        self.reading.note("periods have tiers with different bounds: the tiers of each period count its own usage")
        return {}

    def _demand(self, item: str, calendar: Sequence[tuple[Day, Decimal]], seasons: list[Run]) -> Json:
        structure, unit = _STRUCTURES[item], _DEMAND_UNITS[item]
        if self.rate.get(unit, "kW") != "kW":
            raise Inexpressible(f"demand in {cut(str(self.rate[unit]))}", "only kW can be expressed", unit)
        periods = periods_of(self.rate[structure], structure, self.reading)
        if not costs(periods):
            self.reading.note(f"{structure} costs nothing and is left out")
            return {}
        self._refuse_split(calendar, "demand")

        def price(period: Period, extra: Decimal) -> Json:
            return period.price(self.reading, extra, tiered=len(period.tiers) > 1)

        bands = self._bands(calendar, seasons, price, periods)
        made = {"usage_of": [ENERGY], "unit": "kWh", "convert": {"unit": "kW"}, "aggregation": self._aggregation()}
        return {item: {**made, **bands}}

    def _aggregation(self) -> Json:
        if "demandwindow" not in self.rate:
            self.reading.note("no demandwindow: demand is the highest mean power of 60 minutes (interval_minutes)")
        minutes = whole(self.rate.get("demandwindow", 60), "demandwindow")
        return {"function": "demand", "interval_minutes": minutes}

    def _bands(
        self,
        calendar: Sequence[tuple[Day, Decimal]],
        seasons: list[Run],
        price: Callable[[Period, Decimal], Json],
        periods: list[Period],
    ) -> Json:
        """One price, or bands by season and period."""
        bands: list[Json] = []
        all_year: list[Run | None] = [None]
        for run in seasons or all_year:
            day, extra = calendar[run.first if run else 0]
            found = claims(day)
            bands += [
                {**_named(run, claim, split_periods(found)), **claim.when, "price": price(periods[claim.period], extra)}
                for claim in found
            ]
        return {"price": bands[0]["price"]} if len(bands) == 1 else {"bands": bands}

    def _refuse_split(self, calendar: Sequence[tuple[Day, Decimal]], what: str) -> None:
        """A period in two bands would count its demand, or fill its tiers, twice."""
        for day, _ in calendar:
            for period in split_periods(claims(day)):
                text = f"period {period + 1} and another one have other hours on weekends than on weekdays"
                raise Inexpressible(f"{text}: its {what} cannot be told in one band", "write this rate by hand")

    def _fees(self) -> list[Json]:
        key = "fixedchargefirstmeter" if "fixedchargefirstmeter" in self.rate else "fixedmonthlycharge"
        amount = number(self.rate.get(key, 0), key)
        unit = str(self.rate.get("fixedchargeunits", "$/month")) if key == "fixedchargefirstmeter" else "$/month"
        if not amount:
            return []
        if unit not in _FEE_UNITS:
            remedy = f"only {', '.join(_FEE_UNITS)} can be expressed"
            raise Inexpressible(f"a fixed charge in {cut(unit)}", remedy, "fixedchargeunits")
        return [{"name": "Fixed charge", "amount": self.reading.price(amount), "per": _FEE_UNITS[unit]}]

    def _minimum(self) -> Json:
        key = "mincharge" if "mincharge" in self.rate else "minmonthlycharge"
        amount = number(self.rate.get(key, 0), key)
        unit = self.rate.get("minchargeunits", "$/month") if key == "mincharge" else "$/month"
        if not amount:
            return {}
        if unit != "$/month":
            raise Inexpressible(f"a minimum in {cut(str(unit))}", "only $/month can be expressed", "minchargeunits")
        return {"amount": self.reading.price(amount), "counts": "usage-and-fees"}

    def _tell_the_rest(self) -> None:
        """Names what has not become a part of the tariff."""
        for key, what in _INEXPRESSIBLE.items():
            if _is_something(self.rate.get(key)):
                self.reading.refuse(f"{what} cannot be expressed", "write this rate by hand", key)
        for key in _COMMENTS:
            if key in self.rate:
                self.reading.note(f"{key}, for people to read: {one_line(self.rate[key])}")
        known = _READ | _ABOUT | _INEXPRESSIBLE.keys() | set(_COMMENTS)
        told = [f"{key} = {cut(one_line(value))}" for key, value in self.rate.items() if key not in known]
        if told:
            self.reading.note(f"not in the tariff: {'; '.join(told)}")


def _named(run: Run | None, claim: Claim, split: Sequence[int]) -> Json:
    """The name and the season of a band; a period with two bands has the days in their names."""
    name = f"period-{claim.period + 1}"
    if claim.period in split:
        name += f"-{claim.when['days'][0]}"
    return {"name": f"{run.name}-{name}", "season": run.name} if run else {"name": name}


def _is_something(value: object) -> bool:
    """Whether a charge is more than zeros and empty lists."""
    if isinstance(value, list):
        return any(_is_something(item) for item in value)
    if isinstance(value, dict):
        return any(_is_something(item) for key, item in value.items() if key in {"rate", "adj"})
    return value not in (0, "0", "", None, False)
