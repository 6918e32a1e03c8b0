"""Makes risk.json and the files of data/ that it refers to: cases of what the risk worker computes from fills, orders and
accounts, and of stress, with figures by numpy, pandas and fractions alone. `python3 cli/tests/cases/risk.py` writes them anew;
the same on every machine. Nothing here knows of tapewatch."""

import json
from collections import defaultdict, deque
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
DATA = HERE / "data"


def digits(value):
    """Twelve significant digits, as the other cases have them."""
    if isinstance(value, (list, tuple)):
        return [digits(one) for one in value]
    return value if isinstance(value, (int, str)) or value is None else float(f"{float(value):.12g}")


def case(name, family, inputs, params, expected, tolerance, reference):
    return {
        "id": name,
        "family": family,
        "inputs": inputs,
        "params": params,
        "expected": {key: digits(figure) for key, figure in expected.items()},
        "reference": reference,
        "tolerance": tolerance,
    }


# Fills: two symbols, one of them with a multiplier, through zero and back, with fees; one is busted, one corrected.


def fills():
    random = np.random.default_rng(7)
    rows, price = [], {"A": 10_000, "B": 400_000}
    for n in range(300):
        symbol = "AB"[int(random.integers(2))]
        price[symbol] = max(price[symbol] + int(random.integers(-90, 91)), 1)
        quantity = int(random.integers(1, 40_000)) / 1000
        fee = int(random.integers(-5, 30)) / 100
        side = "buy" if random.random() < 0.5 else "sell"
        at = pd.Timestamp("2026-03-02T14:30:00Z") + pd.Timedelta(seconds=37 * n)
        rows.append([at.strftime("%Y-%m-%dT%H:%M:%SZ"), symbol, side, quantity, price[symbol] / 100, fee, "", f"x{n}", ""])
    last = rows[-1][0]
    rows.append([last, "A", "", "", "", "", "bust", "x300", next(r[7] for r in rows[290:] if r[1] == "A")])
    which = next(r for r in rows[295:] if r[1] == "B")
    rows.append([last, "B", which[2], which[3] * 2, which[4] + 1, 0.5, "correct", "x301", which[7]])
    names = ["time", "symbol", "side", "quantity", "price", "fee", "type", "id", "of"]
    table = pd.DataFrame(rows, columns=names)
    table.to_csv(DATA / "fills.csv", index=False)
    return table


def profit(table, method, multipliers, marks):
    """What the fills come to, those that are undone or corrected taken as they are in the end."""
    number = lambda value: Fraction(str(value))
    rows = table.to_dict("records")
    undone = {row["of"]: row for row in rows if row["type"]}
    realised = fees = Fraction(0)
    lots = defaultdict(deque)
    for row in (row for row in rows if not row["type"]):
        row = undone.get(row["id"], row)
        if row["type"] == "bust":
            continue
        symbol, price = row["symbol"], number(row["price"])
        left = number(row["quantity"]) * (1 if row["side"] == "buy" else -1)
        unit = number(multipliers.get(symbol, 1))
        fees += number(row["fee"])
        open_lots = lots[symbol]
        while left and open_lots and (open_lots[0][0] > 0) != (left > 0):
            if method == "average_cost":
                held = sum(lot[0] for lot in open_lots)
                average = sum(lot[0] * lot[1] for lot in open_lots) / held
                open_lots = lots[symbol] = deque([[held, average]])
            lot = open_lots[-1 if method == "lifo" else 0]
            closed = min(abs(lot[0]), abs(left)) * (1 if lot[0] > 0 else -1)
            realised += closed * (price - lot[1]) * unit
            lot[0] -= closed
            left += closed
            if not lot[0]:
                open_lots.remove(lot)
        if left:
            open_lots.append([left, price])
    found = {"realised_pnl": realised, "fees": fees}
    unrealised = gross = net = Fraction(0)
    for symbol, open_lots in lots.items():
        held, cost = sum(lot[0] for lot in open_lots), sum(lot[0] * lot[1] for lot in open_lots)
        unit, mark = number(multipliers.get(symbol, 1)), number(marks[symbol])
        unrealised += (held * mark - cost) * unit
        gross += abs(held * mark * unit)
        net += held * mark * unit
        found[f"quantity_{symbol}"], found[f"average_cost_{symbol}"] = held, cost / held
    found |= {"unrealised_pnl": unrealised, "gross_exposure": gross, "net_exposure": net}
    return found | {"pnl": realised + unrealised - fees}


def profits():
    table, multipliers, marks = fills(), {"B": 50}, {"A": 101.25, "B": 3990.5}
    for method in ["average_cost", "fifo", "lifo"]:
        params = {"method": method, "multipliers": multipliers, "marks": marks}
        expected = profit(table, method, multipliers, marks)
        yield case(f"pnl-{method}", "pnl", {"fills": {"csv": "fills.csv"}}, params, expected, "rel 1e-10", "Python's fractions")
    short = [
        {"symbol": "A", "side": "sell", "quantity": 10, "price": 100, "fee": 1},
        {"symbol": "A", "side": "buy", "quantity": "15.5", "price": "90.25", "fee": 0.25},
    ]
    table = pd.DataFrame([{**row, "type": "", "id": str(n), "of": ""} for n, row in enumerate(short)])
    expected = profit(table, "average_cost", {}, {"A": 91})
    yield case("pnl-flip", "pnl", {"fills": short}, {"marks": {"A": 91}}, expected, "rel 1e-10", "Python's fractions")


# An account over the nights in which New York's clocks are put forward and back, with money coming and going.


def days():
    random = np.random.default_rng(8)
    first = [pd.Timestamp("2021-03-11T15:00:00Z"), pd.Timestamp("2021-11-04T15:00:00Z")]
    times = [start + pd.Timedelta(minutes=97 * n) for start in first for n in range(80)]
    # At the instant at which a day ends, too.
    times = sorted(times + [pd.Timestamp("2021-03-12T22:00:00Z"), pd.Timestamp("2021-03-15T21:00:00Z")])
    table = pd.DataFrame({"time": times})
    table["deposits"] = np.cumsum(random.integers(0, 2, len(times)) * random.integers(0, 5_000, len(times)))
    table["withdrawals"] = np.cumsum((random.random(len(times)) < 0.1) * random.integers(0, 9_000, len(times)))
    gained = np.cumsum(random.integers(-90_000, 91_000, len(times))) / 100
    table["equity"] = (1_000_000 + gained + table.deposits - table.withdrawals).round(2)
    written = table.assign(time=table.time.dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    written[["time", "equity", "deposits", "withdrawals"]].to_csv(DATA / "accounts.csv", index=False)
    for zone, starts in [("America/New_York", 17), ("UTC", 0), ("Asia/Kolkata", 9.5)]:
        back = pd.Timedelta(hours=starts)
        # What is of the instant at which a day ends is of that day. Clocks are put forward and back at night.
        local = (table.time - pd.Timedelta(microseconds=1)).dt.tz_convert(zone).dt.tz_localize(None) - back
        day = local.dt.floor("D")
        profit = table.equity - table.deposits + table.withdrawals
        at_end = profit.groupby(day).last()
        daily = at_end - at_end.shift(1).fillna(profit.iloc[0])
        ends = (at_end.index + pd.Timedelta(days=1) + back).tz_localize(zone).tz_convert("UTC")
        expected = {
            "days": len(daily),
            "daily_pnl": list(daily),
            "worst_day": daily.min(),
            "day_ends": list(ends.strftime("%Y-%m-%dT%H:%M:%SZ")),
        }
        params = {"time_zone": zone, "starts": starts}
        name = f"daily_pnl-{zone.split('/')[-1].lower()}"
        yield case(name, "daily_pnl", {"accounts": {"csv": "accounts.csv"}}, params, expected, "counts exact; abs 1e-7", "pandas")


# Scenarios over the returns of eight stocks.


def stress():
    columns = ["AAPL", "AMD", "BAC", "CVX", "JPM", "KO", "MSFT", "XOM"]
    returns = pd.read_csv(DATA / "skfolio_sp500_20.csv")[columns].pct_change().iloc[1:1001].to_numpy()
    values = np.array([250_000, -120_000.5, 80_000, 60_000, -45_000, 99_999.99, 10, 310_000])
    shocks = np.array([-0.2, -0.35, -0.1, 0.05, -0.123456, 0, -1, -0.15])
    deviations = returns.std(axis=0, ddof=1)
    held = (returns @ values).std(ddof=1)
    for name, volatility, correlation, level in [
        ("calm", 1, 0, 0.99),
        ("crash", 2.5, 0.6, 0.99),
        ("apart", 1.5, -0.4, 0.975),
    ]:
        share = abs(correlation)
        matrix = np.corrcoef(returns, rowvar=False)
        target = np.ones_like(matrix) if correlation > 0 else np.eye(len(columns))
        moved = (1 - share) * matrix + share * target
        shaken = values * deviations * volatility
        deviation = np.sqrt(shaken @ moved @ shaken)
        quantile = {0.99: 2.3263478740408408, 0.975: 1.959963984540054}[level]
        prices = -(values * shocks).sum()
        expected = {
            "prices_loss": prices,
            "deviation": held,
            "stressed_deviation": deviation,
            "market_loss": deviation * quantile,
            "loss": prices + deviation * quantile,
        }
        inputs = {
            "csv": "skfolio_sp500_20.csv",
            "cols": columns,
            "transform": "simple_return",
            "rows": [0, 1000],
            "values": list(values),
            "shocks": list(shocks),
        }
        params = {"volatility": volatility, "correlation": correlation, "level": level}
        yield case(f"stress-{name}", "stress", inputs, params, expected, "rel 1e-9", "numpy.corrcoef, numpy.std")
    expected = {"prices_loss": 0.2 * values.sum(), "loss": 0.2 * values.sum()}
    inputs = {"values": list(values), "shocks": -0.2}
    yield case("stress-all", "stress", inputs, {}, expected, "rel 1e-10", "numpy")


# Orders of two symbols: sent, replaced, withdrawn, filled; some twice, some against one's own.


def orders():
    random = np.random.default_rng(9)
    rows, open_orders, now = [], [], pd.Timestamp("2026-03-02T14:30:00Z")
    for n in range(400):
        now += pd.Timedelta(milliseconds=int(random.integers(1, 900)))
        row = dict.fromkeys(["type", "order", "symbol", "side", "quantity", "order_type", "limit", "mark", "price"], "")
        row["time"] = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        choice = random.random()
        if choice < 0.55 or not open_orders:
            kind = "rejected" if random.random() < 0.1 else "new"
            limit = 100 + int(random.integers(-3, 4)) / 2
            order_type = ["limit", "limit", "limit", "stop_limit", "market"][int(random.integers(5))]
            terms = ["AB"[int(random.integers(2))], ["buy", "sell"][int(random.integers(2))], int(random.integers(1, 3))]
            row |= dict(zip(["symbol", "side", "quantity"], terms))
            row |= {"type": kind, "order": f"o{n}", "order_type": order_type, "mark": 100 + int(random.integers(-20, 21)) / 100}
            row["limit"] = "" if order_type == "market" else limit
            if kind == "new":
                open_orders.append(row)
        else:
            was = open_orders.pop(int(random.integers(len(open_orders))))
            row |= {key: was[key] for key in ["order", "symbol", "side", "quantity", "order_type", "limit"]}
            row["type"] = ["replaced", "canceled", "expired", "fill", "partial_fill"][int(random.integers(5))]
            if row["type"] == "replaced" and row["limit"] != "":
                row |= {"limit": row["limit"] + 0.5, "mark": 100}
            if row["type"] in ["replaced", "partial_fill"]:
                open_orders.append(row)
            if row["type"] in ["fill", "partial_fill"]:
                row["price"] = 100
        rows.append(row)
    table = pd.DataFrame(rows)
    fields = ["time", "type", "order", "symbol", "side", "quantity", "order_type", "limit", "mark", "price"]
    table[fields].to_csv(DATA / "orders.csv", index=False)
    return rows


def conduct():
    rows = orders()
    for window, within in [(60, 1), (30, 5), (3600, 0.25)]:
        expected = conducted(rows, window, within)
        params = {"window": window, "duplicates_within": within}
        yield case(f"conduct-{window}s", "conduct", {"orders": {"csv": "orders.csv"}}, params, expected, "rel 1e-10", "pandas")


def conducted(rows, window, within):
    part = pd.Timedelta(seconds=window) // 60
    place = lambda row: pd.Timestamp(row["time"]).value // part.value
    last, sent, live = place(rows[-1]), [], {}
    counts = defaultdict(int)
    parts, away, marks = defaultdict(int), 0.0, {}
    for row in rows:
        seen = place(row) > last - 60
        if row["mark"] != "":
            marks[row["symbol"]] = row["mark"]
        at, kind = pd.Timestamp(row["time"]), row["type"]
        terms = tuple(row[key] for key in ["symbol", "side", "quantity", "order_type", "limit"])
        waits = row["order_type"] == "stop_limit"
        if kind in ["new", "rejected", "replaced", "canceled"]:
            counts["messages"] += seen
            parts[place(row)] += seen
        if kind in ["new", "rejected"]:
            twice = any(terms == other and at - when <= pd.Timedelta(seconds=within) for when, other in sent)
            counts["twice"] += seen and twice
            counts["orders"] += seen
            counts["rejected"] += seen and kind == "rejected"
            sent.append((at, terms))
        if kind in ["new", "rejected", "replaced"] and row["limit"] != "" and not waits and seen:
            away = max(away, abs(row["limit"] / marks[row["symbol"]] - 1))
        if kind in ["new", "replaced"] and not waits:
            others = [other for name, other in live.items() if name != row["order"]]
            counts["crossed"] += seen and any(crosses(row, other) for other in others)
            live[row["order"]] = row
        counts["fills"] += seen and kind in ["fill", "partial_fill"]
        if kind in ["rejected", "canceled", "expired", "fill"]:
            live.pop(row["order"], None)
    return {
        "message_rate": counts["messages"] / window,
        "peak_message_rate": max(parts.values()) / (window / 60),
        "order_to_trade": max(counts["messages"] / max(counts["fills"], 1) - 1, 0),
        "rejected_share": counts["rejected"] / counts["orders"],
        "duplicate_orders": float(counts["twice"]),
        "self_crossings": float(counts["crossed"]),
        "price_away": away,
    }


def crosses(one, other):
    if one["symbol"] != other["symbol"] or one["side"] == other["side"]:
        return False
    buy, sell = (one, other) if one["side"] == "buy" else (other, one)
    return buy["limit"] == "" or sell["limit"] == "" or buy["limit"] >= sell["limit"]


def main():
    cases = [*profits(), *days(), *stress(), *conduct()]
    versions = {"numpy": np.__version__, "pandas": pd.__version__}
    provenance = {name: "made by risk.py; the project's own" for name in ["fills.csv", "accounts.csv", "orders.csv"]}
    provenance["skfolio_sp500_20.csv"] = "as in cases.json"
    whole = {"versions": versions, "digits": 12, "csv_provenance": provenance, "cases": cases}
    (HERE / "risk.json").write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
