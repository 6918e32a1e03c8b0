#!/usr/bin/env python3
"""Computes a day of a log anew, and compares it with what the risk worker published.

From market data, execution reports and accounts alone, by the conventions of docs/risk.md: what each portfolio
held, its profit and loss, equity, exposure, value at risk and expected shortfall, at sampled moments of the day.
A figure that differs, or that the worker did not know, is printed; the exit code is then 1.

Needs what requirements.txt names, and Python 3.11. It shares no code with the worker.
"""

import argparse
import random
import sys
from contextlib import contextmanager
from decimal import Decimal

import pandas as pd

from portfolio import portfolios
from tape import Beyond, Log, Order, marks, micros

# Two amounts are the same to the cent if they are less than half of one apart.
CENT = Decimal("0.01")
RELATIVE = 1e-9
# Of shares and drawdowns, which are differences of figures near 1: below this they are the same.
ABSOLUTE = 1e-12


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
        relative = apart / max(abs(got or 0.0), abs(expected), ABSOLUTE / RELATIVE)
        self.take(kind, "relative", where, expected, got, relative, relative <= RELATIVE)

    def exact(self, kind, where, expected, got):
        self.take(kind, "(exact)", where, expected, got, float(expected != got), expected == got)

    def table(self):
        lines = [f"{'figure':<36}{'compared':>9}  largest difference"]
        for kind, (count, largest, unit) in self.kinds.items():
            lines.append(f"{kind:<36}{count:>9}  {largest:.2g} {unit}")
        return "\n".join(lines)


class Published:
    """What the risk worker said: figures, and books."""

    def __init__(self, log):
        said = (record["value"] for record in log.records("risk.metrics.v1"))
        # What is above the portfolio is another worker's.
        self.figures = [value for value in said if value["provenance"]["worker"] == "risk"]
        self.books = {}
        for record in log.records("holdings.v1"):
            self.books.setdefault(record["value"]["portfolio"], []).append(record["value"])

    def moments(self, day, count, seed):
        """So many records of figures of the day, in order; by a seed."""
        start = pd.Timestamp(day, tz="UTC").value // 1000
        times = micros([value["event_time"] for value in self.figures])
        within = [at for at, time in enumerate(times) if start <= time < start + 86_400_000_000]
        if len(within) < count:
            raise Beyond(f"on {day} the worker published {len(within)} times, and {count} moments are to be compared")
        chosen = random.Random(seed).sample(within, count)
        return [(int(times[at]), self.figures[at]) for at in sorted(chosen)]

    def book(self, said):
        """The last book that the same task published of the portfolio by then."""
        step = said["provenance"]["step"]
        earlier = [book for book in self.books.get(said["scope"], []) if book["provenance"]["step"] <= step]
        return earlier[-1]["holdings"] if earlier else []


def day_of(instant, cause, day):
    """When the day began that a moment is of. What is due at its beginning is still of the day before."""
    now = pd.Timestamp(instant - cause.startswith("tick@"), unit="us", tz="UTC").tz_convert(day["time_zone"])
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
        book = {line["symbol"]: line for line in published.book(said)}
        comparison.exact("symbols held", where, sorted(positions), sorted(book))
        for symbol in positions.keys() & book.keys():
            (quantity, cost), says = positions[symbol], book[symbol]
            comparison.exact("quantity", f"{where} {symbol}", quantity, Decimal(says["quantity"]))
            comparison.ratio("average_cost", f"{where} {symbol}", float(cost), float(says["average_cost"]))
        measures = {measure["name"]: measure for measure in said["measures"]}
        comparison.exact("names of measures", where, sorted(figures), sorted(measures.keys() - {"observed_for"}))
        for name, expected in figures.items():
            measure = measures.get(name, {"amount": None, "value": None})
            if isinstance(expected, Decimal):
                comparison.amount(name, where, expected, measure["amount"])
            else:
                comparison.ratio(name, where, expected, measure["value"])
    return comparison


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
    names = [measure["name"] for measure in moments[0][1]["measures"] if measure["name"] != "observed_for"]
    for name in names:
        measures = [measure for _, said in moments for measure in said["measures"] if measure["name"] == name]
        # Rather one that is not 0: a relative change of it is one.
        measure = chance.choice([measure for measure in measures if measure["value"]] or measures)
        if measure["amount"] is not None:
            key, value = "amount", str(Decimal(measure["amount"]) + CENT)
        else:
            key, value = "value", measure["value"] + 3 * max(RELATIVE * abs(measure["value"]), ABSOLUTE)
        with planted(measure, key, value):
            if len(compare(moments, published, found).differences) != 1:
                missed.append(name)
    holding = [said for _, said in moments if published.book(said)]
    for key, share in (("quantity", Decimal("1e-9")), ("average_cost", 3 * Decimal(RELATIVE))):
        line = chance.choice(published.book(chance.choice(holding)))
        with planted(line, key, str(Decimal(line[key]) * (1 + share))):
            if not compare(moments, published, found).differences:
                missed.append(key)
    return len(names) + 2, missed


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


def run(given):
    options = [f"--{name}={value}" for name in ("env", "config") if (value := getattr(given, name))]
    log = Log(given.tapewatch, given.log, options)
    risk = log.settings()["risk"]
    order, published = Order(log), Published(log)
    of_portfolio = portfolios(order, marks(order), risk)
    moments = published.moments(given.day, given.moments, given.seed)
    found = {}
    for instant, said in moments:
        place = order.last_seen(said["provenance"]["cause"])
        if place is None:
            raise Beyond(f"{said['provenance']['cause']} is no input of this computation")
        began = day_of(instant, said["provenance"]["cause"], risk["day"])
        found[said["scope"], said["id"]] = of_portfolio[said["scope"]].at(place, instant, began, said)
    comparison = compare(moments, published, found)
    print(comparison.table())
    for difference in comparison.differences[:20]:
        print(difference)
    scopes = {said["scope"] for _, said in moments}
    compared = sum(count for count, *_ in comparison.kinds.values())
    print(
        f"summary: {given.day}, {risk['pnl_method']}: {len(moments)} moments of {len(scopes)} portfolios, "
        f"{compared} figures compared, {len(comparison.differences)} differ"
    )
    if comparison.differences:
        return 1
    if given.self_check:
        tried, missed = self_check(moments, published, found, given.seed)
        print(f"summary: {tried} differences planted, {tried - len(missed)} found", *missed, sep="; missed: ")
        return 1 if missed else 0
    return 0


if __name__ == "__main__":
    try:
        sys.exit(run(arguments()))
    except Beyond as error:
        sys.exit(f"day.py: {error}")
