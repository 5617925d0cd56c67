"""CGRateS: the CSV files of a tariff plan become one tariff per rating plan, with the item `call` in seconds.

Each prefix of a destination has bands of its own, for usage whose attribute `destination` begins with it; the longest
prefix wins, and *any has no condition. At each moment the binding of the greatest weight prices a call, of equal ones
the one whose timing began last; where a prefix has none, the next shorter one prices. CGRateS also rounds each
increment, to `general.rounding_decimals` of its configuration: 5 by default, and so here. It debits calls as they are
rounded, so only the statement's total is rounded to the currency.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime

from schemas.importing.cgrates_files import (
    ANY,
    FILES,
    WEEK,
    Binding,
    DestinationRate,
    PlanFiles,
    Profile,
    plan_files,
    rate_of,
    window_of,
)
from schemas.importing.reading import (
    FALLBACK_START,
    Given,
    Imported,
    Inexpressible,
    Json,
    Reading,
    digits,
    number,
    refused,
    repeated,
    slug,
    whole,
)
from schemas.importing.week import NOTHING, Bound, Week, claims, gap, week_of

ITEM, ATTRIBUTE = "call", "destination"
INCREMENT_DECIMALS = 5
_MODES = {"*up": "up", "*middle": "half-up", "*down": "down"}
_STRATEGIES = {"*free": "free", "*disconnect": "charged"}


def tariffs(files: Mapping[str, bytes], given: Given) -> list[Imported]:
    """The rating plans of a folder, whose files are given by name."""
    try:
        plan = plan_files(files)
    except Inexpressible as error:
        return [Imported("the folder", None, (), (error.finding,))]
    if given.currency is None:
        return [refused("the folder", "a tariff plan names no currency", "say it: --currency EUR")]
    if not plan.plans:
        return [refused("RatingPlans.csv", "no rating plan", "give the folder of a tariff plan with one")]
    others = sorted(name for name in files if name.removesuffix(".csv") not in FILES)
    return repeated(_Rating(name, plan, given, others).imported() for name in plan.plans)


class _Rating:
    """One rating plan while it is read."""

    def __init__(self, name: str, files: PlanFiles, given: Given, others: Iterable[str]) -> None:
        self.name = name
        self.files = files
        self.given = given
        self.reading = Reading(name)
        if others:
            self.reading.note(f"not in the tariff: {', '.join(others)}")
        self.ratings: dict[str, DestinationRate] = {}

    def imported(self) -> Imported:
        """The rating plan as a tariff document."""
        document: Json = {}
        with self.reading.part():
            start = self._start()
            document = {
                "tariff": slug(self.name),
                "version": start.isoformat(),
                "effective_from": start,
                "currency": self.given.currency,
                "description": f"CGRateS rating plan {self.name}",
                "rounding": {"at": "total"},
            }
        with self.reading.part():
            document["meters"] = {ITEM: {"unit": "s", **self._bands()}}
            self.reading.note(f"each increment is rounded to {INCREMENT_DECIMALS} decimals, as CGRateS does by default")
        return self.reading.imported(document)

    def _start(self) -> date:
        """When the first one gets the plan; who does is told, because that is for accounts to say."""
        starts = [self._told_start(profile) for profile in self.files.profiles.get(self.name, [])]
        if self.given.effective_from is not None:
            return self.given.effective_from
        if not starts:
            self.reading.note(f"no rating profile has it: in force from {FALLBACK_START}; see --effective-from")
        return min(starts, default=FALLBACK_START)

    def _told_start(self, profile: Profile) -> date:
        try:
            start = datetime.fromisoformat(profile.activation).date()
        except ValueError:
            at = "RatingProfiles.csv", self.name
            raise Inexpressible(f"no time: {profile.activation}", "write it as 2014-01-14T00:00:00Z", *at) from None
        who = f"{profile.tenant} {profile.category} {profile.subject}"
        self.reading.note(f"{who} has it from {start}: give it to those accounts")
        if profile.fallback:
            self.reading.note(f"{who} falls back on the rates of {profile.fallback}, which this tariff does not do")
        return start

    def _bands(self) -> Json:
        """One price, or bands by prefix and time: longer prefixes first, what has no condition last."""
        weeks = self._weeks()
        bands = [band for prefix in sorted(weeks, key=_longest_first) for band in self._bands_of(prefix, weeks[prefix])]
        return {"price": bands[0]["price"]} if len(bands) == 1 and "where" not in bands[0] else {"bands": bands}

    def _bands_of(self, prefix: str, week: Week) -> list[Json]:
        if gap(week):
            what = f"nothing prices {prefix or ANY} on {gap(week)}"
            raise Inexpressible(what, "bind a timing that covers it", "RatingPlans.csv")
        found = claims(week)
        ratings = [rating for rating, _ in found]
        where = {"where": {ATTRIBUTE: f"{prefix}*"}} if prefix else {}
        return [
            {
                "name": _band_name(prefix, rating, when, is_only=ratings.count(rating) == 1),
                **where,
                **when,
                "price": self._price(self.ratings[rating]),
            }
            for rating, when in found
        ]

    def _weeks(self) -> dict[str, Week]:
        """The week of each prefix, "" for *any."""
        by_prefix: dict[str, dict[str, list[Bound]]] = {}
        for binding in self.files.plans[self.name]:
            days, start = self._window(binding)
            for rate in self._destination_rates(binding):
                label = f"{rate.name} {rate.rate}"
                self.ratings[label] = rate
                for prefix in self._prefixes(rate):
                    of_prefix = by_prefix.setdefault(prefix, {}).setdefault(rate.destination, [])
                    of_prefix.append(Bound(label, days, start, binding.weight))
        weeks: dict[str, Week] = {}
        for prefix in sorted(by_prefix, key=len):
            shorter = [known for known in weeks if prefix.startswith(known)]
            behind = weeks[max(shorter, key=len)] if shorter else NOTHING
            weeks[prefix] = week_of(_one_destination(prefix, by_prefix[prefix]), behind)
        return weeks

    def _window(self, binding: Binding) -> tuple[frozenset[int], int]:
        if binding.timing in ("", ANY):
            return WEEK, 0
        if binding.timing not in self.files.timings:
            what = f"no timing {binding.timing}"
            raise Inexpressible(what, "define it in Timings.csv", "RatingPlans.csv", self.name)
        return window_of(self.files.timings[binding.timing])

    def _destination_rates(self, binding: Binding) -> list[DestinationRate]:
        found = self.files.destination_rates.get(binding.destination_rate)
        if not found:
            what = f"no destination rate {binding.destination_rate}"
            raise Inexpressible(what, "define it in DestinationRates.csv", "RatingPlans.csv", self.name)
        return found

    def _prefixes(self, rate: DestinationRate) -> list[str]:
        if rate.destination == ANY:
            return [""]
        prefixes = self.files.destinations.get(rate.destination)
        if not prefixes:
            what = f"no destination {rate.destination}"
            raise Inexpressible(what, "define it in Destinations.csv", "DestinationRates.csv", rate.name)
        return prefixes

    def _price(self, rate: DestinationRate) -> Json:
        rows = self.files.rates.get(rate.rate)
        if not rows:
            at = "DestinationRates.csv", rate.name
            raise Inexpressible(f"no rate {rate.rate}", "define it in Rates.csv", *at)
        rates = [rate_of(row) for row in rows]
        if any(slot.connect_fee for slot in rates[1:]):
            self.reading.note(f"{rate.rate}: only the connect fee of its first row counts, as in CGRateS")
        slots = [
            {
                "from_s": slot.from_s,
                "rate": self.reading.price(slot.rate),
                "unit_s": slot.unit_s,
                "increment_s": slot.increment_s,
            }
            for slot in sorted(rates, key=lambda slot: slot.from_s)
        ]
        fee = {"connection_fee": self.reading.price(rates[0].connect_fee)} if rates[0].connect_fee else {}
        rounding = self._rounding(rate)
        limit = self._maximum(rate)
        return {"model": "call", **fee, "slots": slots, "increment_decimals": INCREMENT_DECIMALS, **rounding, **limit}

    def _rounding(self, rate: DestinationRate) -> Json:
        if not rate.rounding:
            return {}
        at = "DestinationRates.csv", rate.name
        if rate.rounding not in _MODES:
            raise Inexpressible(f"no rounding {rate.rounding}", f"use one of: {', '.join(_MODES)}", *at)
        return {"decimals": whole(rate.decimals or "0", *at), "mode": _MODES[rate.rounding]}

    def _maximum(self, rate: DestinationRate) -> Json:
        at = "DestinationRates.csv", rate.name
        maximum = number(rate.max_cost or "0", *at)
        if not maximum:
            return {}
        if not rate.strategy:
            self.reading.note(f"{rate.name}: a MaxCost without a strategy limits nothing, as in CGRateS")
            return {}
        if rate.strategy not in _STRATEGIES:
            raise Inexpressible(f"no strategy {rate.strategy}", f"use one of: {', '.join(_STRATEGIES)}", *at)
        return {"maximum": digits(maximum), "beyond_maximum": _STRATEGIES[rate.strategy]}


def _longest_first(prefix: str) -> tuple[int, str]:
    return -len(prefix), prefix


def _band_name(prefix: str, rating: str, when: Json, *, is_only: bool) -> str:
    """The prefix and the destination rate; where that has several bands, their days and hours too."""
    times = [] if is_only else [*when.get("days", []), *when.get("hours", [])]
    return " ".join([prefix or ANY, rating.partition(" ")[0], *times])


def _one_destination(prefix: str, destinations: Mapping[str, list[Bound]]) -> list[Bound]:
    """The bindings of the destination of the greatest weight: where several have a prefix, CGRateS takes one."""
    weights = {name: max(bound.weight for bound in bounds) for name, bounds in destinations.items()}
    best = max(weights.values())
    names = sorted(name for name, weight in weights.items() if weight == best)
    if len(names) > 1 or (len(weights) > 1 and gap(week_of(destinations[names[0]], NOTHING))):
        what = f"prefix {prefix} is in the destinations {' and '.join(sorted(weights))}"
        raise Inexpressible(what, "bind one of them at all times with the greatest weight", "Destinations.csv")
    return destinations[names[0]]
