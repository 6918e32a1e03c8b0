"""What a portfolio holds and what it has realised, exactly, by the order in which its lots are closed."""

from dataclasses import dataclass, field
from decimal import Decimal, getcontext

getcontext().prec = 60


@dataclass
class Lot:
    """Units that were bought or sold together (negative: sold short), and their price times quantity."""

    quantity: Decimal
    cost: Decimal


@dataclass
class Position:
    """The open lots of one symbol, oldest first. By average cost there is one at most.

    At the bound the two lots that would be closed last become one.
    """

    method: str
    bound: int
    lots: list[Lot] = field(default_factory=list)

    @property
    def quantity(self):
        return sum((lot.quantity for lot in self.lots), Decimal(0))

    @property
    def cost(self):
        return sum((lot.cost for lot in self.lots), Decimal(0))

    def fill(self, quantity, price):
        """Takes a fill (negative for a sale) and returns what it realised."""
        realised = Decimal(0)
        while quantity and self.lots and (self.lots[0].quantity > 0) != (quantity > 0):
            lot = self.lots[-1 if self.method == "lifo" else 0]
            closed = lot.quantity if abs(lot.quantity) <= abs(quantity) else -quantity
            cost = lot.cost if closed == lot.quantity else lot.cost * closed / lot.quantity
            realised += closed * price - cost
            lot.quantity -= closed
            lot.cost -= cost
            quantity += closed
            if not lot.quantity:
                self.lots.remove(lot)
        if quantity:
            self._open(Lot(quantity, quantity * price))
        return realised

    def _open(self, lot):
        self.lots.append(lot)
        if len(self.lots) > (1 if self.method == "average_cost" else self.bound):
            at = 0 if self.method == "lifo" else len(self.lots) - 2
            joined = self.lots.pop(at)
            self.lots[at].quantity += joined.quantity
            self.lots[at].cost += joined.cost
