"""The return history of symbols: simple returns of the marks between the boundaries of an interval, the same for all."""

from copy import copy

import numpy as np
import pandas as pd

from tape import Beyond
from windows import first_in


class NotWarm(Beyond):
    """There are too few instants yet."""


class History:
    """Every symbol's returns, a column each, a row for each boundary before which a mark came."""

    def __init__(self, order, marks, risk):
        self.settings = risk["history"]
        if "prices" in self.settings:
            raise Beyond("a history that begins with a file of prices")
        interval = pd.Timedelta(self.settings["interval"]).value // 1000
        bound = pd.Timedelta(risk["freshness"]["marks"]).value // 1000
        marked = np.unique(np.concatenate([one.places for one in marks.values()]))
        self.instants = np.unique(order.arrivals[marked] // interval * interval + interval)
        # What is due at an instant comes after the records of that instant.
        places = order.by(self.instants)
        self.columns = {symbol: self._returns(one, places, bound) for symbol, one in marks.items()}

    def _returns(self, marks, places, bound):
        """NaN where there was no mark at either end, or it was stale."""
        at = marks.at(places)
        fresh = (at >= 0) & (self.instants - marks.times[at] <= bound)
        prices = np.where(fresh, marks.prices[at], np.nan)
        return np.diff(prices, prepend=np.nan) / np.concatenate([[np.nan], prices[:-1]])

    def over_routes(self, route):
        """The same of what symbols are worth in a currency: each pair on the way to it moves that, too."""
        found = copy(self)
        found.columns = {symbol: self._worth(symbol, route(symbol)) for symbol in self.columns}
        return found

    def _worth(self, symbol, legs):
        moves = 1 + self.columns[symbol]
        for pair, inverted in legs:
            moves = moves / (1 + self.columns[pair]) if inverted else moves * (1 + self.columns[pair])
        return moves - 1 if legs else self.columns[symbol]

    def latest(self, instant):
        """The last boundary by then."""
        known = np.searchsorted(self.instants, instant, side="right")
        return int(self.instants[known - 1]) if known else None

    def rows(self, symbols, instant, steps=1):
        """The returns of symbols at the instants of the window at which all of them have one; compounded over so many
        instants in a row, overlapping."""
        known = np.searchsorted(self.instants, instant, side="right")
        window = slice(first_in(self.instants[:known], self.settings["window"]), known)
        rows = np.column_stack([self.columns[symbol][window] for symbol in symbols])
        if steps > 1:
            stretches = np.lib.stride_tricks.sliding_window_view(1 + rows, steps, axis=0)
            rows = stretches.prod(axis=2) - 1
        return rows[~np.isnan(rows).any(axis=1)]

    def over(self, symbols, begin, end, instant):
        """Each symbol's compounded return over the instants after `begin` and up to `end`."""
        within = (self.instants > begin) & (self.instants <= end)
        if self.instants[0] > begin or (self.latest(instant) or begin) < end or not within.any():
            raise Beyond("a scenario of a past that is not seen whole by then; choose a later day")
        found = {symbol: np.prod(1 + self.columns[symbol][within]) - 1 for symbol in symbols}
        if np.isnan(list(found.values())).any():
            raise Beyond("a scenario of a past in which a mark is missing")
        return found

    def profits(self, values, instant, steps=1):
        """What holdings of these values would have made at each instant, or over so many; one profit of 0 for nothing
        held."""
        if not values:
            return np.zeros(1)
        rows = self.rows(list(values), instant, steps)
        if len(rows) < self.settings["minimum"]:
            raise NotWarm("the history is not warm yet; choose a later day")
        return rows @ np.array(list(values.values()))
