//! Stress scenarios: what they are called, and how far prices move in them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::{Symbol, Time};

use super::measure::Confidence;
use crate::kernels::{Swings, normal_quantile};

/// The most bytes of a scenario's name.
const NAME: usize = 31;

/// What is of the worst of all scenarios is called so, and none of them is.
pub(super) const WORST: &str = "worst";

/// How far prices move at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Unique.
    pub name: ScenarioName,
    /// What moves.
    pub moves: Moves,
    /// What the market is like afterwards; as it was, and nothing more is lost, if none.
    pub market: Option<ShockedMarket>,
}

/// A market that swings more, and in which symbols move together otherwise. What is held may lose its value at risk in it, on
/// top of what the moves cost: that of a normal distribution with mean zero, over one interval of the history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShockedMarket {
    /// Every deviation times this, more than 0.
    pub volatility: f64,
    /// By which share the matrix of correlations moves towards all ones or, below zero, towards none: −1 to 1.
    pub correlation: f64,
    /// The level of value at risk.
    pub level: Confidence,
}

impl ShockedMarket {
    /// Value at risk, a loss positive.
    pub(super) fn loss(self, swings: Swings) -> f64 {
        // Adding zero turns the negative zero of no deviation into zero.
        0.0 - swings.deviation(self.volatility, self.correlation) * normal_quantile(self.level.tail())
    }
}

/// What moves in a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moves {
    /// Each symbol by the first shock that is on it, and not at all if none is.
    Shocks(Vec<Shock>),
    /// Each symbol as it did then.
    Past(Range),
}

/// How far some prices move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shock {
    /// Of what; of all symbols if empty.
    pub symbols: Vec<Symbol>,
    /// By so many millionths of the price: −200,000 is a fall by a fifth. From −10⁶ to 10⁸.
    pub millionths: i64,
}

impl Shock {
    /// True if it is on a symbol.
    pub(super) fn is_on(&self, symbol: &Symbol) -> bool {
        self.symbols.is_empty() || self.symbols.contains(symbol)
    }
}

/// A stretch of event time: after `from`, up to and with `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Where it begins.
    pub from: Time,
    /// Where it ends, later.
    pub until: Time,
}

/// A scenario's name: 1 to 31 small letters, digits, `_` and `-`, and not `worst`. It is kept in place, so that what is
/// named by it can be copied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScenarioName {
    bytes: [u8; NAME],
    length: u8,
}

impl ScenarioName {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("it is of plain letters")
    }
}

impl FromStr for ScenarioName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'_' | b'-');
        if name.is_empty() || name.len() > NAME || name == WORST || !name.bytes().all(plain) {
            return Err(format!(
                "`{name}` is no name of a scenario: expected 1 to {NAME} small letters, digits, `_` and `-`, and not \
                 `{WORST}`"
            ));
        }
        let mut bytes = [0; NAME];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Ok(Self { bytes, length: name.len() as u8 })
    }
}

impl fmt::Display for ScenarioName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ScenarioName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_others_are_refused() {
        for name in ["a", "crash_2020-03", "x".repeat(NAME).as_str()] {
            assert_eq!(name.parse::<ScenarioName>().unwrap().to_string(), name);
        }
        for bad in ["", "worst", "Crash", "a b", "é", "x".repeat(NAME + 1).as_str()] {
            assert!(bad.parse::<ScenarioName>().is_err(), "{bad}");
        }
    }
}
