"""One portfolio over the whole tape: its ledger, its profit and loss and equity at each of its events, its samples."""

from bisect import bisect_right
from decimal import Decimal

import numpy as np
import pandas as pd

from ledger import Position
from changes import Changes
from correlation import correlations
from equity import daily, drawdowns, grown
from exposure import groups, largest, shares
from liquidity import liquidity
from stress import losses
from tails import contributions, revalued, shape_of
from tape import Beyond

ZERO = Decimal(0)


class Portfolio:
    """What the inputs say of one portfolio, under the settings `[risk]`."""

    def __init__(self, name, market, risk):
        self.name, self.market, self.order, self.marks, self.risk = name, market, market.order, market.marks, risk
        self._read_accounts()
        self.prices = market.prices(self.currency)
        self._read_fills()
        self._follow()

    def _own(self, topic):
        records = self.order.of(topic)[["time", "value"]].itertuples()
        return [(place, time, value) for place, time, value in records if value["portfolio"] == self.name]

    def _read_accounts(self):
        """Account records in force, by place. One that is older than the one in force changes nothing."""
        rows = []
        for place, time, value in self._own("accounts.v1"):
            if rows and time < rows[-1]["time"]:
                continue
            money = {key: Decimal(value[key]) for key in ("cash", "equity", "deposits", "withdrawals")}
            rows.append({"place": place, "time": time, **money, "flows": money["deposits"] - money["withdrawals"]})
        self.accounts = rows
        currencies = {value["currency"] for _, _, value in self._own("accounts.v1")}
        if len(currencies) > 1:
            raise Beyond(f"{self.name}: its account changes its currency")
        self.currency = currencies.pop()

    def _read_fills(self):
        """Fills, each booked once, and the ledger after each."""
        remembered, self.duplicates, self.fills = set(), [], []
        positions, realised, fees = {}, ZERO, ZERO
        for place, time, value in self._own("exec.reports.v1"):
            if value["exec_type"] in ("bust", "correct"):
                raise Beyond(f"{self.name}: a bust or correction, which no tape of the player has")
            if value["exec_type"] != "fill":
                continue
            if place < self.accounts[0]["place"]:
                raise Beyond(f"{self.name}: a fill before it said what its account is")
            if (value["order_id"], value["execution_id"]) in remembered:
                self.duplicates.append(place)
                continue
            remembered.add((value["order_id"], value["execution_id"]))
            quantity = Decimal(value["last_quantity"]) * (1 if value["side"] == "buy" else -1)
            symbol = value["symbol"]
            # What is paid goes by the rate then.
            multiplier = self.prices.instrument(symbol).multiplier
            price = Decimal(value["last_price"]) * multiplier * self._rate(value["currency"], place)
            fee = Decimal(value["fee"] or 0) * self._rate(value["fee_currency"] or value["currency"], place)
            position = positions.setdefault(symbol, Position(self.risk["pnl_method"], self.risk["bounds"]["lots"]))
            realised += position.fill(quantity, price)
            fees += fee
            held = {name: (p.quantity, p.cost) for name, p in positions.items() if p.quantity}
            self.fills.append(
                {
                    "place": place,
                    "time": time,
                    "filled_at": max([time, *(row["filled_at"] for row in self.fills[-1:])]),
                    "symbol": symbol,
                    "spent": quantity * price + fee,
                    "held": held,
                    "realised": realised,
                    "fees": fees,
                }
            )
        self.symbols = sorted(positions)
        if unmarked := set(self.symbols) - self.marks.keys():
            raise Beyond(f"{self.name}: no mark of {', '.join(sorted(unmarked))}")

    def _rate(self, currency, place):
        return self.market.rates.exact(currency, self.currency, place)

    def _follow(self):
        """Profit and loss, equity and what touches the portfolio, at each event that could move them."""
        fills = np.array([row["place"] for row in self.fills], int)
        accounts = np.array([row["place"] for row in self.accounts], int)
        places = np.unique(np.concatenate([fills, accounts, *(self.prices.places(s) for s in self.symbols)]))
        after_fill = np.searchsorted(fills, places, side="right")
        touched = np.isin(places, fills) | np.isin(places, accounts)
        value = np.zeros(len(places))
        for symbol in self.symbols:
            quantities = [0.0] + [float(row["held"].get(symbol, (ZERO, ZERO))[0]) for row in self.fills]
            held = np.array(quantities)[after_fill]
            value += np.where(held == 0, 0.0, held * self.prices.series(symbol, places))
            touched |= np.isin(places, self.prices.places(symbol)) & (held != 0)
        spent = np.cumsum([0.0] + [float(row["spent"]) for row in self.fills])
        self.places, self.profit = places, value - spent[after_fill]
        self.equity = self._equity(accounts)
        self.grown = grown(self.equity, self.paid)
        self.basis = self.equity - self.paid if self.risk["var"]["basis"] == "equity" else self.profit
        self.changes = Changes(self.order, self.risk, places, self.basis, touched, fills)

    def _equity(self, accounts):
        """The account record's, and what happened since. What arrives after the record and happened up to its
        time is in it already."""
        in_force = np.searchsorted(accounts, self.places, side="right") - 1
        stated = np.array([np.nan] + [float(row["equity"]) for row in self.accounts])[in_force + 1]
        self.paid = np.array([np.nan] + [float(row["flows"]) for row in self.accounts])[in_force + 1]
        as_of = np.array([np.iinfo(np.int64).max] + [row["time"] for row in self.accounts])[in_force + 1]
        times = self.order.table["time"].to_numpy()[self.places]
        moves = np.diff(self.profit, prepend=0.0)
        since = np.where((times > as_of) & ~np.isin(self.places, accounts), moves, 0.0)
        # A sum since the record, not over the whole tape: it is rounded less.
        return stated + pd.Series(since).groupby(in_force).cumsum().to_numpy()

    def at(self, place, instant, began, said):
        """Every figure of the moment when the record at `place` was the last seen, and the clock at `instant`, of
        the day that began at `began`."""
        fill = _last(self.fills, place)
        held = fill["held"] if fill else {}
        values, cost = {}, ZERO
        for symbol, (quantity, of_it) in held.items():
            values[symbol] = quantity * self.prices.exact(symbol, place)
            cost += of_it
        gross = sum((abs(value) for value in values.values()), ZERO)
        net = sum(values.values(), ZERO)
        figures = {
            "gross_exposure": gross,
            "net_exposure": net,
            "realised_pnl": fill["realised"] if fill else ZERO,
            "unrealised_pnl": net - cost,
            "fees": fill["fees"] if fill else ZERO,
            "duplicate_executions": float(sum(duplicate <= place for duplicate in self.duplicates)),
        }
        figures |= self._of_the_account(place, gross, instant)
        figures |= self._of_the_day(place, began, figures)
        figures |= shares(values.values(), gross)
        figures |= groups(values, gross, self.prices)
        figures |= self.changes.at(place, instant, self._of_the_history)
        figures |= self._of_the_history(*self._evaluated(place, instant), self.risk["var"])
        if said["occasion"] == "interval":
            figures |= self._of_positions(values, *self._evaluated(place, instant))
            figures |= largest(values, self.risk["positions"])
        figures |= correlations(self.market.history, sorted(values), instant, self.risk["var"]["lambda"])
        stakes = {symbol: (held[symbol][0], value) for symbol, value in values.items()}
        figures |= liquidity(self.market.traded, self.marks, stakes, place)
        valued = self._valued(*self._evaluated(place, instant))
        figures |= losses(self.risk.get("stress", []), values, self.prices, instant, valued)
        # An average cost is a price, as a mark is.
        units = {symbol: quantity * self.prices.instrument(symbol).multiplier for symbol, (quantity, _) in held.items()}
        positions = {symbol: (quantity, of_it / units[symbol]) for symbol, (quantity, of_it) in held.items()}
        return positions, figures

    def book(self, place):
        """What is held once the record at `place` was taken, what the account adds to its value, and what came of it."""
        fill = _last(self.fills, place) or {"held": {}, "realised": ZERO, "fees": ZERO}
        values, _ = self._valued(place, None)
        seen = int(np.searchsorted(self.places, place, side="right"))
        equity = self.equity[seen - 1] if seen else np.nan
        held = {symbol: quantity for symbol, (quantity, _) in fill["held"].items()}
        cost = sum((cost for _, cost in fill["held"].values()), ZERO)
        beside = equity - sum(values.values())
        fills = bisect_right(self.fills, place, key=lambda row: row["place"])
        account = _last(self.accounts, place)
        told = {"beside": beside, "paid": account["flows"] if account else np.nan, "fills": fills}
        return {"filled_at": None, **fill, "held": held, "cost": cost, **told}

    def _of_the_account(self, place, gross, instant):
        account = _last(self.accounts, place)
        booked = [row for row in self.fills if row["place"] <= place and row["time"] > account["time"]]
        seen = np.searchsorted(self.places, place, side="right")
        arrivals, equity = self.order.arrivals[self.places[:seen]], self.equity[:seen]
        now = equity[~np.isnan(equity)][-1]
        return {
            "equity": Decimal(now),
            "cash": account["cash"] - sum((row["spent"] for row in booked), ZERO),
            "leverage": float(gross) / now,
            **drawdowns(arrivals, self.grown[:seen], instant, self.risk["drawdown"]["window"]),
        }

    def _of_the_day(self, place, began, figures):
        arrivals = self.order.arrivals
        seen = self.basis[: np.searchsorted(self.places, place, side="right")]
        fill = _last(self.fills, self.order.by(began))
        return {
            "daily_realised_pnl": figures["realised_pnl"] - (fill["realised"] if fill else ZERO),
            **daily(arrivals[self.places[: len(seen)]], seen, began, figures["equity"]),
        }

    def _evaluated(self, place, instant):
        """The last evaluation of what is held by then, after a fill or at an instant of the history: its place, and
        the instant."""
        fill, latest = _last(self.fills, place), self.prices.history.latest(instant)
        if latest is None or fill and self.order.arrivals[fill["place"]] > latest:
            return fill["place"], int(self.order.arrivals[fill["place"]])
        return self.order.by(latest), latest

    def _of_the_history(self, place, instant, var):
        """Value at risk and expected shortfall of what is held at a place, over the returns known at the instant."""
        if not any(map(shape_of, var["models"])):
            return {}
        values, _ = self._valued(place, instant)
        return revalued(lambda steps: self.prices.history.profits(values, instant, steps), var)

    def _of_positions(self, now, place, instant):
        """What each position contributes to the figures of what was held at a place."""
        values, _ = self._valued(place, instant)
        rows = self.prices.history.rows(list(values), instant) if values else None
        return contributions(values, rows, now, self.risk["var"])

    def _valued(self, place, instant):
        """What is held at a place, at the marks there; and the instant."""
        fill = _last(self.fills, place)
        values = {}
        for symbol, (quantity, _) in (fill["held"] if fill else {}).items():
            values[symbol] = float(quantity * self.prices.exact(symbol, place))
        return values, instant


def _last(rows, place):
    at = bisect_right(rows, place, key=lambda row: row["place"])
    return rows[at - 1] if at else None


def portfolios(market, risk):
    """Every portfolio of which there is an account."""
    names = {value["portfolio"] for value in market.order.of("accounts.v1")["value"]}
    return {name: Portfolio(name, market, risk) for name in sorted(names)}
