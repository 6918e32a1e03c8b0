//! Numerical kernels: no state beyond their arguments, no clock, no I/O. They use + − × ÷ and `libm`
//! alone, so that every machine gets the same last bit.

mod concentration;
mod drawdown;
mod historical;
mod quantile;
mod sorted_window;

pub use concentration::{Concentration, concentration};
pub use drawdown::{Drawdown, DrawdownProfile, drawdown_profile};
pub use historical::{ShortfallConvention, expected_shortfall, value_at_risk};
pub use quantile::{QuantileType, quantile, quantile_type7};
pub use sorted_window::SortedWindow;
