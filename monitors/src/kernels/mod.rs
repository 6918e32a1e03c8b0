//! Numerical kernels: no state beyond their arguments, no clock, no I/O. They use + − × ÷, roots and `libm`
//! alone, so that every machine gets the same last bit.
//!
//! Those that take a [`Sample`] refuse what is no number, and figures that would be none, with a
//! [`SampleError`]. The others are what the monitors call at every event; their callers keep NaN out.

mod acerbi_szekely;
mod aged;
mod backtest;
mod binomial;
mod chi_square;
mod christoffersen;
mod concentration;
mod contributions;
mod cornish_fisher;
mod correlation;
mod drawdown;
#[cfg(test)]
mod endurance;
mod ewma;
mod exposure;
mod filtered;
mod gaussian;
mod historical;
mod horizon;
mod kupiec;
mod liquidity;
mod matrix;
mod moments;
mod normal;
mod quantile;
mod revaluation;
mod sample;
mod sorted_window;
mod swings;
mod traffic_light;
mod trailing;

pub use acerbi_szekely::{AcerbiSzekely, acerbi_szekely};
pub use aged::Aged;
pub use backtest::{Forecast, Model, forecasts, hits};
pub use binomial::Binomial;
pub use chi_square::{chi_square_1_above, chi_square_2_above};
pub use christoffersen::{Christoffersen, Transitions, christoffersen};
pub use concentration::{Concentration, concentration};
pub use contributions::{Contribution, Decomposition};
pub use cornish_fisher::{CornishFisher, cornish_fisher};
pub use correlation::{Panel, Shrunk, correlation, standardised, weighted};
pub use drawdown::{Drawdown, DrawdownProfile, drawdown_profile, trailing_drawdown, wealth};
pub use ewma::{Ewma, EwmaSeed, ewma_volatilities};
pub use exposure::Exposure;
pub use filtered::Filtered;
pub use gaussian::gaussian_tail;
pub use historical::{
    ShortfallConvention, expected_shortfall, historical_tail, sort_worst, sorted_tail, value_at_risk,
};
pub use horizon::Horizon;
pub use kupiec::{Exceptions, LikelihoodRatio};
pub use liquidity::{Quote, Touch, Traded, days_to_liquidate, share_taken};
pub use matrix::SymmetricMatrix;
pub use moments::Moments;
pub use normal::{normal_cdf, normal_density, normal_quantile};
pub use quantile::{QuantileType, quantile, quantile_type7};
pub use revaluation::{Exposed, NO_RETURN, revalue};
pub use sample::{Sample, SampleError, Tail, TailRisk};
pub use sorted_window::SortedWindow;
pub use swings::{Swings, standard_deviation};
pub use traffic_light::{TrafficLight, Zone, traffic_light};
pub use trailing::TrailingDrawdown;
