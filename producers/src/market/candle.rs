use std::ops::Range;

use tapewatch_schemas::Time;
use tapewatch_schemas::events::MarketData;

use super::Instrument;
use crate::random::Random;
use crate::tape::{BAR, Bar};

const SECOND: i64 = 1_000_000;
/// When the marks of a bar are taken, from its start: open, first extreme, second extreme, close.
const TIMES: [i64; 4] = [SECOND / 5, 300 * SECOND, 600 * SECOND, BAR - 10 * SECOND];
/// How far the marks of neighbouring symbols are apart.
const STAGGER: i64 = 13_000;

/// One bar of one symbol, prices in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candle {
    pub(crate) start: Time,
    pub(crate) open: i64,
    pub(crate) high: i64,
    pub(crate) low: i64,
    pub(crate) close: i64,
    /// Traded value in whole currency units.
    pub(crate) volume: i64,
}

/// Bars during which a symbol's own variation is another one.
#[derive(Clone, Debug)]
pub(crate) struct Regime {
    pub(crate) symbol: usize,
    pub(crate) bars: Range<usize>,
    /// The factor on its noise.
    pub(crate) factor: f64,
}

/// The candles of one symbol: a one-factor model on the bars' log-returns,
/// `r = beta × r_real + noise × z`, with the high and low following the real ones beyond the body.
///
/// The real tape (beta 1, no noise) comes out as it is, rounded to ticks.
pub(crate) fn candles(
    bars: &[Bar],
    instrument: &Instrument,
    random: &mut Random,
    regime: Option<&Regime>,
) -> Vec<Candle> {
    let mut level = libm::log(bars.first().map_or(1.0, |bar| bar.open) * instrument.scale);
    let mut before = bars.first().map_or(1.0, |bar| bar.open);
    let mut made = Vec::with_capacity(bars.len());
    for (index, bar) in bars.iter().enumerate() {
        let own = regime.filter(|regime| regime.bars.contains(&index)).map_or(1.0, |regime| regime.factor);
        let noise = instrument.noise * own;
        let (body, wick) = (noise * random.normal(), noise * random.uniform());
        let real = |to: f64, from: f64| libm::log(to / from) * instrument.beta;
        let open = level + real(bar.open, before);
        let close = open + real(bar.close, bar.open) + body;
        let above = real(bar.high, bar.open.max(bar.close)) + wick;
        let below = real(bar.low, bar.open.min(bar.close)) - wick;
        let ticks = |log: f64| instrument.ticks(libm::exp(log));
        let (open_ticks, close_ticks) = (ticks(open), ticks(close));
        made.push(Candle {
            start: bar.start,
            open: open_ticks,
            high: ticks(open.max(close) + above).max(open_ticks).max(close_ticks),
            low: ticks(open.min(close) + below).min(open_ticks).min(close_ticks),
            close: close_ticks,
            volume: (bar.volume / (1.0 + 20.0 * noise / 0.002)) as i64,
        });
        level = close;
        before = bar.close;
    }
    made
}

/// A price that was shown, and when.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) ticks: i64,
    pub(crate) event: MarketData,
}

/// The marks of a candle, in order of time; `lane` keeps the symbols' times apart.
pub(crate) fn marks(instrument: &Instrument, candle: &Candle, lane: usize, random: &mut Random) -> Vec<Mark> {
    let rising = candle.close >= candle.open;
    let (first, second) = if rising { (candle.low, candle.high) } else { (candle.high, candle.low) };
    let all = [candle.open, first, second, candle.close];
    let shown: &[usize] = if instrument.marks == 4 { &[0, 1, 2, 3] } else { &[1, 2, 3] };
    shown
        .iter()
        .map(|&moment| {
            let ticks = all[moment];
            let time = Time(candle.start.micros() + TIMES[moment] + STAGGER * lane as i64);
            let share = candle.volume as f64 / shown.len() as f64;
            Mark { ticks, event: mark(instrument, ticks, time, share, random) }
        })
        .collect()
}

/// When the low of a candle is shown.
pub(crate) fn low_time(candle: &Candle) -> Time {
    let moment = if candle.close >= candle.open { 1 } else { 2 };
    Time(candle.start.micros() + TIMES[moment])
}

fn mark(instrument: &Instrument, ticks: i64, time: Time, value: f64, random: &mut Random) -> MarketData {
    let half = (ticks * instrument.spread / 2_000_000).max(1);
    let mut size = |least: f64, most: f64| {
        Some(instrument.quantity(instrument.lots(random.between(least, most), ticks)))
    };
    MarketData {
        source: crate::options::TAPE_SOURCE.into(),
        sequence: 0,
        event_time: time,
        symbol: instrument.symbol.clone(),
        currency: "USD".into(),
        bid: Some(instrument.price((ticks - half).max(1))),
        ask: Some(instrument.price(ticks + half)),
        last: Some(instrument.price(ticks)),
        bid_size: size(20_000.0, 200_000.0),
        ask_size: size(20_000.0, 200_000.0),
        volume: Some(instrument.quantity(instrument.lots(value, ticks))),
        venue: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::instruments;
    use crate::random::Purpose;
    use crate::tape::Tape;

    #[test]
    fn the_first_symbol_is_the_tape_and_the_others_follow_it() {
        let tape = Tape::built_in().unwrap();
        let bars = &tape.bars()[..3000];
        let all = instruments(8, bars[0].open);
        let series: Vec<Vec<Candle>> = all
            .iter()
            .enumerate()
            .map(|(index, instrument)| {
                candles(bars, instrument, &mut Random::new(7, Purpose::Symbol(index)), None)
            })
            .collect();
        for (bar, candle) in bars.iter().zip(&series[0]) {
            let error = (all[0].value(candle.close) / bar.close - 1.0).abs();
            assert!(error < 1e-6, "{error} at {}", bar.start);
        }
        for candle in series.iter().flatten() {
            assert!(candle.low <= candle.open.min(candle.close) && candle.low > 0);
            assert!(candle.high >= candle.open.max(candle.close));
        }
        let returns = |candles: &[Candle]| -> Vec<f64> {
            candles.windows(2).map(|w| libm::log(w[1].close as f64 / w[0].close as f64)).collect()
        };
        let real = returns(&series[0]);
        for other in &series[1..] {
            let rho = correlation(&real, &returns(other));
            assert!((0.5..0.99).contains(&rho), "{rho}");
        }
    }

    fn correlation(x: &[f64], y: &[f64]) -> f64 {
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let (mx, my) = (mean(x), mean(y));
        let cov = |a: &[f64], ma: f64, b: &[f64], mb: f64| {
            a.iter().zip(b).map(|(p, q)| (p - ma) * (q - mb)).sum::<f64>()
        };
        cov(x, mx, y, my) / (cov(x, mx, x, mx) * cov(y, my, y, my)).sqrt()
    }
}
