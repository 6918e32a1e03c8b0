//! `[risk.conduct]`: how orders are looked at.

use std::time::Duration;

use serde::Serialize;

use crate::section::Section;
use crate::value::micros;

/// The measures that a limit can bound, where orders are looked at.
pub(crate) const MEASURES: [&str; 7] = [
    "message_rate",
    "peak_message_rate",
    "order_to_trade",
    "rejected_share",
    "duplicate_orders",
    "self_crossings",
    "price_away",
];

/// How a portfolio's orders are looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conduct {
    /// What is counted is of the last so long, to a sixtieth of it.
    #[serde(serialize_with = "micros")]
    pub window: Duration,
    /// An order with the terms of another that was sent so little before or after it is a duplicate.
    #[serde(serialize_with = "micros")]
    pub duplicates_within: Duration,
    /// Orders of a portfolio that are followed at once while they are open, and remembered if sent in the window.
    pub orders: u32,
}

impl Conduct {
    /// None without a window.
    pub(crate) fn read(section: &mut Section<'_>) -> Option<Self> {
        let window = section.optional_if(
            "window",
            |window: &Duration| *window >= Duration::from_secs(1),
            "a duration of at least \"1s\"",
        );
        let most = window.unwrap_or(Duration::MAX);
        let (duplicates_within, orders) = (
            section.get_if(
                "duplicates_within",
                |within: &Duration| *within <= most,
                "a duration of at most risk.conduct.window",
            ),
            section.get_if("orders", |n: &u32| (1..=100_000).contains(n), "a whole number from 1 to 100000"),
        );
        window.map(|window| Self { window, duplicates_within, orders })
    }
}
