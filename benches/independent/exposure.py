"""How what is held is spread: over positions, and over currencies and sectors."""

from decimal import Decimal

ZERO = Decimal(0)


def shares(values, gross):
    """How concentrated values are, whose sizes have this sum."""
    of_gross = sorted((float(abs(value) / gross) for value in values if gross), reverse=True)
    return {
        "largest_share": of_gross[0] if of_gross else 0.0,
        "top5_share": sum(of_gross[:5]),
        "herfindahl": sum(share**2 for share in of_gross),
    }


def largest(values, most):
    """What the largest positions are worth, by name; of equal ones the first."""
    order = sorted((symbol for symbol in values if values[symbol]), key=lambda symbol: (-abs(values[symbol]), symbol))
    return {f"position:{symbol}": values[symbol] for symbol in order[:most]}


def groups(values, gross, prices):
    """Of each currency in which anything is priced, where there are rates, and of each sector, where there are any: by
    symbols' values, whose sizes have this sum."""
    found = _by("currency", lambda symbol: prices.marks[symbol].currency, values, gross) if prices.rates.pairs else {}
    if any(one.sector for one in prices.instruments.values()):
        found |= _by("sector", lambda symbol: prices.instrument(symbol).sector or "none", values, gross)
    return found


def _by(kind, of, values, gross):
    sums = {}
    for symbol, value in values.items():
        sizes, net = sums.get(of(symbol), (ZERO, ZERO))
        sums[of(symbol)] = sizes + abs(value), net + value
    said = {}
    for name, (sizes, net) in sums.items():
        said[f"{kind}_gross:{name}"], said[f"{kind}_net:{name}"] = sizes, net
        said[f"{kind}_share:{name}"] = float(sizes / gross) if gross else 0.0
    return said
