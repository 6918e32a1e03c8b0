//! One position: its quantity and what it cost, and what a fill makes of it.

use serde::{Deserialize, Serialize};
use tapewatch_schemas::Amount;
use tapewatch_schemas::amount::AmountError;

use super::money::Money;
use super::rates::{Quoted, Rate};

/// A position in one symbol.
///
/// The whole cost is kept, not the average: the average is a quotient and would have to be rounded at
/// every fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Units; negative if short.
    pub(super) quantity: Amount,
    /// Price × quantity × multiplier of what is open; negative if short.
    pub(super) cost: Money,
    /// False if the opening did not say what some of it cost.
    pub(super) cost_known: bool,
}

impl Line {
    /// Nothing held.
    pub(super) const FLAT: Self = Self { quantity: Amount::ZERO, cost: Money::ZERO, cost_known: true };

    /// The line after a fill (quantity negative for a sale) and the profit that the fill realised, by
    /// average cost. Without a rate nothing is known of what it cost or brought.
    ///
    /// Realised less cost always falls by exactly the fill's value, so profit and loss in all is exact;
    /// only its split into realised and unrealised is rounded, when a part of a position is closed.
    pub(super) fn fill(
        self,
        quantity: Amount,
        price: impl Into<Quoted>,
        multiplier: Amount,
    ) -> Result<(Self, Money), AmountError> {
        let price = price.into();
        let value = price.value(quantity, multiplier)?;
        let after = self.quantity.checked_add(quantity)?;
        if !self.is_closed_by(quantity) {
            let cost_known = (self.cost_known || self.quantity.is_zero()) && price.rate.is_known();
            return Ok((
                Self { quantity: after, cost: (self.cost + value).fitting()?, cost_known },
                Money::ZERO,
            ));
        }
        if after.is_zero() {
            return Ok((Self::FLAT, -value - self.cost));
        }
        let flips = after.is_negative() != self.quantity.is_negative();
        if flips {
            let closing = price.value(-self.quantity, multiplier)?;
            let cost_known = price.rate.is_known();
            let line = Self { quantity: after, cost: value - closing, cost_known };
            return Ok((line, -closing - self.cost));
        }
        let closed = self.share(quantity.abs())?;
        Ok((Self { quantity: after, cost: self.cost - closed, ..self }, -value - closed))
    }

    /// With its cost in another currency, or of unknown cost.
    pub(super) fn redenominated(self, rate: Rate) -> Self {
        match rate.of(self.cost) {
            Ok(cost) if rate.is_known() => Self { cost, ..self },
            _ => self.of_unknown_cost(),
        }
    }

    /// The same, of unknown cost.
    pub(super) fn of_unknown_cost(self) -> Self {
        Self { cost: Money::ZERO, cost_known: self.quantity.is_zero(), ..self }
    }

    /// True if a fill of `quantity` closes some of it.
    pub(super) fn is_closed_by(self, quantity: Amount) -> bool {
        !self.quantity.is_zero() && self.quantity.is_negative() != quantity.is_negative()
    }

    /// What `units` of the position cost, rounded half-even to 12 places.
    pub(super) fn share(self, units: Amount) -> Result<Money, AmountError> {
        // As decimals of 28 digits: the product may have more than an amount's 16 before the point.
        let cost = self.cost.amount().ok_or(AmountError::Overflow)?.decimal();
        let share = cost
            .checked_mul(units.decimal())
            .and_then(|product| product.checked_div(self.quantity.abs().decimal()))
            .ok_or(AmountError::Overflow)?;
        Amount::new(share.round_dp(tapewatch_schemas::amount::SCALE)).map(Money::of)
    }

    /// Average cost per unit, without the multiplier; none if flat or not known.
    pub(super) fn average_cost(self, multiplier: Amount) -> Option<Amount> {
        if self.quantity.is_zero() || !self.cost_known {
            return None;
        }
        let per_unit = self.cost.amount()?.checked_div(self.quantity).ok()?;
        if multiplier == Amount::ONE { Some(per_unit) } else { per_unit.checked_div(multiplier).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn after(fills: &[(&str, &str)]) -> (Line, Money) {
        fills.iter().fold((Line::FLAT, Money::ZERO), |(line, realised), (quantity, price)| {
            let (line, more) = line.fill(amount(quantity), amount(price), Amount::ONE).unwrap();
            (line, realised + more)
        })
    }

    #[test]
    fn a_long_position_is_built_and_reduced_by_average_cost() {
        let (line, realised) = after(&[("10", "100"), ("10", "110"), ("-5", "120")]);
        assert_eq!(line.quantity, amount("15"));
        assert_eq!(line.average_cost(Amount::ONE), Some(amount("105")));
        assert_eq!(realised, Money::of(amount("75")));
    }

    #[test]
    fn a_short_position_earns_when_bought_back_lower() {
        let (line, realised) = after(&[("-10", "100"), ("4", "90")]);
        assert_eq!((line.quantity, line.cost), (amount("-6"), Money::of(amount("-600"))));
        assert_eq!(realised, Money::of(amount("40")));
    }

    #[test]
    fn a_fill_through_zero_closes_one_side_and_opens_the_other() {
        let (line, realised) = after(&[("10", "100"), ("-15", "110")]);
        assert_eq!((line.quantity, line.cost), (amount("-5"), Money::of(amount("-550"))));
        assert_eq!(realised, Money::of(amount("100")));
        let (line, realised) = after(&[("-10", "100"), ("10", "110")]);
        assert_eq!((line, realised), (Line::FLAT, Money::of(amount("-100"))));
    }

    #[test]
    fn the_multiplier_scales_money_and_not_the_average_cost() {
        let (line, _) = Line::FLAT.fill(amount("2"), amount("4000.25"), amount("50")).unwrap();
        assert_eq!(line.cost, Money::of(amount("400025")));
        assert_eq!(line.average_cost(amount("50")), Some(amount("4000.25")));
    }

    #[test]
    fn large_units_do_not_overflow_the_share_of_the_cost() {
        let (line, realised) = after(&[("9000000000", "0.00001"), ("-3000000000", "0.00002")]);
        assert_eq!(line.cost, Money::of(amount("60000")));
        assert_eq!(realised, Money::of(amount("30000")));
    }

    #[test]
    fn too_much_is_an_error() {
        let huge = amount("9999999999999999");
        assert_eq!(Line::FLAT.fill(huge, amount("2"), Amount::ONE), Err(AmountError::Overflow));
    }
}
