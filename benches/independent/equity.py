"""What is made of how equity moved: drawdowns, and the day's profit and loss. Of a portfolio and of what is above it."""

from decimal import Decimal

import numpy as np
import pandas as pd

# Of equity here, which is a sum of doubles: below this it is at its peak.
AFLOAT = 1e-12
# That a trailing window of drawdowns has.
SPANS = 30


def _drawdowns(values):
    peaks = np.maximum.accumulate(values)
    return (peaks - values) / peaks


def grown(equity, paid):
    """Equity as it would be had nothing been paid in or out, up to a factor: with each payment what was known before moves
    in proportion. `paid` is what was so far."""
    payments = np.diff(paid, prepend=np.nan)
    moved = (payments != 0) & ~np.isnan(payments) & ~np.isnan(equity)
    return equity / np.cumprod(np.where(moved, equity / (equity - np.where(moved, payments, 0.0)), 1.0))


def drawdowns(times, equity, instant, window):
    """Every measure of drawdown at an instant, of all values of grown equity so far and when they came."""
    since, known = times[~np.isnan(equity)], equity[~np.isnan(equity)]
    deep = _drawdowns(known)
    afloat = np.flatnonzero(deep <= AFLOAT)
    fell = since[afloat[-1] + 1] if afloat[-1] + 1 < len(known) else instant
    # The window reaches back to the beginning of one of its thirtieths, and begins with the value in force then.
    span = pd.Timedelta(window).value // 1000 // SPANS
    begins = np.searchsorted(since, (instant // span - SPANS) * span, side="left")
    return {
        "drawdown": deep[-1],
        "max_drawdown": deep.max(),
        "trailing_drawdown": _drawdowns(known[max(begins - 1, 0) :]).max(),
        "under_water": (instant - fell) / 1e6,
    }


def daily(times, seen, began, equity):
    """Profit and loss since the day began with what was last known before it, or first known in it; and the share of the
    equity it began with."""
    before = np.searchsorted(times, began, side="right")
    known = [values[~np.isnan(values)] for values in (seen[:before], seen[before:])]
    first = known[0][-1] if len(known[0]) else known[1][0]
    profit = np.concatenate(known)[-1] - first
    return {"daily_pnl": Decimal(profit), "daily_loss_share": max(-profit, 0.0) / (float(equity) - profit)}
