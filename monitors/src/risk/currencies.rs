//! Exposure by the currency in which what is held is priced, as far as any is converted.

use tapewatch_schemas::events::{Measure, Unknown};

use super::exposures::Exposures;
use super::marks::{Marks, SymbolId};
use super::measure::Bounded;
use super::money::Money;

const PUBLISHED: [Bounded; 3] = [Bounded::CurrencyGross, Bounded::CurrencyNet, Bounded::CurrencyShare];

/// What is held of each currency, by the currencies' names.
fn exposures(marks: &Marks, held: impl Iterator<Item = (SymbolId, Money)> + Clone) -> Exposures<'_> {
    let of = |symbol| marks.mark(symbol).map(|mark| mark.currency.as_str());
    let mut names: Vec<&str> = held.clone().filter_map(|(symbol, _)| of(symbol)).collect();
    names.sort_unstable();
    names.dedup();
    let mut exposures = Exposures::of(names.iter().copied());
    for (symbol, value) in held {
        let at = of(symbol).and_then(|name| names.binary_search(&name).ok());
        at.into_iter().for_each(|at| exposures.add(at, symbol, value));
    }
    exposures
}

/// The value that a limit bounds, and a symbol priced in the currency that decides it. `gross` is that of all that is held.
pub(super) fn bounded(
    measure: Bounded,
    gross: Money,
    marks: &Marks,
    held: impl Iterator<Item = (SymbolId, Money)> + Clone,
) -> (f64, Option<SymbolId>) {
    exposures(marks, held).bounded(measure, gross)
}

/// The exposure of each currency in which anything that is held is priced, by name, as it is published.
pub(super) fn measures(
    unknown: Option<Unknown>,
    gross: Money,
    marks: &Marks,
    held: impl Iterator<Item = (SymbolId, Money)> + Clone,
) -> impl Iterator<Item = Measure> {
    exposures(marks, held).measures(PUBLISHED, unknown, gross)
}
