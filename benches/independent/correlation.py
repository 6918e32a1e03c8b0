"""How the symbols held move together: Pearson's pairs, the exponentially weighted ones, and the effective number of bets of
the shrunk matrix."""

import numpy as np

from history import NotWarm


class Furthest(float):
    """The correlation furthest from 0, without its sign, and the two symbols that it is of, by name."""

    symbols = ()

    @classmethod
    def of(cls, pairs, names):
        """Of the pairs above the diagonal; of those that are as far the first."""
        largest = int(np.argmax(abs(pairs)))
        found = cls(abs(pairs[largest]))
        found.symbols = [names[at[largest]] for at in np.triu_indices(len(names), 1)]
        return found


def _shrunk(standardised):
    """Ledoit and Wolf (2004), towards no correlation."""
    days, size = standardised.shape
    sample = standardised.T @ standardised / days
    distance = ((sample - np.eye(size)) ** 2).sum()
    noise = sum(((np.outer(row, row) - sample) ** 2).sum() for row in standardised) / days**2
    intensity = min(max(noise / distance, 0.0), 1.0) if distance > 0 else 1.0
    return (1 - intensity) * sample + intensity * np.eye(size)


def _weighted(rows, weight):
    """RiskMetrics' recursion, around zero, from the first row on."""
    sums = np.outer(rows[0], rows[0])
    for row in rows[1:]:
        sums = weight * sums + (1 - weight) * np.outer(row, row)
    deviations = np.sqrt(np.diag(sums))
    return sums / np.outer(deviations, deviations)


def correlations(history, symbols, instant, weight):
    """Of the symbols that moved within the window; one alone is in no pair."""
    rows = np.empty((0, 0)) if len(symbols) < 2 else history.rows(symbols, instant)
    if len(symbols) >= 2 and len(rows) < history.settings["minimum"]:
        raise NotWarm("the history is not warm yet; choose a later day")
    moves = np.ptp(rows, axis=0) > 0 if len(symbols) >= 2 else np.ones(len(symbols), dtype=bool)
    moving = rows[:, moves] if len(symbols) >= 2 else np.empty((0, len(symbols)))
    names = [symbol for symbol, moved in zip(symbols, moves) if moved]
    size = len(names)
    if size < 2:
        alone = {"max_correlation": Furthest(0.0), "average_correlation": 0.0}
        return alone | {f"{name}_ewma": figure for name, figure in alone.items()} | {"effective_bets": float(size)}
    weighted = _weighted(moving, weight)[np.triu_indices(size, 1)]
    pairs = np.corrcoef(moving, rowvar=False)[np.triu_indices(size, 1)]
    shares = np.linalg.eigvalsh(_shrunk((moving - moving.mean(axis=0)) / moving.std(axis=0))) / size
    shares = shares[shares > 0]
    return {
        "max_correlation": Furthest.of(pairs, names),
        "average_correlation": pairs.mean(),
        "max_correlation_ewma": Furthest.of(weighted, names),
        "average_correlation_ewma": weighted.mean(),
        "effective_bets": float(np.exp(-(shares * np.log(shares)).sum())),
    }
