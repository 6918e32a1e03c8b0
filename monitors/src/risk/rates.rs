//! Conversion rates: what money of one currency is in another, at the marks of configured pairs of currencies.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tapewatch_schemas::amount::{AmountError, SCALE};
use tapewatch_schemas::events::Unknown;
use tapewatch_schemas::{Amount, Currency, Symbol};

use super::around::Earliest;
use super::feeds::Feeds;
use super::marks::{Marks, SymbolId};
use super::money::Money;
use super::portfolio::worst;

/// A symbol whose mark is the price of one unit of `base` in `quote`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// As market data names it.
    pub symbol: Symbol,
    /// What is priced.
    pub base: Currency,
    /// The currency of the price.
    pub quote: Currency,
}

/// What one unit of a currency is in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    /// That of a currency in itself.
    Own,
    /// So many.
    Of(Decimal),
    /// Nobody knows: all is nothing by it.
    Unknown,
}

impl Rate {
    /// False for [`Rate::Unknown`].
    pub(super) fn is_known(self) -> bool {
        self != Self::Unknown
    }

    /// Money in the other currency, rounded half-even to 12 places.
    ///
    /// # Errors
    /// It does not fit an amount.
    pub(super) fn of(self, money: Money) -> Result<Money, AmountError> {
        match self {
            Self::Own => Ok(money),
            Self::Of(rate) => {
                let converted =
                    money.to_amount()?.decimal().checked_mul(rate).ok_or(AmountError::Overflow)?;
                Amount::new(converted.round_dp(SCALE)).map(Money::of)
            }
            Self::Unknown => Ok(Money::ZERO),
        }
    }

    /// This one, and from there by another.
    pub(super) fn then(self, next: Self) -> Self {
        match (self, next) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Own, rate) | (rate, Self::Own) => rate,
            (Self::Of(first), Self::Of(second)) => {
                // A rate of more or fewer digits than there are is none.
                let rate = first.checked_mul(second).filter(|rate| !rate.is_zero());
                rate.map_or(Self::Unknown, |rate| Self::Of(rate.normalize()))
            }
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = match self {
            Self::Own => None,
            Self::Of(rate) => Some(rate.serialize()),
            Self::Unknown => Some(Decimal::ZERO.serialize()),
        };
        digits.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = Option::<[u8; 16]>::deserialize(deserializer)?.map(Decimal::deserialize);
        Ok(digits.map_or(Self::Own, |rate| if rate.is_zero() { Self::Unknown } else { Self::Of(rate) }))
    }
}

/// A price, and what it is converted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Quoted {
    pub(super) price: Amount,
    pub(super) rate: Rate,
}

impl Quoted {
    /// What a quantity with a multiplier is worth in the other currency; nothing by no rate.
    ///
    /// # Errors
    /// It does not fit an amount.
    pub(super) fn value(self, quantity: Amount, multiplier: Amount) -> Result<Money, AmountError> {
        self.rate.of(Money::value(quantity, self.price, multiplier)?)
    }
}

impl From<Amount> for Quoted {
    /// In the currency itself.
    fn from(price: Amount) -> Self {
        Self { price, rate: Rate::Own }
    }
}

/// One pair on the way from one currency to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    pub(super) pair: usize,
    /// Its symbol's place.
    pub(super) symbol: SymbolId,
    /// True from the quote to the base.
    pub(super) inverse: bool,
}

/// The pairs, and the way from each currency to each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    pairs: Vec<Pair>,
    /// The places of their symbols.
    symbols: Vec<SymbolId>,
    routes: BTreeMap<Currency, BTreeMap<Currency, Vec<Leg>>>,
}

impl Rates {
    /// Every route is one of the fewest pairs; of those the one whose pairs stand first. A pair's symbol that has no place
    /// gets one.
    pub(super) fn new(pairs: &[Pair], marks: &mut Marks) -> Self {
        let place = |pair: &Pair| marks.find(&pair.symbol).unwrap_or_else(|| marks.add(&pair.symbol));
        let symbols: Vec<SymbolId> = pairs.iter().map(place).collect();
        let mut currencies: Vec<&Currency> =
            pairs.iter().flat_map(|pair| [&pair.base, &pair.quote]).collect();
        currencies.sort_unstable();
        currencies.dedup();
        let routes = |from: &&Currency| ((*from).clone(), routes_from(from, pairs, &symbols));
        let routes = currencies.iter().map(routes).collect();
        Self { pairs: pairs.to_vec(), symbols, routes }
    }

    /// True if a symbol is a pair's.
    pub(super) fn has(&self, symbol: SymbolId) -> bool {
        self.symbols.contains(&symbol)
    }

    /// The way from one currency to another: none to itself. Nothing if there is none.
    pub(super) fn route(&self, from: &Currency, to: &Currency) -> Option<&[Leg]> {
        if from == to { Some(&[]) } else { Some(self.routes.get(from)?.get(to)?) }
    }

    /// The rate now; [`Rate::Unknown`] if there is no way, or a pair on it has no price above zero in its quote.
    pub(super) fn rate(&self, from: &Currency, to: &Currency, marks: &Marks) -> Rate {
        let Some(route) = self.route(from, to) else { return Rate::Unknown };
        route.iter().fold(Rate::Own, |rate, leg| match self.price(leg, marks) {
            Some(price) if leg.inverse => {
                rate.then(Decimal::ONE.checked_div(price).map_or(Rate::Unknown, Rate::Of))
            }
            Some(price) => rate.then(Rate::Of(price)),
            None => Rate::Unknown,
        })
    }

    fn price(&self, leg: &Leg, marks: &Marks) -> Option<Decimal> {
        let mark = marks.mark(leg.symbol)?;
        let known = mark.currency == self.pairs[leg.pair].quote && mark.price.is_positive();
        known.then(|| mark.price.decimal())
    }

    /// Money in another currency at the rate now; none without one, or if it does not fit an amount.
    pub(super) fn money(&self, money: Money, from: &Currency, to: &Currency, marks: &Marks) -> Option<Money> {
        let rate = self.rate(from, to, marks);
        if rate.is_known() { rate.of(money).ok() } else { None }
    }

    /// Why what rests on a rate is unknown.
    pub(super) fn unknown(
        &self,
        (from, to): (&Currency, &Currency),
        marks: &Marks,
        feeds: &Feeds,
        bound: std::time::Duration,
        earliest: &mut Earliest,
    ) -> Option<Unknown> {
        let Some(route) = self.route(from, to) else { return Some(Unknown::NoRate) };
        // All of them, and still a rate of more or fewer digits than there are.
        let none = (!self.rate(from, to, marks).is_known()).then_some(Unknown::NoRate);
        route.iter().fold(none, |reason, leg| {
            let (Some(mark), Some(_)) = (marks.mark(leg.symbol), self.price(leg, marks)) else {
                return worst(reason, Some(Unknown::NoRate));
            };
            let stale = earliest.stale(feeds.current_at(mark.feed, mark.event_time), bound);
            let down = feeds.feed_is_down(mark.feed).then_some(Unknown::SourceDown);
            worst(reason, down.or(stale))
        })
    }

    /// True if the way from one currency to another goes over a symbol.
    pub(super) fn goes_over(&self, from: &Currency, to: &Currency, symbol: SymbolId) -> bool {
        self.route(from, to).is_some_and(|route| route.iter().any(|leg| leg.symbol == symbol))
    }
}

/// The ways from one currency to all that can be reached.
fn routes_from(from: &Currency, pairs: &[Pair], symbols: &[SymbolId]) -> BTreeMap<Currency, Vec<Leg>> {
    let mut routes = BTreeMap::from([(from.clone(), Vec::new())]);
    let mut latest = vec![from.clone()];
    while !latest.is_empty() {
        let mut next = Vec::new();
        for at in &latest {
            for (pair, Pair { base, quote, .. }) in pairs.iter().enumerate() {
                let (to, inverse) = match () {
                    () if base == at => (quote, false),
                    () if quote == at => (base, true),
                    () => continue,
                };
                if !routes.contains_key(to) {
                    let mut legs = routes[at].clone();
                    legs.push(Leg { pair, symbol: symbols[pair], inverse });
                    routes.insert(to.clone(), legs);
                    next.push(to.clone());
                }
            }
        }
        latest = next;
    }
    routes.remove(from);
    routes
}

#[cfg(test)]
mod tests {
    use tapewatch_schemas::Time;

    use super::*;
    use crate::risk::marks::Mark;

    fn pair(base: &str, quote: &str) -> Pair {
        let symbol = Symbol::from(format!("{base}{quote}").as_str());
        Pair { symbol, base: Currency::from(base), quote: Currency::from(quote) }
    }

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn marked(pairs: &[(&str, &str, &str)]) -> (Rates, Marks) {
        let all: Vec<Pair> = pairs.iter().map(|(base, quote, _)| pair(base, quote)).collect();
        let mut marks = Marks::default();
        let rates = Rates::new(&all, &mut marks);
        for (base, quote, price) in pairs {
            let place = marks.find(&pair(base, quote).symbol).unwrap();
            let (price, currency) = (amount(price), Currency::from(*quote));
            marks.entry_mut(place).mark = Some(Mark { price, currency, event_time: Time(0), feed: 0 });
        }
        (rates, marks)
    }

    #[test]
    fn money_goes_the_shortest_way_and_back() {
        let (rates, marks) = marked(&[
            ("EUR", "USD", "1.25"),
            ("USD", "JPY", "150"),
            ("GBP", "USD", "1.5"),
            ("EUR", "CHF", "1"),
        ]);
        let of = |from: &str, to: &str| {
            let rate = rates.rate(&Currency::from(from), &Currency::from(to), &marks);
            rate.of(Money::of(amount("300"))).unwrap().amount().unwrap()
        };
        assert_eq!(of("EUR", "EUR"), amount("300"));
        assert_eq!(of("EUR", "USD"), amount("375"));
        assert_eq!(of("USD", "EUR"), amount("240"));
        assert_eq!(of("JPY", "USD"), amount("2"), "a third of a cent has more digits than an amount");
        assert_eq!(of("JPY", "EUR"), amount("1.6"));
        assert_eq!(of("GBP", "CHF"), amount("360"));
    }

    #[test]
    fn what_is_not_known_is_nothing() {
        let (rates, mut marks) = marked(&[("EUR", "USD", "1.25"), ("USD", "JPY", "0")]);
        let rate = |marks: &Marks, from: &str, to: &str| {
            rates.rate(&Currency::from(from), &Currency::from(to), marks)
        };
        assert_eq!(rate(&marks, "EUR", "CHF"), Rate::Unknown);
        assert_eq!(rate(&marks, "JPY", "USD"), Rate::Unknown, "a price of zero is none");
        assert!(rate(&marks, "EUR", "USD").is_known());
        marks.entry_mut(0).mark.as_mut().unwrap().currency = Currency::from("CHF");
        assert_eq!(rate(&marks, "EUR", "USD"), Rate::Unknown, "in another currency than the pair's quote");
    }

    #[test]
    fn a_rate_is_saved_to_the_digit() {
        let (rates, marks) = marked(&[("USD", "JPY", "149.87")]);
        for rate in
            [rates.rate(&Currency::from("JPY"), &Currency::from("USD"), &marks), Rate::Own, Rate::Unknown]
        {
            let bytes = postcard::to_allocvec(&rate).unwrap();
            assert_eq!(postcard::from_bytes::<Rate>(&bytes).unwrap(), rate);
        }
    }
}
