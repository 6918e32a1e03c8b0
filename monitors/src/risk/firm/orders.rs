//! How the portfolios of a scope sent orders, as their books say it.

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::{Conduct, Measure, Unknown};
use tapewatch_schemas::time::micros_of;

use super::parameters::FirmParameters;
use crate::risk::conduct::measure_of;
use crate::risk::measure::{Bounded, CONDUCT};
use crate::risk::portfolio::worst;
use crate::risk::publish::ratio;

/// What the books of a scope's portfolios say of orders, added up; none if they are not looked at.
///
/// Messages, orders, fills, duplicates and crossings are sums: what crosses an order of another portfolio is none. The
/// busiest parts of windows need not be the same, so that their sum is the most that there may have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Orders(Option<Conduct>);

impl Orders {
    /// Of no portfolio.
    pub(super) fn none(parameters: &FirmParameters) -> Self {
        let nothing = |window| Conduct {
            window: micros_of(window),
            unknown: None,
            messages: 0,
            peak_messages: 0,
            orders: 0,
            rejected: 0,
            fills: 0,
            duplicates: 0,
            duplicates_unknown: None,
            crossings: 0,
            crossings_unknown: None,
            price_away: 0.0,
            price_away_unknown: None,
        };
        Self(parameters.conduct.map(nothing))
    }

    /// With a portfolio more; `unknown` is why what its book says is not to be relied on.
    pub(super) fn add(&mut self, said: Option<&Conduct>, unknown: Option<Unknown>) {
        let Some(all) = &mut self.0 else { return };
        // Counts of another window are no counts of this one.
        let Some(said) = said.filter(|said| said.window == all.window) else {
            all.unknown = worst(all.unknown, worst(unknown, Some(Unknown::Missing)));
            return;
        };
        all.unknown = worst(all.unknown, worst(unknown, said.unknown));
        all.messages += said.messages;
        all.peak_messages += said.peak_messages;
        all.orders += said.orders;
        all.rejected += said.rejected;
        all.fills += said.fills;
        all.duplicates += said.duplicates;
        all.crossings += said.crossings;
        all.price_away = all.price_away.max(said.price_away);
        all.duplicates_unknown = worst(all.duplicates_unknown, said.duplicates_unknown);
        all.crossings_unknown = worst(all.crossings_unknown, said.crossings_unknown);
        all.price_away_unknown = worst(all.price_away_unknown, said.price_away_unknown);
    }

    /// The value of one of the measures; `missing` if orders are not looked at.
    pub(super) fn measure(&self, measure: Bounded) -> Result<f64, Unknown> {
        self.0.as_ref().map_or(Err(Unknown::Missing), |said| measure_of(said, measure))
    }

    /// What is published of them; nothing if they are not looked at.
    pub(super) fn measures(&self) -> impl Iterator<Item = Measure> {
        let looked_at = self.0.is_some();
        let all = CONDUCT.map(|measure| ratio(&measure.to_string(), self.measure(measure)));
        all.into_iter().filter(move |_| looked_at)
    }
}
