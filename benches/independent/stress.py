"""What would be lost if prices moved at once, by the scenarios `[[risk.stress]]` of the settings."""

from decimal import Decimal
from statistics import NormalDist

import numpy as np
import pandas as pd

from history import NotWarm

ZERO = Decimal(0)


def losses(scenarios, values, prices, instant, valued):
    """Each measure's name and value, of what is held: exact where prices are shocked alone, and a double elsewhere. `valued`
    are the values and the instant of the last full revaluation."""
    history = prices.history
    found = {f"stress_{one['name']}": _loss(one, values, prices, instant) for one in scenarios}
    for one in scenarios:
        if "volatility" in one or "correlation" in one:
            found[f"stress_{one['name']}"] = float(found[f"stress_{one['name']}"]) + _tail(one, history, *valued)
    return found | {"stress_worst": max(found.values())} if found else {}


def _tail(scenario, history, values, instant):
    """Gaussian value at risk with other deviations and correlations."""
    if not values:
        return 0.0
    rows = history.rows(list(values), instant)
    if len(rows) < history.settings["minimum"]:
        raise NotWarm("the history is not warm yet; choose a later day")
    held = np.array(list(values.values()))
    scaled = held * rows.std(axis=0, ddof=1)
    correlations = np.atleast_2d(np.corrcoef(rows, rowvar=False))
    share = scenario.get("correlation", 0.0)
    target = np.ones_like(correlations) if share > 0 else np.eye(len(held))
    mixed = (1 - abs(share)) * correlations + abs(share) * target
    deviation = scenario.get("volatility", 1.0) * np.sqrt(scaled @ mixed @ scaled)
    return NormalDist().inv_cdf(scenario.get("level", 0.99)) * deviation


def _loss(scenario, values, prices, instant):
    if "from" in scenario:
        ends = (pd.Timestamp(scenario[end]).value // 1000 for end in ("from", "until"))
        moves = prices.history.over(list(values), *ends, instant)
        return 0.0 - sum(float(values[symbol]) * moves[symbol] for symbol in values)
    return -sum((value * _move(scenario.get("shocks", []), symbol, prices) for symbol, value in values.items()), ZERO)


def _move(shocks, symbol, prices):
    """Of the price, and of each rate on the way."""
    moved = 1 + _shock(shocks, symbol, prices)
    for pair, inverted in prices.route(symbol):
        of_pair = 1 + _shock(shocks, pair, prices)
        moved = moved / of_pair if inverted else moved * of_pair
    return moved - 1


def _shock(shocks, symbol, prices):
    """That of the first that is on the symbol; a rate is among those that are named alone."""
    for shock in shocks:
        named = symbol in shock.get("symbols", ()) or prices.instrument(symbol).sector in shock.get("sectors", ())
        if named or not shock.keys() & {"symbols", "sectors"} and symbol not in prices.rates.symbols:
            return Decimal(str(shock["price"]))
    return ZERO
