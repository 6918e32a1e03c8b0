//! The families, a file each.

pub(super) mod acerbi_szekely;
pub(super) mod aged;
pub(super) mod christoffersen;
pub(super) mod concentration;
pub(super) mod conduct;
pub(super) mod contributions;
pub(super) mod cornish_fisher;
pub(super) mod correlation;
pub(super) mod daily_pnl;
pub(super) mod ewma;
pub(super) mod filtered;
mod forecast_model;
pub(super) mod gaussian;
pub(super) mod historical;
pub(super) mod kupiec;
pub(super) mod liquidity;
pub(super) mod max_drawdown;
pub(super) mod pnl;
pub(super) mod stress;
pub(super) mod traffic_light;

use tapewatch_schemas::events::{RiskMetrics, Side};

use super::figure::Figures;

/// What several families take under the same name.
const RETURNS: (&str, &str) = ("returns", "simple returns in order of time, losses negative");
const ALPHAS: (&str, &str) = ("alpha", "probabilities of the tail (default 0.05,0.01)");
const HORIZON: (&str, &str) = ("horizon", "over how many steps of the series (default 1, at most 250)");
const ALPHA: (&str, &str) = ("alpha", "probability of an exception (default 0.01)");
const LAMBDA: (&str, &str) = ("lambda", "weight of the past (default 0.94)");

const SIDES: [(&str, Side); 2] = [("buy", Side::Buy), ("sell", Side::Sell)];

/// Adds a measure as the worker published it; none where it is not known.
fn measured(figures: &mut Figures, level: Option<&RiskMetrics>, name: &str) {
    let measure = level.and_then(|level| level.measures.iter().find(|one| one.name == name));
    figures.put(name, measure.and_then(|one| one.value));
}
