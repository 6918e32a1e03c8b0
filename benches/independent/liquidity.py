"""How fast, and at what cost, what is held could be sold: by the touch of the marks, and by what is traded a day."""

import numpy as np
import pandas as pd

from tape import Beyond


class Traded:
    """What was traded of each symbol, record by record, and the day that it counts on: that of its arrival."""

    def __init__(self, order, risk):
        self.settings = risk.get("liquidity", {})
        if "participation" not in self.settings:
            return
        market = order.of("market.data.v1")
        starts = _starts(order.arrivals[0], order.arrivals[-1], risk["day"])
        table = pd.DataFrame({"place": market.index, "symbol": [value["symbol"] for value in market["value"]]})
        table["day"] = np.searchsorted(starts, order.arrivals[market.index], side="right")
        table["volume"] = pd.to_numeric([value["volume"] for value in market["value"]])
        self.symbols = {symbol: rows for symbol, rows in table.groupby("symbol")}

    def average(self, symbol, place):
        """The mean volume of the whole days: all but the first, and the one under way."""
        rows = self.symbols[symbol]
        days = rows[rows["place"] <= place].groupby("day")["volume"].sum(min_count=1)
        whole = days.iloc[1:-1].tail(self.settings["days"])
        if len(whole) < self.settings["minimum"]:
            raise Beyond("too few days of volume by then; choose a later day")
        if whole.isna().all():
            raise Beyond(f"nothing is said of what is traded of {symbol}")
        return whole.fillna(0.0).mean()


def _starts(first, last, day):
    """When the days from the one of an instant to that of another begin, by the clocks of their time zone."""
    ends = [pd.Timestamp(at, unit="us", tz="UTC").tz_convert(day["time_zone"]).tz_localize(None) for at in (first, last)]
    dates = pd.date_range(ends[0].normalize() - pd.Timedelta(days=1), ends[1].normalize() + pd.Timedelta(days=1))
    begun = (dates + pd.Timedelta(day["starts"])).tz_localize(
        day["time_zone"], ambiguous=np.ones(len(dates), bool), nonexistent="shift_forward"
    )
    return begun.tz_convert("UTC").as_unit("us").astype("int64").to_numpy()


def liquidity(traded, marks, held, place):
    """Of quantities held, with the values that they have at the marks; nothing where it is not looked at."""
    if "participation" not in traded.settings:
        return {}
    sums, slowest = np.zeros(4), 0.0
    for symbol, (quantity, value) in held.items():
        bid, ask, bid_size, ask_size = marks[symbol].touches[int(marks[symbol].at(place))]
        spread, size = (ask - bid) / ((ask + bid) / 2), abs(float(value))
        taken = min(1.0, (bid_size if quantity > 0 else ask_size) / abs(float(quantity)))
        sums += np.array([size, size * spread, size * (1 - taken), size * spread / 2])
        average = traded.settings["participation"] * traded.average(symbol, place)
        slowest = max(slowest, abs(float(quantity)) / average)
    weight = sums[0] or 1.0
    return {
        "relative_spread": sums[1] / weight,
        "beyond_touch": sums[2] / weight,
        "days_to_liquidate": slowest,
        "liquidation_cost": sums[3],
    }
