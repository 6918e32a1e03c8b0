"""A portfolio's book, its window of profit and loss, and its limits, by the conventions of docs/risk.md."""

import numpy as np

LEVELS = {"95": 0.05, "99": 0.01}


class Marks:
    """The mark of each symbol, by the place that the symbol has in every portfolio's arrays."""

    def __init__(self):
        self.places = {}
        self.values = np.zeros(0)

    def place(self, symbol):
        """The place of a symbol, a new one if it is new. Until it has a mark, nothing that rests on it is a number."""
        place = self.places.setdefault(symbol, len(self.places))
        if place == len(self.values):
            self.values = np.append(self.values, np.nan)
        return place

    def take(self, record):
        """The middle of bid and ask, else the last trade."""
        if record["bid"] is not None and record["ask"] is not None:
            mark = (record["bid"] + record["ask"]) / 2
        else:
            mark = record["last"]
        if mark is not None:
            place = self.place(record["symbol"])
            self.values[place] = float(mark)


class Portfolio:
    """Positions by average cost, the last changes of profit and loss at fills, limits."""

    def __init__(self, terms):
        self.terms = terms
        self.quantities = np.zeros(0)
        self.costs = np.zeros(0)
        self.realised = self.fees = 0.0
        self.profit = None  # at the last fill; none before the first
        self.window = np.empty(terms["window"])
        self.samples = self.next = 0
        self._measure(0.0, 0.0, 0.0, 0.0)
        self.limits = {limit["name"]: ("unknown", None) for limit in terms["limits"]}
        self.due = None  # the instant of the next level; none while there is nothing new

    def fill(self, place, quantity, price, fee, marks):
        """Books a fill (quantity negative for a sale) and computes all figures anew."""
        if place >= len(self.quantities):
            more = np.zeros(len(marks) - len(self.quantities))
            self.quantities, self.costs = np.append(self.quantities, more), np.append(self.costs, more)
        self._book(place, quantity, price)
        self.fees += fee
        held = len(self.quantities)
        values = self.quantities * marks[:held]
        sizes = np.abs(values)
        gross, net, largest = float(sizes.sum()), float(values.sum()), float(sizes.max())
        unrealised = net - float(self.costs.sum())
        profit = self.realised + unrealised - self.fees
        if self.profit is not None:
            self.window[self.next] = profit - self.profit
            self.next = (self.next + 1) % len(self.window)
            self.samples = min(self.samples + 1, len(self.window))
        self.profit = profit
        self._measure(gross, net, largest, unrealised)

    def _measure(self, gross, net, largest, unrealised):
        self.figures = {
            "gross_exposure": gross,
            "net_exposure": net,
            "position": largest,
            "realised_pnl": self.realised,
            "unrealised_pnl": unrealised,
            "fees": self.fees,
            "samples": float(self.samples),
        }
        if self.samples >= self.terms["minimum"]:
            ascending = np.sort(self.window[: self.samples])
            for level, tail in LEVELS.items():
                self.figures["var_" + level] = -quantile(ascending, tail)
                self.figures["es_" + level] = -shortfall(ascending, tail)

    def _book(self, place, quantity, price):
        held, cost = float(self.quantities[place]), float(self.costs[place])
        after = held + quantity
        if held == 0.0 or (held > 0.0) == (quantity > 0.0):
            cost += quantity * price
        elif after == 0.0 or (after > 0.0) == (held > 0.0):
            closed = cost * (-quantity / held)
            self.realised += -quantity * price - closed
            cost -= closed
        else:
            self.realised += held * price - cost
            cost = after * price
        self.quantities[place], self.costs[place] = after, cost

    def evaluate(self):
        """Where every limit stands now; true if any stands otherwise than before."""
        changed = False
        for limit in self.terms["limits"]:
            name, hard = limit["name"], limit["hard"]
            before = self.limits[name][0]
            value = self.figures.get(limit["measure"])
            if before == "breached":
                hard *= 1.0 - limit["hysteresis"]
            status = "unknown" if value is None else "breached" if value > hard else "ok"
            changed |= status != before
            self.limits[name] = (status, value)
        return changed


def quantile(ascending, tail):
    """Type 7, numpy's default: numpy.quantile(…, tail) of what is sorted already."""
    at = (len(ascending) - 1) * tail
    below = int(at)
    low = float(ascending[below])
    return low + (float(ascending[below + 1]) - low) * (at - below)


def shortfall(ascending, tail):
    """Acerbi and Tasche's: the mean of the n·tail worst, the last of them with its fractional weight."""
    weight = len(ascending) * tail
    whole = int(weight)
    return float(ascending[:whole].sum() + (weight - whole) * ascending[whole]) / weight
