"""What the worker of strategies, desks and the firm knows of each portfolio, and since when: its books, computed anew. Only
when a book was published, and what for, is taken from the log."""

from dataclasses import dataclass

import numpy as np

# What an account adds is a difference of sums of doubles here: less than this is none.
ROUNDED = 1e-6


@dataclass
class Books:
    """The books of one portfolio, oldest first: where they stand in the order of what is above it, and what they say."""

    currency: str
    places: np.ndarray
    books: list[dict]

    def at(self, place):
        """Which is in force at a place; -1 before the first."""
        return int(np.searchsorted(self.places, place, side="right")) - 1

    def others(self):
        """The places of those that say something else than the one before: of a fill, or of an account."""
        said = np.array([(book["fills"], book["beside"]) for book in self.books])
        moved = ~(np.abs(np.diff(said, axis=0)) < ROUNDED).all(axis=1)
        return self.places[np.concatenate([[True], moved])]

    def filled(self):
        """The places of those that a fill changed."""
        return self.places[np.diff([0] + [book["fills"] for book in self.books]) > 0]

    def series(self, places, of):
        """A figure of the book in force at each place; what is said of none is none."""
        known = np.array([np.nan] + [float(of(book)) for book in self.books])
        return known[np.searchsorted(self.places, places, side="right")]


def books(above, order, portfolios):
    """Those of every portfolio: `above` is the order in which they were read, `order` that in which they were made."""
    rows = {}
    for place, value in above.of("holdings.v1")[["value"]].itertuples():
        portfolio = value["portfolio"]
        made = order.last_seen(value["provenance"]["cause"])
        if made is None:
            # By a record that moves no position: what came by then was seen.
            made = order.by(int(above.arrivals[place]))
        book = portfolios[portfolio].book(made)
        of_portfolio = rows.setdefault(portfolio, [])
        book["grew"] = _grew(of_portfolio[-1][1]["held"] if of_portfolio else None, book["held"])
        of_portfolio.append((place, book))
    return {
        name: Books(portfolios[name].currency, np.array([place for place, _ in of]), [book for _, book in of])
        for name, of in rows.items()
    }


def _grew(before, held):
    """There is more of a symbol, or the opposite; or there was no book."""
    if before is None:
        return True
    was = ((quantity, before.get(symbol, 0)) for symbol, quantity in held.items())
    return any(abs(now) > abs(then) or (now < 0) != (then < 0) for now, then in was)
