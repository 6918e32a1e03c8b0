"""The market as a worker sees it: marks, the rates between currencies, the return history, and what is traded a day."""

from decimal import Decimal

import numpy as np

from history import History
from liquidity import Traded
from tape import Beyond, Instrument, marks


class Rates:
    """What one of a currency is worth in another, at the marks of pairs."""

    def __init__(self, pairs, marks):
        self.pairs, self.marks = pairs, marks
        self.symbols = {pair["symbol"] for pair in pairs}

    def route(self, of, into):
        """The pairs on the way, each with whether it goes from its quote to its base: the way over the fewest, of several
        the one whose pairs stand first."""
        ways = [(of, [])]
        for currency, legs in ways:
            if currency == into:
                return legs
            for pair in self.pairs:
                for begin, end, inverted in ((pair["base"], pair["quote"], False), (pair["quote"], pair["base"], True)):
                    if currency == begin and end not in [reached for reached, _ in ways]:
                        ways.append((end, [*legs, (pair["symbol"], inverted)]))
        raise Beyond(f"no rate from {of} to {into}")

    def exact(self, of, into, place):
        """At the marks at a place."""
        rate = Decimal(1)
        for symbol, inverted in self.route(of, into):
            mark = self.marks[symbol].mark(place)
            rate = rate / mark if inverted else rate * mark
        return rate

    def series(self, of, into, places):
        """At each place; none before there is one."""
        rates = np.ones(len(places))
        for symbol, inverted in self.route(of, into):
            prices = self.marks[symbol].series(places)
            rates = rates / prices if inverted else rates * prices
        return rates


class Prices:
    """What one of each symbol is worth in one currency."""

    def __init__(self, market, currency):
        self.marks, self.rates, self.currency = market.marks, market.rates, currency
        self.instruments = market.instruments
        self.history = market.history.over_routes(self.route)

    def route(self, symbol):
        return self.rates.route(self.marks[symbol].currency, self.currency)

    def instrument(self, symbol):
        return self.instruments.get(symbol, Instrument())

    def exact(self, symbol, place):
        rate = self.rates.exact(self.marks[symbol].currency, self.currency, place)
        return self.marks[symbol].mark(place) * self.instrument(symbol).multiplier * rate

    def series(self, symbol, places):
        rates = self.rates.series(self.marks[symbol].currency, self.currency, places)
        return self.marks[symbol].series(places) * float(self.instrument(symbol).multiplier) * rates

    def places(self, symbol):
        """Where it moves: with its own marks, and with those of the rates."""
        moved = [self.marks[leg].places for leg in (symbol, *(pair for pair, _ in self.route(symbol)))]
        return np.unique(np.concatenate(moved))


class Market:
    """All of it, by an order of records and under the settings `[risk]`."""

    def __init__(self, order, risk, instruments):
        self.order, self.marks, self.instruments = order, marks(order), instruments
        self.rates = Rates(risk.get("rates", []), self.marks)
        self.history, self.traded = History(order, self.marks, risk), Traded(order, risk)
        self._prices = {}

    def prices(self, currency):
        if currency not in self._prices:
            self._prices[currency] = Prices(self, currency)
        return self._prices[currency]
