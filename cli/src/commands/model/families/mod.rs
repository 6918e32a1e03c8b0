//! The families, a file each.

pub(super) mod acerbi_szekely;
pub(super) mod aged;
pub(super) mod christoffersen;
pub(super) mod concentration;
pub(super) mod contributions;
pub(super) mod cornish_fisher;
pub(super) mod correlation;
pub(super) mod ewma;
pub(super) mod filtered;
mod forecast_model;
pub(super) mod gaussian;
pub(super) mod historical;
pub(super) mod kupiec;
pub(super) mod liquidity;
pub(super) mod max_drawdown;
pub(super) mod traffic_light;

/// What several families take under the same name.
const RETURNS: (&str, &str) = ("returns", "simple returns in order of time, losses negative");
const ALPHAS: (&str, &str) = ("alpha", "probabilities of the tail (default 0.05,0.01)");
const HORIZON: (&str, &str) = ("horizon", "over how many steps of the series (default 1, at most 250)");
const ALPHA: (&str, &str) = ("alpha", "probability of an exception (default 0.01)");
const LAMBDA: (&str, &str) = ("lambda", "weight of the past (default 0.94)");
