//! What symbols did over a stretch of the past: from the file of prices, or as the tape passed through it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::Unknown;
use tapewatch_schemas::{Symbol, Time};

use super::marks::SymbolId;
use super::parameters::HistoryParameters;
use super::scenario::Range;

/// The compounded returns of symbols over a range.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) range: Range,
    /// Those that the file knows, of the whole range: whatever the clock is.
    file: BTreeMap<Symbol, f64>,
    /// The same by symbol's place.
    of_file: Vec<Option<f64>>,
    pub(super) passage: Passage,
}

/// What was seen of a range while the tape passed through it. It stays when the history's window has moved on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Passage {
    /// True if there was an instant of the history by its beginning: it is then seen whole.
    begun: bool,
    /// How many instants of the history were in it.
    instants: u32,
    /// True once it is over.
    over: bool,
    /// Π (1 + r) by symbol's place; NaN where a return was missing.
    growth: Vec<f64>,
}

impl Past {
    /// Of a range of which nothing was seen yet.
    pub(super) fn new(range: Range, history: &HistoryParameters) -> Self {
        let known = history.reference.iter().flat_map(|file| file.returns_over(range));
        let file = known.map(|(symbol, r)| (symbol.clone(), r)).collect();
        Self { range, file, of_file: Vec::new(), passage: Passage::default() }
    }

    /// The next symbol's place is this symbol's.
    pub(super) fn place(&mut self, symbol: &Symbol) {
        self.of_file.push(self.file.get(symbol).copied());
    }

    /// An instant of the history, and every symbol's return at it, by place; true if the range is over with it.
    pub(super) fn pass(&mut self, instant: Time, returns: impl Iterator<Item = f64>) -> bool {
        let Self { range, passage, .. } = self;
        if passage.over {
            return false;
        }
        if instant <= range.from {
            passage.begun = true;
            return false;
        }
        if passage.begun && instant <= range.until {
            let mut seen = 0;
            for (at, r) in returns.enumerate() {
                seen = at + 1;
                if at == passage.growth.len() {
                    // What appears in the middle has no return over all of it.
                    passage.growth.push(if passage.instants == 0 { 1.0 } else { f64::NAN });
                }
                passage.growth[at] *= 1.0 + r;
            }
            // What the history no longer follows has no return over all of it either.
            passage.growth[seen..].fill(f64::NAN);
            passage.instants += 1;
        }
        passage.over = instant >= range.until;
        passage.over
    }

    /// A symbol's return over the range.
    ///
    /// # Errors
    /// The range is not over yet (`warming_up`), or a return in it is missing.
    pub(super) fn of(&self, symbol: SymbolId) -> Result<f64, Unknown> {
        let symbol = symbol as usize;
        if let Some(r) = self.of_file.get(symbol).copied().flatten() {
            return Ok(r);
        }
        if !self.passage.over {
            return Err(Unknown::WarmingUp);
        }
        let growth = self.passage.growth.get(symbol).filter(|growth| growth.is_finite());
        growth.map(|growth| growth - 1.0).ok_or(Unknown::Missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past() -> Past {
        let range = Range { from: Time(10), until: Time(40) };
        Past::new(range, &HistoryParameters::default())
    }

    #[test]
    fn returns_are_compounded_and_stay() {
        let mut past = past();
        assert!(!past.pass(Time(10), [0.5].into_iter()));
        assert!(!past.pass(Time(20), [0.1, f64::NAN].into_iter()));
        assert_eq!(past.of(0), Err(Unknown::WarmingUp));
        assert!(past.pass(Time(40), [-0.2, 0.1, 0.1].into_iter()));
        assert!(!past.pass(Time(50), [9.0, 9.0, 9.0].into_iter()), "it is over once");
        assert!((past.of(0).unwrap() + 0.12).abs() < 1e-15);
        assert_eq!(past.of(1), Err(Unknown::Missing), "it has a gap");
        assert_eq!(past.of(2), Err(Unknown::Missing), "it appeared in the middle");
        assert_eq!(past.of(3), Err(Unknown::Missing), "it was never seen");
    }

    #[test]
    fn what_the_history_no_longer_follows_is_missing() {
        let mut past = past();
        past.pass(Time(10), [0.0].into_iter());
        past.pass(Time(20), [0.1, 0.1].into_iter());
        assert!(past.pass(Time(40), [0.1].into_iter()));
        assert!(past.of(0).is_ok());
        assert_eq!(past.of(1), Err(Unknown::Missing));
    }

    #[test]
    fn a_range_that_was_not_seen_from_its_beginning_is_missing() {
        let mut past = past();
        assert!(!past.pass(Time(20), [0.1].into_iter()));
        assert!(past.pass(Time(60), [0.1].into_iter()), "the next instant is after it");
        assert_eq!(past.of(0), Err(Unknown::Missing));
    }
}
