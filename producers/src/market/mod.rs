//! The market: the real bars, and other symbols as seeded, correlated variations of them.

mod candle;
mod instrument;

pub(crate) use candle::{Candle, Regime, candles, low_time, marks};
pub(crate) use instrument::{Instrument, instruments};
