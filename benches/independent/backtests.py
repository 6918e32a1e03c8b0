"""Were forecasts of value at risk and expected shortfall right: the tests of docs/risk.md, over exceptions in order of
time."""

from math import comb, erfc, exp, log, sqrt

import numpy as np

ZONES = ((0.9999, 2.0), (0.95, 1.0))


def _likelihood(exceptions, others, rate):
    """The logarithm of the likelihood of so many of each, if exceptions come at this rate."""
    return sum(count * log(share) for count, share in ((exceptions, rate), (others, 1 - rate)) if count)


def _ratio(count, of):
    return count / of if of else 0.0


def _independence(hits):
    before, after = hits[:-1], hits[1:]
    n11, n10 = int((before & after).sum()), int((before & ~after).sum())
    n01, n00 = int((~before & after).sum()), int((~before & ~after).sum())
    apart = _likelihood(n01, n00, _ratio(n01, n01 + n00)) + _likelihood(n11, n10, _ratio(n11, n11 + n10))
    together = _likelihood(n01 + n11, n00 + n10, _ratio(n01 + n11, len(after)))
    return max(2 * (apart - together), 0.0)


def _zone(n, x, alpha):
    at_most = sum(comb(n, k) * alpha**k * (1 - alpha) ** (n - k) for k in range(x + 1))
    return next((zone for bound, zone in ZONES if at_most >= bound), 0.0)


def tests(losses, var, es, alpha):
    """Each statistic's name and value, of losses and the forecasts of them, and that of the shortfall, which a shortfall that
    was no loss does not have. Losses positive."""
    hits = losses > var
    n, x = len(hits), int(hits.sum())
    kupiec = 2 * (_likelihood(x, n - x, x / n) - _likelihood(x, n - x, alpha))
    independence = _independence(hits)
    return {
        "observations": float(n),
        "exceptions": float(x),
        "kupiec_p": erfc(sqrt(max(kupiec, 0.0) / 2)),
        "independence_p": erfc(sqrt(independence / 2)),
        "conditional_p": exp(-(kupiec + independence) / 2),
        "light": _zone(n, x, alpha),
    }, None if (es[hits] <= 0).any() else 1 - float(np.sum(losses[hits] / es[hits])) / (n * alpha)
