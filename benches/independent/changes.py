"""The changes of profit and loss of a portfolio, or of what is above it: when each is taken, what is measured of the last of
them, and what was forecast from those before."""

import numpy as np
import pandas as pd

from backtests import tests
from history import NotWarm
from tails import measures, names, revalued_names, shape_of
from tape import Beyond
from windows import first_in


class Changes:
    """Those that enter the window, by `[risk.var]`, and when: a place after each fill, or an instant."""

    def __init__(self, order, risk, places, basis, touched, fills):
        """`basis` is what changes at places, of which some touch who it is of; after fills at some it is sampled, too, if
        the settings say so."""
        self.order, self.var, self.interval = order, risk["var"], risk["history"]["interval"]
        if self.var["sample"] == "fill":
            self.taken_at = fills
            at = np.searchsorted(places, fills)
        else:
            interval = pd.Timedelta(self.var["sample"]).value // 1000
            arrivals = order.arrivals[places]
            self.taken_at = np.unique(arrivals[touched] // interval * interval + interval)
            at = np.searchsorted(arrivals, self.taken_at, side="right") - 1
        self.changes = np.diff(basis[at], prepend=np.nan)
        self._forecasts = {}

    def at(self, place, instant, revalued):
        """Every figure of the window once the record at `place` was the last seen, and the clock at `instant`. What
        revaluation forecasts, at a place and an instant, is asked of `revalued`."""
        now = place if self.var["sample"] == "fill" else instant
        taken = self.changes[: np.searchsorted(self.taken_at, now, side="right")]
        window = self._window(np.flatnonzero(~np.isnan(taken)))
        if len(window) < self.var["minimum"]:
            raise Beyond("the window is not warm yet; choose a later day")
        tested = self._backtests(taken, revalued) if self.var["backtest"] else {}
        return {"samples": float(len(window)), **measures(window, self.var), **tested}

    def _window(self, known):
        """The changes at these places that are in the window when the last of them was taken."""
        return self.changes[known[first_in(self.taken_at[known], self.var["window"]) :]]

    def _backtests(self, taken, revalued):
        """The tests of the last forecasts, each of the change of profit that came after it."""
        known = np.flatnonzero(~np.isnan(taken))
        found = {}
        ends = [(name, alpha) for name, _, alpha in names(self.var)]
        if self._revaluations():
            ends += [(name, alpha) for name, _, alpha in revalued_names(self.var)]
        for name, alpha in ends:
            rows = []
            for nth in range(len(known) - 1, -1, -1):
                forecasts = self._forecast_of(nth, known, taken, revalued)
                if f"var_{name}" not in forecasts:
                    break
                forecast = forecasts[f"var_{name}"], forecasts[f"es_{name}"]
                # Where nothing moved nothing was forecast.
                if any(forecast):
                    rows.append((-taken[known[nth]], *forecast))
                if len(rows) == self.var["backtest"]:
                    break
            if len(rows) < 20:
                raise Beyond("too few forecasts yet; choose a later day")
            said, found[f"es_{name}_acerbi_z2"] = tests(*np.array(rows[::-1]).T, alpha)
            found |= {f"var_{name}_{test}": value for test, value in said.items()}
        return found

    def _revaluations(self):
        """They forecast over the interval of the history."""
        sample = self.var["sample"]
        same = sample != "fill" and pd.Timedelta(sample) == pd.Timedelta(self.interval)
        return same and any(map(shape_of, self.var["models"]))

    def _forecast_of(self, nth, known, taken, revalued):
        """What was forecast for the nth known change: from the window before it, and at the sample before it."""
        if nth not in self._forecasts:
            window = self._window(known[:nth])
            # Forecasts are of one step.
            var = {**self.var, "horizons": [1]}
            found = measures(window, var) if len(window) >= var["minimum"] else {}
            if self._revaluations():
                instant = int(self.taken_at[known[nth] - 1])
                try:
                    found |= revalued(self.order.by(instant), instant, var)
                except NotWarm:
                    pass
            self._forecasts[nth] = found
        return self._forecasts[nth]
