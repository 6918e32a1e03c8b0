//! Exposure by sector. A sector is what the reference data say of a symbol; symbols of which they say nothing are a group
//! of their own.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;
use tapewatch_schemas::Symbol;
use tapewatch_schemas::events::{Measure, Unknown};

use super::exposures::Exposures;
use super::marks::{Marks, SymbolId};
use super::measure::Bounded;
use super::money::Money;

/// What symbols without a sector are in.
const NONE: &str = "none";

const PUBLISHED: [Bounded; 3] = [Bounded::SectorGross, Bounded::SectorNet, Bounded::SectorShare];

/// Every symbol's sector.
#[derive(Clone, Debug)]
pub(super) struct Sectors {
    /// Rising; empty if no symbol has any.
    names: Vec<SmolStr>,
    /// By symbol's place: that of its sector among the names.
    of: Vec<usize>,
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

    /// What is held of each sector.
    fn exposures(&self, held: impl Iterator<Item = (SymbolId, Money)>) -> Exposures<'_> {
        let mut exposures = Exposures::of(self.names.iter().map(SmolStr::as_str));
        if !self.names.is_empty() {
            held.for_each(|(symbol, value)| exposures.add(self.of[symbol as usize], symbol, value));
        }
        exposures
    }

    /// The value that a limit bounds, of the sector in which it is largest, and a symbol of that sector. `gross` is that of
    /// all that is held.
    pub(super) fn bounded(
        &self,
        measure: Bounded,
        gross: Money,
        held: impl Iterator<Item = (SymbolId, Money)>,
    ) -> (f64, Option<SymbolId>) {
        self.exposures(held).bounded(measure, gross)
    }

    /// The exposure of each sector of which anything is held, by name, as it is published.
    pub(super) fn measures(
        &self,
        unknown: Option<Unknown>,
        gross: Money,
        held: impl Iterator<Item = (SymbolId, Money)>,
    ) -> impl Iterator<Item = Measure> {
        self.exposures(held).measures(PUBLISHED, unknown, gross)
    }
}
