"""What is above the portfolio: strategies, desks and the firm, from the books of portfolios and the market."""

from decimal import Decimal
from fractions import Fraction

import numpy as np

from changes import Changes
from correlation import correlations
from equity import daily, drawdowns, grown
from exposure import groups, largest, shares
from liquidity import liquidity
from stress import losses
from tails import contributions, revalued
from tape import Beyond

ZERO = Decimal(0)
# Not computed: for how long the worker has watched.
UNCHECKED = {"observed_for"}


class Scope:
    """Some portfolios together, under the settings `[risk]`. Every place is one in the order of what is above them."""

    def __init__(self, books, market, risk):
        self.books, self.market, self.order = books, market, market.order
        # All is at the rates now.
        self.prices = market.prices(risk["currency"])
        # Of a scope there are the figures of full revaluation, whatever models portfolios have.
        models = [model for model in risk["var"]["models"] if model != "revalued"]
        self.risk = {**risk, "var": {**risk["var"], "models": [*models, "revalued"]}}
        self.symbols = sorted({symbol for one in books.values() for book in one.books for symbol in book["held"]})
        self._follow()

    def _follow(self):
        """Equity at each record that could move it; none before every account is known."""
        self.changed = np.unique(np.concatenate([one.places for one in self.books.values()]))
        moved = [self.prices.places(symbol) for symbol in self.symbols]
        moved += [self.market.marks[pair].places for one in self.books.values() for pair, _ in self._route(one)]
        self.places = np.unique(np.concatenate([self.changed, *moved]))
        value, beside, gained = np.zeros((3, len(self.places)))
        touched = np.isin(self.places, np.concatenate([one.others() for one in self.books.values()]))
        for one in self.books.values():
            for pair, _ in self._route(one):
                touched |= np.isin(self.places, self.market.marks[pair].places) & (self.places >= one.places[0])
            rates = self.market.rates.series(one.currency, self.prices.currency, self.places)
            beside += one.series(self.places, lambda book: book["beside"]) * rates
            gained += one.series(self.places, lambda book: book["realised"] - book["cost"] - book["fees"]) * rates
            for symbol in {symbol for book in one.books for symbol in book["held"]}:
                held = np.nan_to_num(one.series(self.places, lambda book: book["held"].get(symbol, ZERO)))
                value += np.where(held == 0, 0.0, held * self.prices.series(symbol, self.places))
                touched |= np.isin(self.places, self.prices.places(symbol)) & (held != 0)
        self.equity = beside + value
        paid = self._paid()
        self.grown = grown(self.equity, paid)
        self.basis = self.equity - paid if self.risk["var"]["basis"] == "equity" else gained + value
        filled = np.unique(np.concatenate([one.filled() for one in self.books.values()]))
        self.changes = Changes(self.order, self.risk, self.places, self.basis, touched, filled)
        known = np.flatnonzero(~np.isnan(self.equity))
        if not len(known) or np.isnan(self.equity[known[0] :]).any():
            raise Beyond("a scope in which a portfolio came late, which this computation of drawdown does not cover")

    def _paid(self):
        """What was paid in and out so far, at the rate at which each payment was first known."""
        paid = np.zeros(len(self.places))
        for one in self.books.values():
            flows = np.array([float(book["paid"]) for book in one.books])
            payments = np.nan_to_num(np.diff(flows, prepend=np.nan))
            rates = self.market.rates.series(one.currency, self.prices.currency, one.places)
            paid[np.searchsorted(self.places, one.places)] += np.where(payments == 0, 0.0, payments * rates)
        return np.cumsum(paid)

    def _route(self, one):
        return self.market.rates.route(one.currency, self.prices.currency)

    def at(self, place, instant, began, said):
        """No book, which is a portfolio's; and every figure of the moment when the record at `place` was the last seen, and
        the clock at `instant`, of the day that began at `began`."""
        books = {name: one.books[at] for name, one in self.books.items() if (at := one.at(place)) >= 0}
        net, gross = self._values(books.values(), place)
        values = {symbol: value for symbol, (_, value) in net.items()}
        netted = sum((abs(value) for value in values.values()), ZERO)
        seen = np.searchsorted(self.places, place, side="right")
        arrivals, equity = self.order.arrivals[self.places[:seen]], self.equity[:seen]
        evaluated = self._evaluated(place, instant)
        var = self.risk["var"]
        figures = {
            "gross_exposure": gross,
            "netted_exposure": netted,
            "net_exposure": sum(values.values(), ZERO),
            "equity": Decimal(equity[-1]),
            "leverage": float(gross) / equity[-1],
            "portfolios": float(len(books)),
            **shares(values.values(), netted),
            **groups(values, netted, self.prices),
            **drawdowns(arrivals, self.grown[:seen], instant, self.risk["drawdown"]["window"]),
            **daily(arrivals, self.basis[:seen], began, equity[-1]),
            **self._profit(books, sum(values.values(), ZERO), place),
            **correlations(self.market.history, sorted(values), instant, var["lambda"]),
            **self.changes.at(place, instant, self._of_the_history),
            **self._revalued(*evaluated, var),
            **liquidity(self.market.traded, self.market.marks, net, place),
            **losses(self.risk.get("stress", []), values, self.prices, instant, evaluated),
            **self._trades(place),
        }
        if said["occasion"] == "interval":
            rows = self.prices.history.rows(list(evaluated[0]), evaluated[1]) if evaluated[0] else None
            figures |= contributions(evaluated[0], rows, values, var)
            figures |= largest(values, self.risk["positions"])
        return None, figures

    def _values(self, books, place):
        """The net quantity of each symbol that any of the portfolios holds, and its value; and the size of all positions."""
        net, gross = {}, ZERO
        for book in books:
            for symbol, quantity in book["held"].items():
                value = quantity * self.prices.exact(symbol, place)
                of_symbol = net.get(symbol, (ZERO, ZERO))
                net[symbol] = (of_symbol[0] + quantity, of_symbol[1] + value)
                gross += abs(value)
        return net, gross

    def _of_the_history(self, place, instant, var):
        """What revaluation says of what is held at a place, over the returns known at the instant."""
        return self._revalued(self._valued(place), instant, var)

    def _revalued(self, values, instant, var):
        return revalued(lambda steps: self.prices.history.profits(values, instant, steps), var)

    def _evaluated(self, place, instant):
        """Values when a book changed last or at the last instant of the history, and when that was."""
        changed = int(self.changed[np.searchsorted(self.changed, place, side="right") - 1])
        at, latest = int(self.order.arrivals[changed]), self.prices.history.latest(instant)
        if latest is not None and at <= latest:
            changed, at = self.order.by(latest), latest
        return self._valued(changed), at

    def _valued(self, place):
        """What is held net at a place, at the marks there."""
        books = (one.books[nth] for one in self.books.values() if (nth := one.at(place)) >= 0)
        net, _ = self._values(books, place)
        return {symbol: float(value) for symbol, (_, value) in net.items()}

    def _profit(self, books, net, place):
        """What came of what was traded, as the books say, and of what is open at the marks now."""
        into = {name: self.market.rates.exact(self.books[name].currency, self.prices.currency, place) for name in books}
        realised, cost, fees = (
            sum((book[of] * into[name] for name, book in books.items()), ZERO) for of in ("realised", "cost", "fees")
        )
        return {"realised_pnl": realised, "unrealised_pnl": net - cost, "fees": fees}

    def _trades(self, place):
        """The latest fill, and the latest that made a position larger or turned it; of equal ones the first that was
        seen. Exact: seconds since 1970."""
        found = {}
        books = [(at, name, book) for name, one in self.books.items() for at, book in zip(one.places, one.books)]
        for at, name, book in sorted(books, key=lambda row: row[0]):
            if at > place or book["filled_at"] is None:
                continue
            for kind in ("fill", "growth") if book["grew"] else ("fill",):
                if kind not in found or found[kind][0] < book["filled_at"]:
                    found[kind] = (book["filled_at"], name)
        return {f"last_{kind}:{name}": Fraction(int(time), 1_000_000) for kind, (time, name) in found.items()}


def scopes(firm, books, market, risk):
    """Every scope that the settings `[firm]` name, of the portfolios that have books."""
    found = {}
    for one in firm.get("scopes", []):
        members = one.get("portfolios") or sorted(books)
        if missing := set(members) - books.keys():
            raise Beyond(f"{one['scope']}: no book of {', '.join(sorted(missing))}")
        found[one["scope"]] = Scope({name: books[name] for name in members}, market, risk)
    return found
