//! Exposure by sector: what is published, and limits on the largest.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod drive;

use std::time::Duration;

use drive::{Driver, Level, fill, mark};
use tapewatch_monitors::risk::{Bounded, LimitParameters};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::events::{LimitStatus, Side, Unknown};

fn driver(sectors: &[(&str, &str)]) -> Driver {
    let limits = [
        ("gross", Bounded::SectorGross, 7_000.0),
        ("net", Bounded::SectorNet, 3_500.0),
        ("share", Bounded::SectorShare, 0.75),
    ];
    let mut parameters = RiskParameters {
        publish_interval: Duration::from_secs(1),
        sectors: sectors.iter().map(|(symbol, sector)| ((*symbol).into(), (*sector).into())).collect(),
        limits: limits
            .map(|(name, measure, hard)| LimitParameters::new(name, measure, None, Some(hard)))
            .into(),
        ..RiskParameters::default()
    };
    parameters.freshness.marks = Duration::from_secs(100);
    Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true })
}

/// 100 A at 50, −20 B at 100 and 30 C at 100.
fn hold(d: &mut Driver) {
    for (symbol, price) in [("A", "50"), ("B", "100"), ("C", "100")] {
        d.see(0, mark(symbol, price, price));
    }
    d.see(1, fill("p", "A", Side::Buy, "100", "50", "0"));
    d.see(1, fill("p", "B", Side::Sell, "20", "100", "0"));
    d.see(1, fill("p", "C", Side::Buy, "30", "100", "0"));
}

fn published(level: &Level) -> Vec<(String, Option<f64>)> {
    let measures = level.clone().measures().into_iter();
    let of_sectors = measures.filter(|measure| measure.name.starts_with("sector_"));
    of_sectors.map(|measure| (measure.name, measure.value)).collect()
}

#[test]
fn the_example_of_the_document() {
    let mut d = driver(&[("A", "tech"), ("B", "tech"), ("Z", "energy")]);
    hold(&mut d);
    let expected = [
        ("sector_gross:none", 3_000.0),
        ("sector_net:none", 3_000.0),
        ("sector_share:none", 0.3),
        ("sector_gross:tech", 7_000.0),
        ("sector_net:tech", 3_000.0),
        ("sector_share:tech", 0.7),
    ];
    let expected: Vec<_> = expected.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect();
    assert_eq!(published(&d.level("p")), expected);
    d.restart();
    assert_eq!(published(&d.level("p")), expected);
    let document = include_str!("../../docs/risk.md");
    for text in [
        "`sector_gross:tech` is 5,000 + 2,000 = 7,000, `sector_net:tech` 3,000",
        "`sector_share:tech` 0.7; `none` has 3,000, 3,000 and 0.3",
    ] {
        assert!(document.contains(text), "{text}");
    }
}

#[test]
fn the_largest_sector_decides_and_is_named() {
    let mut d = driver(&[("A", "tech"), ("B", "tech"), ("C", "energy")]);
    hold(&mut d);
    let stands = |d: &mut Driver, name: &str| {
        let level = d.level("p");
        let limit = level.limit(name);
        (limit.value, limit.symbol.clone(), limit.status)
    };
    let tech = || Some("tech".to_owned());
    assert_eq!(stands(&mut d, "gross"), (Some(7_000.0), tech(), LimitStatus::Ok));
    // Of equal ones the first by name.
    assert_eq!(stands(&mut d, "net"), (Some(3_000.0), Some("energy".to_owned()), LimitStatus::Ok));
    d.see(2, mark("B", "90", "90"));
    assert_eq!(stands(&mut d, "net"), (Some(3_200.0), tech(), LimitStatus::Ok));
    d.see(3, fill("p", "A", Side::Buy, "100", "50", "0"));
    assert_eq!(stands(&mut d, "gross"), (Some(11_800.0), tech(), LimitStatus::Breached));
    assert_eq!(stands(&mut d, "net"), (Some(8_200.0), tech(), LimitStatus::Breached));
    assert_eq!(stands(&mut d, "share"), (Some(11_800.0 / 14_800.0), tech(), LimitStatus::Breached));
    d.restart();
    assert_eq!(stands(&mut d, "gross"), (Some(11_800.0), tech(), LimitStatus::Breached));
    d.run_to(110);
    assert_eq!(d.level("p").limit("share").unknown, Some(Unknown::Stale));
    assert_eq!(d.level("p").unknown("sector_net:tech"), Some(Unknown::Stale));
}

#[test]
fn without_sectors_none_is_published() {
    let mut d = driver(&[]);
    hold(&mut d);
    assert_eq!(published(&d.level("p")), []);
}
