//! Exposure by sector. A sector is what the reference data say of a symbol; symbols of which they say nothing are a group
//! of their own.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;
use tapewatch_schemas::Symbol;
use tapewatch_schemas::events::{Measure, Unknown};

use super::around::Around;
use super::marks::{Marks, SymbolId};
use super::measure::Bounded;
use super::money::Money;
use super::portfolio::Portfolio;
use super::publish::{money, ratio};

/// What symbols without a sector are in.
const NONE: &str = "none";

/// Every symbol's sector.
#[derive(Clone, Debug)]
pub(super) struct Sectors {
    /// Rising; empty if no symbol has any.
    names: Vec<SmolStr>,
    /// By symbol's place: that of its sector among the names.
    of: Vec<usize>,
}

/// What is held of a sector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Exposure {
    /// One of the symbols held, to name it by; none if nothing of it is held.
    symbol: Option<SymbolId>,
    gross: Money,
    net: Money,
}

impl Sectors {
    /// The sectors that there are.
    pub(super) fn new(sectors: &BTreeMap<Symbol, SmolStr>) -> Self {
        let none = if sectors.is_empty() { None } else { Some(SmolStr::new_static(NONE)) };
        let names: BTreeSet<SmolStr> = sectors.values().cloned().chain(none).collect();
        Self { names: names.into_iter().collect(), of: Vec::new() }
    }

    /// Looks up the sectors of the symbols that were added since the last time.
    pub(super) fn place(&mut self, sectors: &BTreeMap<Symbol, SmolStr>, marks: &Marks) {
        while !self.names.is_empty() && self.of.len() < marks.len() {
            let symbol = &marks.entry(self.of.len() as SymbolId).symbol;
            let name = sectors.get(symbol).map_or(NONE, SmolStr::as_str);
            let at = self.names.binary_search_by(|known| known.as_str().cmp(name));
            self.of.push(at.expect("every sector was named at the beginning"));
        }
    }

    /// The name of a symbol's sector.
    pub(super) fn name(&self, symbol: SymbolId) -> &str {
        self.of.get(symbol as usize).map_or(NONE, |at| self.names[*at].as_str())
    }

    /// What is held of each sector, by its place.
    fn exposures(&self, held: impl Iterator<Item = (SymbolId, Money)>) -> Vec<Exposure> {
        let mut exposures = vec![Exposure::default(); self.names.len()];
        if exposures.is_empty() {
            return exposures;
        }
        for (symbol, value) in held {
            let one = &mut exposures[self.of[symbol as usize]];
            one.symbol.get_or_insert(symbol);
            one.gross += value.abs();
            one.net += value;
        }
        exposures
    }

    /// The value that a limit bounds, of the sector in which it is largest, and a symbol of that sector. Of equal ones the
    /// first by name. `gross` is that of all that is held.
    pub(super) fn bounded(
        &self,
        measure: Bounded,
        gross: Money,
        held: impl Iterator<Item = (SymbolId, Money)>,
    ) -> (f64, Option<SymbolId>) {
        let size = |one: &Exposure| if measure == Bounded::SectorNet { one.net.abs() } else { one.gross };
        let mut largest = (Money::ZERO, None);
        for one in self.exposures(held) {
            if size(&one) > largest.0 {
                largest = (size(&one), one.symbol);
            }
        }
        let value =
            if measure == Bounded::SectorShare { share(largest.0, gross) } else { largest.0.to_f64() };
        (value, largest.1)
    }

    /// The exposure of each sector of which anything is held, by name, as it is published.
    pub(super) fn measures(
        &self,
        unknown: Option<Unknown>,
        gross: Money,
        held: impl Iterator<Item = (SymbolId, Money)>,
    ) -> Vec<Measure> {
        let exposures = self.exposures(held);
        let known = self.names.iter().zip(exposures).filter(|(_, one)| one.symbol.is_some());
        let published = known.flat_map(|(name, one)| {
            let of_all = unknown.map_or_else(|| Ok(share(one.gross, gross)), Err);
            [
                money(&format!("{}:{name}", Bounded::SectorGross), unknown, one.gross),
                money(&format!("{}:{name}", Bounded::SectorNet), unknown, one.net),
                ratio(&format!("{}:{name}", Bounded::SectorShare), of_all),
            ]
        });
        published.collect()
    }
}

/// A part of all; nothing of nothing.
fn share(part: Money, all: Money) -> f64 {
    if all == Money::ZERO { 0.0 } else { part.to_f64() / all.to_f64() }
}

impl Portfolio {
    /// The value that a limit bounds, and a symbol of the sector that decides it.
    pub(super) fn largest_sector(
        &self,
        measure: Bounded,
        around: &Around<'_>,
    ) -> (Result<f64, Unknown>, Option<SymbolId>) {
        if let Some(reason) = self.exposure_unknown() {
            return (Err(reason), None);
        }
        let (value, symbol) = around.sectors.bounded(measure, self.sums.gross, self.values());
        (Ok(value), symbol)
    }
}
