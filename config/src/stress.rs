//! `[[risk.stress]]`: a scenario, and how far prices move in it.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::nearest;
use crate::instruments::Instrument;
use crate::layer::Node;
use crate::limit::is_name;
use crate::risk::basis_points;
use crate::section::Section;
use crate::value::Setting;

/// The measure that is of the worst of all scenarios; so none of them has this name.
const WORST: &str = "worst";

/// A scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stress {
    /// What ends its measure's name: `stress_crash`.
    pub name: String,
    /// How far prices move: of those that are on a symbol the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shocks: Vec<Shock>,
    /// Or as they did then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// And then the market is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub market: Option<ShockedMarket>,
}

/// A market that swings more, and in which symbols move together otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ShockedMarket {
    /// Every deviation times this.
    pub volatility: f64,
    /// By which share correlations move towards one or, below zero, towards none.
    pub correlation: f64,
    /// The level of the value at risk in it, basis points.
    pub level: u16,
}

/// A stretch of event time: after one instant, up to and with another. Microseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// Where it begins.
    pub from: i64,
    /// Where it ends.
    pub until: i64,
}

/// How far some prices move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shock {
    /// Of these symbols
    pub symbols: Vec<String>,
    /// and of those that the file of instruments has in these sectors; of all if neither is named.
    pub sectors: Vec<String>,
    /// In millionths (-0.2 in the file is -200000 here).
    pub price: i64,
}

impl Stress {
    /// So many there may be: each is worked out of every portfolio at every level.
    pub(crate) const MOST: usize = 100;

    /// Reads one; `instruments` say which sectors there are.
    pub(crate) fn read(section: &mut Section<'_>, instruments: &[Instrument]) -> Self {
        let name = |name: &String| is_name(name) && name.len() <= 31 && name != WORST;
        let expected = "a name of small letters, digits, `_` and `-`, at most 31, other than worst";
        let one = Self {
            name: section.get_if("name", name, expected),
            shocks: section.groups("shocks", |shock| Shock::read(shock, instruments)),
            range: Range::read(section),
            market: ShockedMarket::read(section),
        };
        if one.shocks.is_empty() && one.range.is_none() && one.market.is_none() {
            let expected = "a list such as [{ price = -0.1 }], from and until, volatility or correlation";
            section.fail("shocks", "nothing happens in it", expected);
        }
        if !one.shocks.is_empty() && one.range.is_some() {
            section.fail("shocks", "prices move as they did, too", "either shocks, or from and until");
        }
        let last = one.shocks.len().saturating_sub(1);
        if let Some(at) = one.shocks.iter().position(Shock::is_of_all).filter(|at| *at < last) {
            let problem = format!("shocks[{at}] is of all symbols, so those after it are of none");
            section.fail("shocks", &problem, "the one without symbols and sectors last");
        }
        one
    }

    /// The name of its measure.
    fn measure(name: &str) -> String {
        format!("stress_{name}")
    }

    /// The names of the measures of some scenarios: of each, and of the worst.
    pub(crate) fn measures(scenarios: &[Self]) -> Vec<String> {
        let worst = if scenarios.is_empty() { None } else { Some(WORST) };
        // A name that was refused is none to choose from.
        let names = scenarios.iter().map(|one| one.name.as_str()).filter(|name| !name.is_empty());
        names.chain(worst).map(Self::measure).collect()
    }
}

impl ShockedMarket {
    /// None if the market stays as it is.
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let above_zero = |factor: &f64| *factor > 0.0 && *factor <= 1_000.0;
        let volatility = section.optional_if("volatility", above_zero, "a number above 0, at most 1000");
        let share = |share: &f64| (-1.0..=1.0).contains(share);
        let correlation = section.optional_if("correlation", share, "a share from -1 to 1");
        let known = |level: &Decimal| basis_points(*level).is_some();
        let expected = "a level above 0.5 and below 1, to the hundredth of a percent";
        let level = section.optional_if("level", known, expected);
        if volatility.is_none() && correlation.is_none() {
            if level.is_some() {
                section.fail("level", "the market stays as it is", "volatility, correlation or both");
            }
            return None;
        }
        Some(Self {
            volatility: volatility.unwrap_or(1.0),
            correlation: correlation.unwrap_or_default(),
            level: level.and_then(basis_points).unwrap_or(9_900),
        })
    }
}

impl Range {
    /// None if neither end is there.
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let ends = [section.optional::<Instant>("from"), section.optional::<Instant>("until")];
        let (from, until) = match ends {
            [None, None] => return None,
            [Some(from), Some(until)] => (from.0, until.0),
            [from, _] => {
                let missing = if from.is_none() { "from" } else { "until" };
                section.fail(missing, "it is missing", &Instant::expected());
                return Some(Self { from: 0, until: 0 });
            }
        };
        if from >= until {
            section.fail("until", "it is not later than from", "a later time");
        }
        Some(Self { from, until })
    }
}

/// Microseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default)]
struct Instant(i64);

impl Setting for Instant {
    fn expected() -> String {
        "a time with an offset such as \"2025-10-10T20:45:00Z\"".into()
    }
    fn schema() -> Value {
        json!({"type": "string"})
    }
    fn read(node: &Node) -> Option<Self> {
        let (Node::Text(text) | Node::Given(text) | Node::Datetime(text)) = node else { return None };
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1000)).ok().map(Self)
    }
}

impl Shock {
    fn read(section: &mut Section<'_>, instruments: &[Instrument]) -> Self {
        let price = |price: &Decimal| millionths(*price).is_some();
        let expected = "a share from -1 to 100, such as -0.2, of at most 6 digits after the point";
        let shock = Self {
            symbols: section.values("symbols", |symbol: &String| !symbol.is_empty(), "a symbol"),
            sectors: section.values("sectors", |sector: &String| !sector.is_empty(), "a sector"),
            price: millionths(section.get_if("price", price, expected)).unwrap_or_default(),
        };
        let mut known: Vec<&str> = instruments.iter().filter_map(|one| one.sector.as_deref()).collect();
        known.sort_unstable();
        known.dedup();
        for sector in shock.sectors.iter().filter(|sector| !known.contains(&sector.as_str())) {
            let near = nearest(sector, known.iter().copied()).map(|near| format!("\"{near}\""));
            let expected = near.unwrap_or_else(|| "a sector of the file that risk.instruments names".into());
            section.fail("sectors", &format!("no instrument is of the sector {sector:?}"), &expected);
        }
        shock
    }

    fn is_of_all(&self) -> bool {
        self.symbols.is_empty() && self.sectors.is_empty()
    }
}

fn millionths(share: Decimal) -> Option<i64> {
    let parts = share.checked_mul(Decimal::from(1_000_000))?;
    if parts.fract().is_zero() {
        parts.to_i64().filter(|n| (-1_000_000..=100_000_000).contains(n))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_millionths() {
        assert_eq!(millionths(Decimal::new(-2, 1)), Some(-200_000));
        assert_eq!(millionths(Decimal::new(1, 6)), Some(1));
        for bad in [Decimal::new(-1_000_001, 6), Decimal::new(1, 7), Decimal::from(101), Decimal::MIN] {
            assert_eq!(millionths(bad), None, "{bad}");
        }
    }
}
