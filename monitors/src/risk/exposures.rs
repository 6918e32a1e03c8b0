//! Exposure by groups of symbols: sectors, currencies.

use tapewatch_schemas::events::{Measure, Unknown};

use super::marks::SymbolId;
use super::measure::Bounded;
use super::money::Money;
use super::publish::{money, ratio};

/// What is held of each group, by the names of the groups.
#[derive(Clone, Debug)]
pub(super) struct Exposures<'a>(Vec<(&'a str, Exposure)>);

/// What is held of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Exposure {
    /// One of the symbols held, to name it by; none if nothing of it is held.
    symbol: Option<SymbolId>,
    gross: Money,
    net: Money,
}

impl<'a> Exposures<'a> {
    /// Nothing of these groups, whose names rise.
    pub(super) fn of(names: impl Iterator<Item = &'a str>) -> Self {
        Self(names.map(|name| (name, Exposure::default())).collect())
    }

    /// With a position more, in the group at a place.
    pub(super) fn add(&mut self, group: usize, symbol: SymbolId, value: Money) {
        let (_, one) = &mut self.0[group];
        one.symbol.get_or_insert(symbol);
        one.gross += value.abs();
        one.net += value;
    }

    /// The value that a limit bounds, of the group in which it is largest, and a symbol of that group. Of equal ones the
    /// first by name. `gross` is that of all that is held.
    pub(super) fn bounded(&self, measure: Bounded, gross: Money) -> (f64, Option<SymbolId>) {
        let net = matches!(measure, Bounded::SectorNet | Bounded::CurrencyNet);
        let share_of_all = matches!(measure, Bounded::SectorShare | Bounded::CurrencyShare);
        let mut largest = (Money::ZERO, None);
        for (_, one) in &self.0 {
            let size = if net { one.net.abs() } else { one.gross };
            if size > largest.0 {
                largest = (size, one.symbol);
            }
        }
        let value = if share_of_all { share(largest.0, gross) } else { largest.0.to_f64() };
        (value, largest.1)
    }

    /// The exposure of each group of which anything is held, as it is published: gross, net and share by these names.
    pub(super) fn measures(
        self,
        [gross, net, of_all]: [Bounded; 3],
        unknown: Option<Unknown>,
        all: Money,
    ) -> impl Iterator<Item = Measure> {
        let held = self.0.into_iter().filter(|(_, one)| one.symbol.is_some());
        held.flat_map(move |(name, one)| {
            let part = unknown.map_or_else(|| Ok(share(one.gross, all)), Err);
            [
                money(&format!("{gross}:{name}"), unknown, one.gross),
                money(&format!("{net}:{name}"), unknown, one.net),
                ratio(&format!("{of_all}:{name}"), part),
            ]
        })
    }
}

/// A part of all; nothing of nothing.
fn share(part: Money, all: Money) -> f64 {
    if all == Money::ZERO { 0.0 } else { part.to_f64() / all.to_f64() }
}
