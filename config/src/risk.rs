//! `[risk]`: what the risk worker measures and bounds.

use std::time::Duration;

use rust_decimal::Decimal;
use serde::Serialize;

use crate::instruments::{self, Instrument, refuse_doubles};
use crate::limit::Limit;
use crate::section::Section;
use crate::value::micros;

/// Risk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Risk {
    /// The currency of every sum of money that is published.
    pub currency: String,
    /// How often levels are published, in event time.
    #[serde(serialize_with = "micros")]
    pub publish_every: Duration,
    /// When a day begins, after midnight UTC.
    #[serde(serialize_with = "micros")]
    pub day_starts: Duration,
    /// How long after a portfolio's first record a missing input or a short history is an alert.
    #[serde(serialize_with = "micros")]
    pub missing_after: Duration,
    /// The same for windows that are still filling.
    #[serde(serialize_with = "micros")]
    pub warm_up: Duration,
    /// Portfolios that a task keeps at most.
    pub max_portfolios: u32,
    /// Symbols that a task keeps at most.
    pub max_symbols: u32,
    /// Value at risk and expected shortfall.
    pub var: ValueAtRisk,
    /// How old inputs may be.
    pub freshness: Freshness,
    /// Bounds, in the order in which they are published.
    pub limits: Vec<Limit>,
    /// What one unit of each symbol is worth; a symbol that is not there has multiplier 1 and its mark's
    /// currency. The file's hash stands for it in the configuration version.
    #[serde(skip)]
    pub instruments: Vec<Instrument>,
}

/// Historical value at risk and expected shortfall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueAtRisk {
    /// Confidence levels, rising, each above 0.5 and below 1.
    pub levels: Vec<Decimal>,
    /// How many returns the window holds.
    pub window: u32,
    /// Before so many it is unknown (warming up).
    pub minimum: u32,
    /// How far apart returns are sampled, in event time.
    #[serde(serialize_with = "micros")]
    pub sample_every: Duration,
}

/// Bounds on the age of inputs; an older one makes what rests on it unknown (stale).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Freshness {
    /// Of a held symbol's mark.
    #[serde(serialize_with = "micros")]
    pub marks: Duration,
    /// Of a portfolio's account.
    #[serde(serialize_with = "micros")]
    pub accounts: Duration,
}

impl Risk {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let day = Duration::from_secs(86_400);
        let var = section.group("var", ValueAtRisk::read);
        let limits = section.groups("limits", |limit| Limit::read(limit, &var.levels));
        refuse_doubles(section, "limits", "name", limits.iter().map(|limit| limit.name.as_str()));
        Self {
            currency: section.get_if("currency", |c: &String| !c.is_empty(), "a currency's code"),
            publish_every: above_zero(section, "publish_every"),
            day_starts: section.get_if("day_starts", |span| *span < day, "a duration below \"1d\""),
            missing_after: section.get("missing_after"),
            warm_up: section.get("warm_up"),
            max_portfolios: section.get_if("max_portfolios", |n| *n > 0, "a whole number above 0"),
            max_symbols: section.get_if("max_symbols", |n| *n > 0, "a whole number above 0"),
            freshness: section.group("freshness", |group| Freshness {
                marks: above_zero(group, "marks"),
                accounts: above_zero(group, "accounts"),
            }),
            instruments: instruments::read_file(section, "instruments"),
            var,
            limits,
        }
    }
}

impl ValueAtRisk {
    fn read(section: &mut Section<'_>) -> Self {
        let half = Decimal::new(5, 1);
        let window =
            section.get_if("window", |n| (2..=1_000_000).contains(n), "a whole number from 2 to 1000000");
        let levels = section.values(
            "levels",
            |level: &Decimal| *level > half && *level < Decimal::ONE,
            "a level above 0.5 and below 1",
        );
        if levels.windows(2).any(|pair| pair[0] >= pair[1]) {
            section.fail("levels", "they do not rise", "rising levels, each once");
        }
        Self {
            levels,
            window,
            minimum: section.get_if(
                "minimum",
                |n| (2..=window.max(2)).contains(n),
                "a whole number from 2 to risk.var.window",
            ),
            sample_every: above_zero(section, "sample_every"),
        }
    }
}

fn above_zero(section: &mut Section<'_>, key: &'static str) -> Duration {
    section.get_if(key, |span: &Duration| !span.is_zero(), "a duration above 0, such as \"15m\"")
}
