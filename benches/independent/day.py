#!/usr/bin/env python3
"""Computes a day of a log anew, and compares it with what the risk worker published.

From market data, execution reports and accounts alone, by the conventions of docs/risk.md: what each portfolio
held, its profit and loss, equity, exposure, value at risk and expected shortfall, at sampled moments of the day; and the
same of each strategy, desk and firm of the settings, at sampled moments of the day and the six after it.
A figure that differs, or that the worker did not know, is printed; the exit code is then 1.

Needs what requirements.txt names, and Python 3.11. It shares no code with the worker.
"""

import argparse
import random
import sys
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction

import pandas as pd

from books import books
from correlation import Furthest
from market import Market
from portfolio import portfolios
from scopes import UNCHECKED, scopes
from tape import ABOVE, INPUTS, Beyond, Log, Order, micros

# Two amounts are the same to the cent if they are less than half of one apart.
CENT = Decimal("0.01")
RELATIVE = 1e-9
# Of shares and drawdowns, which are differences of figures near 1: below this they are the same.
ABSOLUTE = 1e-12


def least(kind):
    """What the digits of a figure are relative to, if it is smaller: of Acerbi's Z2, one less a mean, that is one."""
    return 1.0 if kind.endswith("_acerbi_z2") else ABSOLUTE / RELATIVE


class Comparison:
    """What was compared, kind by kind, and what differs."""

    def __init__(self):
        self.kinds = {}
        self.differences = []

    def take(self, kind, unit, where, expected, got, difference, same):
        count, largest, _ = self.kinds.get(kind, (0, 0.0, unit))
        self.kinds[kind] = (count + 1, max(largest, difference), unit)
        if not same:
            self.differences.append(f"{where}: {kind} is {got}, computed anew {expected}")

    def amount(self, kind, where, expected, got):
        apart = abs(Decimal(got) - expected) if got is not None else Decimal("Infinity")
        self.take(kind, "of money", where, expected, got, float(apart), apart < CENT / 2)

    def ratio(self, kind, where, expected, got):
        apart = abs(got - expected) if got is not None else float("inf")
        relative = apart / max(abs(got or 0.0), abs(expected), least(kind))
        self.take(kind, "relative", where, expected, got, relative, relative <= RELATIVE)

    def exact(self, kind, where, expected, got):
        self.take(kind, "(exact)", where, expected, got, float(expected != got), expected == got)

    def table(self):
        lines = [f"{'figure':<36}{'compared':>9}  largest difference"]
        for kind, (count, largest, unit) in self.kinds.items():
            lines.append(f"{kind:<36}{count:>9}  {largest:.2g} {unit}")
        return "\n".join(lines)


class Published:
    """What the workers said: figures, and books."""

    def __init__(self, log):
        said = (record["value"] for record in log.records("risk.metrics.v1"))
        # Where two workers' records stand beside each other in a partition is chance.
        self.figures = sorted(said, key=lambda value: (value["event_time"], value["scope"], value["provenance"]["step"]))
        self.books = {}
        for record in log.records("holdings.v1"):
            self.books.setdefault(record["value"]["portfolio"], []).append(record["value"])

    def moments(self, worker, day, days, count, seed):
        """So many records of figures of a worker, of so many days, in order; by a seed."""
        start, figures = pd.Timestamp(day, tz="UTC").value // 1000, [
            value for value in self.figures if value["provenance"]["worker"] == worker
        ]
        times = micros([value["event_time"] for value in figures])
        within = [at for at, time in enumerate(times) if start <= time < start + days * 86_400_000_000]
        if len(within) < count:
            raise Beyond(f"from {day} on {worker} published {len(within)} times, and {count} moments are to be compared")
        chosen = random.Random(seed).sample(within, count)
        return [(int(times[at]), figures[at]) for at in sorted(chosen)]

    def book(self, said):
        """The last book that the same task published of the portfolio by then."""
        step = said["provenance"]["step"]
        earlier = [book for book in self.books.get(said["scope"], []) if book["provenance"]["step"] <= step]
        return earlier[-1]["holdings"] if earlier else []


def day_of(instant, cause, day):
    """When the day began that a moment is of. What happens as a day ends is of that day."""
    now = pd.Timestamp(instant - 1, unit="us", tz="UTC").tz_convert(day["time_zone"])
    dates = (now.tz_localize(None).normalize() - pd.Timedelta(days=back) for back in (0, 1))
    starts = (date + pd.Timedelta(day["starts"]) for date in dates)
    begun = (start.tz_localize(day["time_zone"], ambiguous=True, nonexistent="shift_forward") for start in starts)
    return next(start.value // 1000 for start in begun if start <= now)


def compare(moments, published, found):
    """Every figure of every moment."""
    comparison = Comparison()
    for instant, said in moments:
        where = f"{said['scope']} at {said['event_time']} ({said['provenance']['cause']})"
        positions, figures = found[said["scope"], said["id"]]
        if positions is not None:
            compare_book(comparison, where, positions, published.book(said))
        measures = {measure["name"]: measure for measure in said["measures"]}
        comparison.exact("names of measures", where, sorted(figures), sorted(measures.keys() - UNCHECKED))
        for name, expected in figures.items():
            measure = measures.get(name, {"amount": None, "value": None, "unknown": None})
            if expected is None:
                comparison.exact(name, where, "missing", measure["unknown"])
            elif isinstance(expected, Decimal):
                comparison.amount(name, where, expected, measure["amount"])
            elif isinstance(expected, Fraction):
                comparison.exact(name, where, float(expected), measure["value"])
            else:
                comparison.ratio(name, where, expected, measure["value"])
                if isinstance(expected, Furthest):
                    comparison.exact(f"{name}: its pair", where, list(expected.symbols), measure.get("symbols"))
    return comparison


def compare_book(comparison, where, positions, published):
    """What a portfolio holds, and what it cost."""
    book = {line["symbol"]: line for line in published}
    comparison.exact("symbols held", where, sorted(positions), sorted(book))
    for symbol in positions.keys() & book.keys():
        (quantity, cost), says = positions[symbol], book[symbol]
        comparison.exact("quantity", f"{where} {symbol}", quantity, Decimal(says["quantity"]))
        comparison.ratio("average_cost", f"{where} {symbol}", float(cost), float(says["average_cost"]))


@contextmanager
def planted(table, key, value):
    """Has another value there for a while."""
    table[key], before = value, table[key]
    yield
    table[key] = before


def self_check(moments, published, found, seed):
    """Plants the least difference that must be seen in each kind of figure, and demands that it is found, and alone."""
    chance = random.Random(seed)
    missed = []
    names = sorted({measure["name"] for _, said in moments for measure in said["measures"]} - UNCHECKED)
    for name in names:
        said = [(moment, one) for moment in moments for one in moment[1]["measures"] if one["name"] == name]
        # Rather one that is not 0: a relative change of it is one.
        moment, measure = chance.choice([pair for pair in said if pair[1]["value"]] or said)
        if measure["value"] is None:
            key, value = "unknown", None
        elif measure["amount"] is not None:
            key, value = "amount", str(Decimal(measure["amount"]) + CENT)
        else:
            key, value = "value", measure["value"] + 3 * RELATIVE * max(abs(measure["value"]), least(name))
        # No other moment has it, and none differs without it.
        with planted(measure, key, value):
            if len(compare([moment], published, found).differences) != 1:
                missed.append(name)
        with planted(measure, "name", "of_nothing"):
            if not compare([moment], published, found).differences:
                missed.append(f"{name}, under another name")
        if measure.get("symbols"):
            with planted(measure, "symbols", measure["symbols"][::-1]):
                if len(compare([moment], published, found).differences) != 1:
                    missed.append(f"{name}, of another pair")
    holding = [said for _, said in moments if published.book(said)]
    lines = (("quantity", Decimal("1e-9")), ("average_cost", 3 * Decimal(RELATIVE))) if holding else ()
    for key, share in lines:
        line = chance.choice(published.book(chance.choice(holding)))
        with planted(line, key, str(Decimal(line[key]) * (1 + share))):
            if not compare(moments, published, found).differences:
                missed.append(key)
    return 2 * len(names) + len(lines), missed


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tapewatch", default="target/release/tapewatch", help="the program that reads the log")
    parser.add_argument("--log", required=True, help="sqlite:PATH, or any that the program takes")
    parser.add_argument("--env", help="the environment of the settings that the worker ran under")
    parser.add_argument("--config", help="the file of these settings")
    parser.add_argument("--day", default="2021-10-16", help="the day, UTC")
    parser.add_argument("--moments", type=int, default=100, help="how many are sampled")
    parser.add_argument("--seed", type=int, default=7, help="of the sample")
    parser.add_argument("--self-check", action="store_true", help="then plant differences, which must be found")
    return parser.parse_args()


class Anew:
    """The log, and all that is computed of it."""

    def __init__(self, given):
        options = [f"--{name}={value}" for name in ("env", "config") if (value := getattr(given, name))]
        log = Log(given.tapewatch, given.log, options)
        settings = log.settings()
        self.risk, self.published = settings["risk"], Published(log)
        self.order, self.above = Order(log, INPUTS), Order(log, ABOVE)
        instruments = log.instruments()
        self.portfolios = portfolios(Market(self.order, self.risk, instruments), self.risk)
        of_portfolios = books(self.above, self.order, self.portfolios)
        self.scopes = scopes(settings.get("firm", {}), of_portfolios, Market(self.above, self.risk, instruments), self.risk)

    def figures(self, of_scope, order, moments):
        """What every moment is computed to have, by scope and record."""
        found = {}
        for instant, said in moments:
            cause = said["provenance"]["cause"]
            place = order.last_seen(cause)
            if place is None:
                raise Beyond(f"{cause} is no input of this computation")
            began = day_of(instant, cause, self.risk["day"])
            found[said["scope"], said["id"]] = of_scope[said["scope"]].at(place, instant, began, said)
        return found


def check(given, anew, kind, moments, found):
    """Compares and says what came of it; true if all is well."""
    comparison = compare(moments, anew.published, found)
    print(comparison.table())
    for difference in comparison.differences[:20]:
        print(difference)
    scopes_seen = {said["scope"] for _, said in moments}
    compared = sum(count for count, *_ in comparison.kinds.values())
    print(
        f"summary: from {given.day} on, {anew.risk['pnl_method']}: {len(moments)} moments of {len(scopes_seen)} {kind}, "
        f"{compared} figures compared, {len(comparison.differences)} differ"
    )
    if comparison.differences or not given.self_check:
        return not comparison.differences
    tried, missed = self_check(moments, anew.published, found, given.seed)
    print(f"summary: {tried} differences planted, {tried - len(missed)} found", *missed, sep="; missed: ")
    return not missed


def run(given):
    anew, well = Anew(given), []
    moments = anew.published.moments("risk", given.day, 1, given.moments, given.seed)
    well.append(check(given, anew, "portfolios", moments, anew.figures(anew.portfolios, anew.order, moments)))
    if anew.scopes:
        moments = anew.published.moments("firm-risk", given.day, 7, given.moments, given.seed)
        well.append(check(given, anew, "scopes", moments, anew.figures(anew.scopes, anew.above, moments)))
    return 0 if all(well) else 1


if __name__ == "__main__":
    try:
        sys.exit(run(arguments()))
    except Beyond as error:
        sys.exit(f"day.py: {error}")
