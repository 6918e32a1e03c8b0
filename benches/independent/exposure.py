"""How what is held is spread: over positions, and over the currencies that it is priced in."""

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


def by_currency(values, gross, prices):
    """Of each currency in which anything is priced, where there are rates: by symbols' values, whose sizes have this sum."""
    found = {}
    for symbol, value in values.items() if prices.rates.pairs else ():
        of = prices.marks[symbol].currency
        sizes, net = found.get(of, (ZERO, ZERO))
        found[of] = sizes + abs(value), net + value
    said = {}
    for of, (sizes, net) in found.items():
        said[f"currency_gross:{of}"], said[f"currency_net:{of}"] = sizes, net
        said[f"currency_share:{of}"] = float(sizes / gross) if gross else 0.0
    return said
