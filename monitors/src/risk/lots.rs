//! The lots of one position, and which of them a fill closes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::Amount;
use tapewatch_schemas::amount::AmountError;

use super::line::Line;
use super::money::Money;
use super::parameters::PnlMethod;
use super::rates::{Quoted, Rate};

/// By which order lots are closed, and how many of them a position may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Costing {
    pub(super) method: PnlMethod,
    /// At least one is kept.
    pub(super) lots: usize,
}

/// What is open, fill by fill, the oldest first. All are of one side, and sum to the position's line. What an
/// opening brought is one lot, the oldest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Lots(VecDeque<Line>);

/// What one fill did to the lots: enough to undo it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Turn {
    /// The lots that it closed, as they were, in that order; of the last perhaps only a part.
    closed: Vec<Line>,
    /// True if a part of the last was left.
    rest: bool,
    /// True if it opened a lot.
    opened: bool,
    /// The two lots that became one for want of room, the one to be closed last first.
    joined: Option<(Line, Line)>,
}

/// A position as it is worked on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Position {
    pub(super) line: Line,
    /// None if costs are averaged.
    pub(super) lots: Option<Box<Lots>>,
}

/// What a fill made of a position, beside the position.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filled {
    pub(super) realised: Money,
    /// False if what it closed had an unknown cost.
    pub(super) known: bool,
    /// None if costs are averaged.
    pub(super) turn: Option<Box<Turn>>,
}

impl Position {
    /// A position of which the total is known and no more: one lot.
    pub(super) fn of(line: Line, costing: Costing) -> Self {
        let mut position = Self { line, lots: None };
        position.adapt(costing);
        position
    }

    /// Goes on under another costing: what is open stays as it is, as one lot if only the total is known.
    pub(super) fn adapt(&mut self, costing: Costing) {
        if costing.method == PnlMethod::AverageCost {
            self.lots = None;
            return;
        }
        let line = Some(self.line).filter(|line| !line.quantity.is_zero());
        let lots = self.lots.get_or_insert_with(|| Box::new(Lots(line.into_iter().collect())));
        while lots.join(costing).expect("parts of a sum that fits").is_some() {}
    }

    /// Takes a fill (quantity negative for a sale). After an error the position is of no use.
    pub(super) fn fill(
        &mut self,
        quantity: Amount,
        price: impl Into<Quoted>,
        multiplier: Amount,
        costing: Costing,
    ) -> Result<Filled, AmountError> {
        let price = price.into();
        let Some(lots) = &mut self.lots else {
            let closes = self.line.is_closed_by(quantity);
            let known = (self.line.cost_known && price.rate.is_known()) || !closes;
            let (line, realised) = self.line.fill(quantity, price, multiplier)?;
            self.line = line;
            return Ok(Filled { realised, known, turn: None });
        };
        let value = price.value(quantity, multiplier)?;
        let (turn, realised) = lots.fill(quantity, price, value, multiplier, costing)?;
        self.line = Line {
            quantity: self.line.quantity.checked_add(quantity)?,
            // Realised less cost always falls by exactly the fill's value.
            cost: (self.line.cost + value + realised).fitting()?,
            cost_known: self.line.cost_known && price.rate.is_known()
                || lots.0.iter().all(|lot| lot.cost_known),
        };
        let known = turn.closed.iter().all(|lot| lot.cost_known && price.rate.is_known());
        Ok(Filled { realised, known, turn: Some(Box::new(turn)) })
    }
}

impl Position {
    /// Takes what it cost into another currency.
    pub(super) fn redenominate(&mut self, rate: Rate) {
        self.line = self.line.redenominated(rate);
        let Some(lots) = &mut self.lots else { return };
        lots.0.iter_mut().for_each(|lot| *lot = lot.redenominated(rate));
        // Each is rounded, and the line is their sum.
        self.line.cost = lots.0.iter().map(|lot| lot.cost).sum();
    }
}

impl Lots {
    /// The end at which lots are closed.
    fn near(&self, method: PnlMethod) -> Option<&Line> {
        if method == PnlMethod::Lifo { self.0.back() } else { self.0.front() }
    }

    fn pop_near(&mut self, method: PnlMethod) -> Option<Line> {
        if method == PnlMethod::Lifo { self.0.pop_back() } else { self.0.pop_front() }
    }

    fn push_near(&mut self, method: PnlMethod, lot: Line) {
        if method == PnlMethod::Lifo { self.0.push_back(lot) } else { self.0.push_front(lot) }
    }

    fn pop_far(&mut self, method: PnlMethod) -> Option<Line> {
        if method == PnlMethod::Lifo { self.0.pop_front() } else { self.0.pop_back() }
    }

    fn push_far(&mut self, method: PnlMethod, lot: Line) {
        if method == PnlMethod::Lifo { self.0.push_front(lot) } else { self.0.push_back(lot) }
    }

    /// Closes lots of the other side, and opens one with what is left of the fill. What it did, and realised.
    fn fill(
        &mut self,
        quantity: Amount,
        price: Quoted,
        value: Money,
        multiplier: Amount,
        costing: Costing,
    ) -> Result<(Turn, Money), AmountError> {
        let method = costing.method;
        let (mut turn, mut realised) = (Turn::default(), Money::ZERO);
        let (mut left, mut left_value) = (quantity, value);
        while let Some(lot) = self.near(method).copied().filter(|lot| lot.is_closed_by(left)) {
            self.pop_near(method);
            turn.closed.push(lot);
            let after = lot.quantity.checked_add(left)?;
            if !after.is_zero() && after.is_negative() == lot.quantity.is_negative() {
                let cost = lot.share(left.abs())?;
                realised += -left_value - cost;
                self.push_near(method, Line { quantity: after, cost: lot.cost - cost, ..lot });
                turn.rest = true;
                left = Amount::ZERO;
                break;
            }
            // The last part's value is what is left of the whole, so that nothing is lost to rounding.
            let part = if after.is_zero() { left_value } else { price.value(-lot.quantity, multiplier)? };
            realised += -part - lot.cost;
            (left, left_value) = (after, left_value - part);
            if left.is_zero() {
                break;
            }
        }
        if !left.is_zero() {
            let cost_known = price.rate.is_known();
            self.0.push_back(Line { quantity: left, cost: left_value, cost_known });
            turn.opened = true;
            turn.joined = self.join(costing)?;
        }
        Ok((turn, realised))
    }

    /// If they are too many, makes one of the two that would be closed last. These, the last first.
    fn join(&mut self, Costing { method, lots }: Costing) -> Result<Option<(Line, Line)>, AmountError> {
        if self.0.len() <= lots.max(1) {
            return Ok(None);
        }
        let (Some(last), Some(other)) = (self.pop_far(method), self.pop_far(method)) else { return Ok(None) };
        let quantity = last.quantity.checked_add(other.quantity)?;
        let cost_known = last.cost_known && other.cost_known;
        self.push_far(method, Line { quantity, cost: last.cost + other.cost, cost_known });
        Ok(Some((last, other)))
    }

    /// Undoes the latest turn that is not undone yet.
    pub(super) fn undo(&mut self, turn: &Turn, method: PnlMethod) {
        if let Some((last, other)) = turn.joined {
            self.pop_far(method);
            self.push_far(method, other);
            self.push_far(method, last);
        }
        if turn.opened {
            self.0.pop_back();
        }
        if turn.rest {
            self.pop_near(method);
        }
        for lot in turn.closed.iter().rev() {
            self.push_near(method, *lot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn money(text: &str) -> Money {
        Money::of(amount(text))
    }

    fn flat(method: PnlMethod, lots: usize) -> (Position, Costing) {
        let costing = Costing { method, lots };
        (Position::of(Line::FLAT, costing), costing)
    }

    /// What each fill realised, and the position in the end.
    fn after(method: PnlMethod, lots: usize, fills: &[(&str, &str)]) -> (Position, Vec<Money>) {
        let (mut position, costing) = flat(method, lots);
        let realised = fills
            .iter()
            .map(|(quantity, price)| {
                position.fill(amount(quantity), amount(price), Amount::ONE, costing).unwrap().realised
            })
            .collect();
        (position, realised)
    }

    const BUYS: [(&str, &str); 3] = [("10", "100"), ("10", "110"), ("-15", "120")];

    #[test]
    fn methods_differ_in_what_a_sale_was_against() {
        let realised = |method| after(method, 100, &BUYS).1[2];
        assert_eq!(realised(PnlMethod::AverageCost), money("225"));
        assert_eq!(realised(PnlMethod::Fifo), money("250"));
        assert_eq!(realised(PnlMethod::Lifo), money("200"));
        let cost = |method| after(method, 100, &BUYS).0.line.cost;
        assert_eq!(cost(PnlMethod::AverageCost), money("525"));
        assert_eq!(cost(PnlMethod::Fifo), money("550"));
        assert_eq!(cost(PnlMethod::Lifo), money("500"));
    }

    #[test]
    fn a_fill_through_zero_closes_every_lot_and_opens_the_rest() {
        for method in [PnlMethod::Fifo, PnlMethod::Lifo] {
            let (position, realised) = after(method, 100, &[("-10", "100"), ("-5", "90"), ("20", "80")]);
            assert_eq!(realised[2], money("250"));
            assert_eq!((position.line.quantity, position.line.cost), (amount("5"), money("400")));
            assert_eq!(position.lots.unwrap().0, [position.line]);
        }
    }

    #[test]
    fn at_the_bound_the_two_lots_that_would_be_closed_last_are_one() {
        let fills = [("1", "10"), ("1", "20"), ("1", "40"), ("-1", "50"), ("-1", "50"), ("-1", "50")];
        let (_, fifo) = after(PnlMethod::Fifo, 2, &fills);
        assert_eq!(fifo[3..], [money("40"), money("20"), money("20")]);
        let (_, lifo) = after(PnlMethod::Lifo, 2, &fills);
        assert_eq!(lifo[3..], [money("10"), money("35"), money("35")]);
        // With one lot all methods are one.
        for method in [PnlMethod::Fifo, PnlMethod::Lifo] {
            assert_eq!(after(method, 1, &fills).1, after(PnlMethod::AverageCost, 1, &fills).1);
        }
    }

    #[test]
    fn what_was_closed_of_an_unknown_cost_is_not_known() {
        let opening = Line { quantity: amount("10"), cost: Money::ZERO, cost_known: false };
        for (method, known) in
            [(PnlMethod::Fifo, false), (PnlMethod::Lifo, true), (PnlMethod::AverageCost, false)]
        {
            let costing = Costing { method, lots: 100 };
            let mut position = Position::of(opening, costing);
            assert!(position.fill(amount("5"), amount("100"), Amount::ONE, costing).unwrap().known);
            let sale = position.fill(amount("-5"), amount("110"), Amount::ONE, costing).unwrap();
            assert_eq!(sale.known, known, "{method:?}");
            assert!(!position.line.cost_known || method == PnlMethod::Fifo);
        }
    }

    proptest::proptest! {
        /// Lots sum to the line; all is undone in the reverse order; profit and loss in all is the same by every method.
        #[test]
        fn every_turn_is_undone(
            fills in proptest::collection::vec((-300_i64..300, 1_i64..100_000), 1..40), lots in 1_usize..6,
        ) {
            let totals = [PnlMethod::AverageCost, PnlMethod::Fifo, PnlMethod::Lifo].map(|method| {
                let (mut position, costing) = flat(method, lots);
                let (mut states, mut total) = (Vec::new(), Money::ZERO);
                for (quantity, price) in &fills {
                    let price = Amount::from(*price).checked_div(amount("700")).unwrap();
                    let quantity = Amount::from(*quantity).checked_div(amount("7")).unwrap();
                    let before = position.clone();
                    let filled = position.fill(quantity, price, amount("0.3"), costing).unwrap();
                    total += filled.realised;
                    if let Some(turn) = filled.turn {
                        states.push((before, turn));
                        let open = &position.lots.as_ref().unwrap().0;
                        assert!(open.len() <= lots);
                        let sum: Money = open.iter().map(|lot| lot.cost).sum();
                        assert_eq!(sum, position.line.cost);
                    }
                }
                let profit = total - position.line.cost;
                for (before, turn) in states.iter().rev() {
                    position.lots.as_mut().unwrap().undo(turn, method);
                    assert_eq!(position.lots, before.lots);
                }
                profit
            });
            proptest::prop_assert_eq!(totals[0], totals[1]);
            proptest::prop_assert_eq!(totals[0], totals[2]);
        }
    }
}
