//! With the settings as shipped and a file of daily closes, value at risk of what is held is there on the first day.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::fmt::Write;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use support::{Tape, dump, memory};
use tapewatch_config::Settings;
use tapewatch_consumers::{Worker, workers};
use tapewatch_eventlog::Log;
use tapewatch_monitors::kernels::{QuantileType, Sample, ShortfallConvention, Tail, historical_tail};
use tapewatch_schemas::events::{LimitStatus, RiskMetrics, Unknown};
use tapewatch_schemas::{Codec, Event, Time, catalogue as c};

/// Closes of a day each, the last of them that of the day before the tape's first, 13 September 2020.
const DAYS: i64 = 1_000;
const DAY: Duration = Duration::from_secs(86_400);

/// A close of the nth day.
fn close(nth: i64) -> f64 {
    (9_000 + (nth * nth * 31 + nth * 7) % 2_003) as f64 / 100.0
}

/// The settings as shipped, on the tape's clock, with a file of prices that ended so many days ago, or without.
fn settings(folder: &tempfile::TempDir, ended: Option<i64>) -> Settings {
    let mut csv = "time,BTC-USD\n".to_owned();
    let today = Tape::new().now.floor_to(DAY).micros();
    for nth in 0..DAYS {
        let end = today - (DAYS - 1 - nth + ended.unwrap_or(0)) * DAY.as_micros() as i64;
        writeln!(csv, "{},{}", Time(end), close(nth)).unwrap();
    }
    fs::write(folder.path().join("closes.csv"), csv).unwrap();
    let file = folder.path().join("tapewatch.toml");
    fs::write(&file, if ended.is_some() { "[risk.history]\nprices = \"closes.csv\"\n" } else { "" }).unwrap();
    let variables = [("TAPEWATCH_TOPICS__PARTITIONS", "2"), ("TAPEWATCH_RUNTIME__CLOCK", "tape")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Settings::load(Some(&file), None, variables.into_iter()).unwrap()
}

/// What risk says of two minutes of a tape.
fn figures(ended: Option<i64>) -> Vec<RiskMetrics> {
    let folder = tempfile::tempdir().unwrap();
    let log = memory();
    let settings = settings(&folder, ended);
    let plan = workers::plan(c::RISK, &settings, &*log, "a").unwrap();
    let mut tape = Tape::new();
    let mut worker = Worker::join(plan, Arc::clone(&log) as Arc<dyn Log>).unwrap();
    for round in tape.whole(&*log, 2) {
        log.writer("tape").unwrap().commit(&round, None).unwrap();
        worker.run_to_end().unwrap();
    }
    worker.stop().unwrap();
    let codec = Codec::new(&[]).unwrap();
    let decoded = dump(&log, c::RISK_METRICS).into_iter().map(|(_, _, value)| {
        let Ok(Event::RiskMetrics(figures)) = codec.decode(c::RISK_METRICS, &value) else {
            panic!("figures")
        };
        figures
    });
    decoded.collect()
}

#[test]
fn value_at_risk_is_there_on_the_first_day() {
    let closes: Vec<f64> = (0..DAYS).map(close).collect();
    let returns: Vec<f64> = closes.windows(2).map(|pair| (pair[1] - pair[0]) / pair[0]).collect();
    let tail = |level: f64, value: f64| {
        let pnl: Vec<f64> = returns.iter().map(|r| value * r).collect();
        let (sample, tail) = (Sample::new(&pnl).unwrap(), Tail::new(1.0 - level).unwrap());
        let convention = ShortfallConvention::AcerbiTasche;
        historical_tail(sample, tail, QuantileType::Linear, convention).unwrap()
    };
    let said = figures(Some(0));
    let mut held = 0;
    for figures in &said {
        let value = |name: &str| figures.measures.iter().find(|one| one.name == name).unwrap().value;
        let Some(net) = value("net_exposure") else { continue };
        for (measure, name, level) in
            [("var_95_revalued", "var_95", 0.95), ("var_99_revalued", "var_99", 0.99)]
        {
            let expected = 0.0 - tail(level, net).var;
            let got = value(measure).expect("it is known");
            assert!((got - expected).abs() <= 1e-9 * (1.0 + expected), "{measure} {got}, not {expected}");
            let limit = figures.limits.iter().find(|limit| limit.limit == name).unwrap();
            assert_eq!((limit.measure.as_str(), limit.status), (measure, LimitStatus::Ok));
            assert_eq!(limit.value, Some(got));
        }
        held += usize::from(net > 0.0);
    }
    assert!(held >= 10, "{held} of {}", said.len());
}

/// Without it, or with closes of last week, nobody knows, and nobody says otherwise.
#[test]
fn without_a_file_or_with_an_old_one_it_is_unknown() {
    assert_unknown(&figures(None), Unknown::WarmingUp);
    assert_unknown(&figures(Some(7)), Unknown::Stale);
}

fn assert_unknown(said: &[RiskMetrics], reason: Unknown) {
    for figures in said {
        let limits = figures.limits.iter().filter(|limit| limit.measure.contains("_revalued"));
        let stand: Vec<_> = limits.map(|limit| (limit.status, limit.unknown)).collect();
        assert_eq!(stand.len(), 3);
        assert!(stand.iter().all(|(status, _)| *status == LimitStatus::Unknown), "{stand:?}");
        let holds = figures.measures.iter().any(|one| one.name == "net_exposure" && one.value > Some(0.0));
        // The light of a backtest warms up in any case.
        let reasons = [Some(reason), Some(reason), Some(Unknown::WarmingUp)];
        assert!(!holds || stand.iter().map(|(_, why)| *why).eq(reasons), "{stand:?}");
    }
    assert!(!said.is_empty());
}
