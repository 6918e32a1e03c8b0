//! How fast, and at what cost, what is held could be sold, as docs/risk.md has it.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod drive;

use std::time::Duration;

use drive::{Driver, Level, fill, mark};
use proptest::prelude::*;
use tapewatch_monitors::kernels::{Quote, days_to_liquidate, share_taken};
use tapewatch_monitors::risk::{Bounded, DayParameters, LimitParameters, LiquidityParameters, Pair};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::events::{LimitStatus, MarketData, Side, Unknown};
use tapewatch_schemas::{Amount, Event};

const DAY: i64 = 86_400;
const NAMES: [&str; 4] = ["relative_spread", "beyond_touch", "days_to_liquidate", "liquidation_cost"];

fn parameters() -> RiskParameters {
    let mut parameters = RiskParameters {
        liquidity: Some(LiquidityParameters { participation: 0.1, days: 2, minimum: 2 }),
        ..RiskParameters::default()
    };
    parameters.freshness.marks = Duration::from_secs(90_000);
    parameters.freshness.executions = Duration::from_secs(9_000_000);
    parameters.limits = vec![
        LimitParameters::new("spread", Bounded::RelativeSpread, None, Some(0.02)),
        LimitParameters::new("beyond", Bounded::BeyondTouch, None, Some(0.5)),
        LimitParameters::new("days", Bounded::DaysToLiquidate, Some(10.0), Some(20.0)),
        LimitParameters::new("cost", Bounded::LiquidationCost, None, Some(150.0)),
    ];
    parameters
}

fn driver() -> Driver {
    driver_of(parameters())
}

fn driver_of(parameters: RiskParameters) -> Driver {
    Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true })
}

/// A mark with what stands at both sides, and what was traded since the one before.
fn touch(symbol: &str, bid: &str, ask: &str, sizes: (&str, &str), volume: Option<&str>) -> Event {
    let Event::MarketData(mut data) = mark(symbol, bid, ask) else { unreachable!("it is a mark") };
    let amount = |text: &str| Some(text.parse::<Amount>().unwrap());
    (data.bid_size, data.ask_size) = (amount(sizes.0), amount(sizes.1));
    data.volume = volume.and_then(amount);
    Event::MarketData(data)
}

fn figures(level: &Level) -> [Option<f64>; 4] {
    NAMES.map(|name| level.value(name).map(|value| (value * 1e9).round() / 1e9))
}

fn unknowns(level: &Level) -> [Option<Unknown>; 4] {
    NAMES.map(|name| level.unknown(name))
}

/// The example of docs/risk.md: two whole days after a part of one, then 100 A and −50 B.
fn example() -> Driver {
    example_of(parameters())
}

fn example_of(parameters: RiskParameters) -> Driver {
    let mut d = driver_of(parameters);
    for (day, a, b) in [(0, "77", "77"), (1, "40", "5"), (2, "60", "15")] {
        d.see(day * DAY + 3_600, touch("A", "99", "101", ("80", "20"), Some(a)));
        d.see(day * DAY + 7_200, touch("B", "198", "202", ("10", "40"), Some(b)));
    }
    d.see(3 * DAY, touch("A", "99", "101", ("80", "20"), Some("1000")));
    d.see(3 * DAY, touch("B", "198", "202", ("10", "40"), None));
    d.see(3 * DAY + 1, fill("p", "A", Side::Buy, "100", "100", "0"));
    d.see(3 * DAY + 1, fill("p", "B", Side::Sell, "50", "200", "0"));
    d
}

#[test]
fn the_example_of_the_document() {
    let mut d = example();
    let expected = [0.02, 0.2, 50.0, 200.0];
    assert_eq!(figures(&d.level("p")), expected.map(Some));
    d.restart();
    let level = d.level("p");
    assert_eq!(figures(&level), expected.map(Some));
    // 50 B take 50 / (0.1 × 10) days, 100 A 100 / (0.1 × 50).
    let days = level.limit("days");
    assert_eq!((days.status, days.symbol.as_deref()), (LimitStatus::Breached, Some("B")));
    assert_eq!(level.limit("spread").status, LimitStatus::Ok, "at a bound is within it");
    assert_eq!(level.limit("cost").status, LimitStatus::Breached);
    let document = include_str!("../../docs/risk.md");
    for text in [
        "`relative_spread` is 0.02",
        "`beyond_touch` is 0.2",
        "`days_to_liquidate` is 50, for B",
        "`liquidation_cost` is 200",
    ] {
        assert!(document.contains(text), "{text}");
    }
}

#[test]
fn limits_follow_the_touch_and_what_is_held() {
    let mut d = example();
    let status = |d: &mut Driver, name: &str| d.level("p").limit(name).status;
    assert_eq!(status(&mut d, "beyond"), LimitStatus::Ok);
    d.see(3 * DAY + 2, touch("A", "98", "102", ("10", "500"), None));
    assert_eq!(status(&mut d, "spread"), LimitStatus::Breached);
    assert_eq!(status(&mut d, "beyond"), LimitStatus::Breached, "it is bids that a long is sold to");
    d.see(3 * DAY + 3, fill("p", "B", Side::Buy, "50", "200", "0"));
    d.see(3 * DAY + 3, fill("p", "A", Side::Sell, "40", "200", "0"));
    let days = d.level("p").limit("days").clone();
    assert_eq!((days.value, days.symbol.as_deref()), (Some(12.0), Some("A")));
    assert_eq!(days.status, LimitStatus::Warning);
    d.see(3 * DAY + 4, fill("p", "A", Side::Sell, "60", "200", "0"));
    let level = d.level("p");
    assert_eq!(figures(&level), [Some(0.0); 4], "nothing is held");
    assert_eq!((level.limit("days").status, level.limit("days").symbol.clone()), (LimitStatus::Ok, None));
}

/// Weights and money are in the account's currency, at the rate now; a share and a number of days have none.
fn said(event: Event, change: impl FnOnce(&mut MarketData)) -> Event {
    let Event::MarketData(mut data) = event else { unreachable!("it is market data") };
    change(&mut data);
    Event::MarketData(data)
}

/// A trade, of which nothing else is said.
fn print(symbol: &str, last: Option<&str>, volume: &str) -> Event {
    said(mark(symbol, "1", "1"), |data| {
        (data.bid, data.ask) = (None, None);
        data.last = last.map(|price| price.parse().unwrap());
        data.volume = Some(volume.parse().unwrap());
    })
}

#[test]
fn a_side_that_is_gone_is_gone_at_once_and_a_trade_leaves_the_touch() {
    let mut d = example();
    d.see(3 * DAY + 2, print("A", Some("100"), "3"));
    assert_eq!(figures(&d.level("p"))[..2], [Some(0.02), Some(0.2)]);
    // Nobody bids any more, and the record is no mark.
    d.see(3 * DAY + 3, said(mark("A", "99", "101"), |data| data.bid = None));
    let expected = [Some(Unknown::Missing), Some(Unknown::Missing), None, Some(Unknown::Missing)];
    assert_eq!(unknowns(&d.level("p")), expected);
    assert_eq!(d.level("p").limit("beyond").since, drive::at(3 * DAY + 3));
    d.restart();
    d.see(3 * DAY + 4, touch("A", "99", "101", ("80", "20"), None));
    assert_eq!(figures(&d.level("p"))[..2], [Some(0.02), Some(0.2)]);
    // A mark of another source: whether the touch is as young nobody knows.
    d.see(3 * DAY + 5, said(print("A", Some("100"), "3"), |data| data.source = "prints".into()));
    assert_eq!(unknowns(&d.level("p")), expected);
}

#[test]
fn a_day_that_ends_moves_its_limit_at_the_record_that_ends_it() {
    let mut d = example();
    d.see(3 * DAY + 2, fill("p", "B", Side::Buy, "50", "200", "0"));
    assert_eq!(d.level("p").limit("days").status, LimitStatus::Warning);
    assert_eq!(d.level("p").value("days_to_liquidate"), Some(20.0));
    // 1,000 were traded on the third day. The first record of the fourth is no mark.
    d.see(4 * DAY + 5, print("A", None, "3"));
    let level = d.level("p");
    assert_eq!(
        (level.limit("days").status, level.limit("days").since),
        (LimitStatus::Ok, drive::at(4 * DAY + 5))
    );
    assert!((level.value("days_to_liquidate").unwrap() - 100.0 / 53.0).abs() < 1e-12);
}

#[test]
fn a_record_that_comes_again_traded_once() {
    let mut d = example();
    let sent = drive::stamped(touch("A", "99", "101", ("80", "20"), Some("1000")), drive::at(3 * DAY + 2));
    d.see_at(3 * DAY + 2, sent.clone());
    d.see_again(3 * DAY + 3, sent);
    d.see(4 * DAY, print("A", None, "0"));
    // 60 and 2,000 on the two days.
    d.see(4 * DAY + 1, fill("p", "B", Side::Buy, "50", "200", "0"));
    assert!((d.level("p").value("days_to_liquidate").unwrap() - 100.0 / 103.0).abs() < 1e-12);
}

#[test]
fn other_parameters_leave_the_limits_on_other_measures_as_they_stood() {
    let mut of = parameters();
    of.limits.push(LimitParameters {
        hysteresis: 0.2,
        ..LimitParameters::new("gross", Bounded::GrossExposure, None, Some(15_000.0))
    });
    let mut d = driver_of(of.clone());
    d.restore(&example_of(of.clone()).save());
    d.run_to(3 * DAY + 2);
    d.see(3 * DAY + 3, fill("p", "B", Side::Buy, "35", "200", "0"));
    let stands = |d: &mut Driver| ["gross", "days"].map(|name| d.level("p").limit(name).status);
    assert_eq!(stands(&mut d), [LimitStatus::Breached, LimitStatus::Warning], "13,000 is over 12,000");
    of.liquidity = Some(LiquidityParameters { participation: 0.3, days: 2, minimum: 2 });
    let mut other = driver_of(of);
    other.restore(&d.save());
    other.run_to(3 * DAY + 4);
    assert_eq!(stands(&mut other), [LimitStatus::Breached, LimitStatus::Ok]);
}

#[test]
fn what_is_priced_in_another_currency_is_converted() {
    let mut parameters = parameters();
    parameters.rates = vec![Pair { symbol: "EURUSD".into(), base: "EUR".into(), quote: "USD".into() }];
    let mut d = driver_of(parameters);
    let euro = |event| drive::in_currency(event, "EUR");
    d.see(0, drive::account("p", "100000", "100000"));
    for day in 0..4 {
        d.see(day * DAY, euro(touch("A", "99", "101", ("5", "5"), Some("100"))));
        d.see(day * DAY, touch("B", "99.5", "100.5", ("10", "10"), Some("100")));
        d.see(day * DAY, mark("EURUSD", "2", "2"));
    }
    d.see(3 * DAY + 1, euro(fill("p", "A", Side::Buy, "10", "100", "0")));
    d.see(3 * DAY + 1, fill("p", "B", Side::Buy, "10", "100", "0"));
    // 10 A are 2,000 and 10 B 1,000: (2 × 0.02 + 0.01) / 3, half of A is beyond the touch, 20 + 5.
    let expected = [0.016_666_667, 0.333_333_333, 1.0, 25.0];
    assert_eq!(figures(&d.level("p")), expected.map(Some));
    d.see(3 * DAY + 2, mark("EURUSD", "3", "3"));
    assert_eq!(d.level("p").value("liquidation_cost"), Some(35.0));
    d.run_to(3 * DAY + 90_010);
    assert_eq!(d.level("p").unknown("relative_spread"), d.level("p").unknown("gross_exposure"));
}

#[test]
fn what_is_not_told_is_missing_and_too_few_days_are_warming_up() {
    let missing = Some(Unknown::Missing);
    let mut d = driver();
    d.see(0, mark("A", "99", "101"));
    d.see(1, fill("p", "A", Side::Buy, "1", "100", "0"));
    let level = d.level("p");
    assert_eq!(unknowns(&level), [None, missing, Some(Unknown::WarmingUp), None], "no sizes");
    assert_eq!(level.limit("beyond").unknown, missing);
    // Nobody asks, and the last trade is the mark: bids alone are enough for a long.
    let one_sided = |ask: Option<&str>| {
        let Event::MarketData(mut data) = touch("A", "99", "101", ("1", "1"), None) else { unreachable!() };
        (data.ask, data.ask_size, data.last) = (ask.map(|a| a.parse().unwrap()), None, data.bid);
        Event::MarketData(data)
    };
    d.see(2, one_sided(None));
    assert_eq!(unknowns(&d.level("p")), [missing, None, Some(Unknown::WarmingUp), missing]);
    d.see(3, fill("p", "A", Side::Sell, "2", "100", "0"));
    assert_eq!(d.level("p").unknown("beyond_touch"), missing, "nobody knows what a short could buy");
    // A crossed quote has a mark and no spread; one of a negative size or volume says nothing of it.
    d.see(4, one_sided(Some("98")));
    assert_eq!(d.level("p").unknown("relative_spread"), missing);
    d.see(5, touch("A", "99", "101", ("1", "-1"), Some("-5")));
    assert_eq!(unknowns(&d.level("p")), [None, missing, Some(Unknown::WarmingUp), None]);
    // A mark without a touch has none, though the one before had.
    d.see(6, touch("A", "99", "101", ("1", "1"), None));
    assert_eq!(d.level("p").unknown("beyond_touch"), None);
    d.see(7, mark("A", "99", "101"));
    assert_eq!(d.level("p").unknown("beyond_touch"), missing);
    // Nothing was ever said of volume; then on one day of the two, and then that nothing was traded.
    for day in 1..4 {
        d.see(day * DAY, mark("A", "99", "101"));
    }
    assert_eq!(d.level("p").unknown("days_to_liquidate"), missing);
    d.see(3 * DAY + 1, touch("A", "99", "101", ("1", "1"), Some("20")));
    d.see(4 * DAY, touch("A", "99", "101", ("1", "1"), Some("0")));
    assert_eq!(d.level("p").value("days_to_liquidate"), Some(1.0), "1 / (0.1 × 20 / 2)");
    d.see(5 * DAY, touch("A", "99", "101", ("1", "1"), Some("0")));
    d.see(6 * DAY, mark("A", "99", "101"));
    assert_eq!(d.level("p").value("days_to_liquidate"), Some(f64::MAX), "no share of nothing can be sold");
    // And all of it is stale as exposure is.
    d.run_to(8 * DAY);
    assert_eq!(unknowns(&d.level("p")), [Some(Unknown::Stale); 4]);
    assert_eq!(d.level("p").limit("days").unknown, Some(Unknown::Stale));
}

#[test]
fn days_without_a_record_are_none_and_a_late_record_counts_when_it_comes() {
    let mut d = driver();
    d.see(0, touch("A", "99", "101", ("1", "1"), Some("900")));
    d.see(DAY, touch("A", "99", "101", ("1", "1"), Some("10")));
    // A weekend; and a record that is older than the mark in force changes neither mark nor touch.
    d.see(4 * DAY, touch("A", "99", "101", ("1", "1"), Some("20")));
    let late = drive::stamped(touch("A", "9", "11", ("0", "0"), Some("10")), drive::at(5));
    d.see_at(4 * DAY + 1, late);
    d.see(5 * DAY, touch("A", "99", "101", ("1", "1"), None));
    d.see(5 * DAY, fill("p", "A", Side::Buy, "4", "100", "0"));
    assert_eq!(d.level("p").value("days_to_liquidate"), Some(2.0), "4 / (0.1 × (10 + 30) / 2)");
    // The oldest day leaves.
    d.see(6 * DAY, touch("A", "99", "101", ("1", "1"), None));
    assert_eq!(
        figures(&d.level("p"))[2],
        Some(2.666_666_667),
        "nothing was said of a day: nothing was traded"
    );
}

#[test]
fn other_parameters_go_on_and_another_day_begins_anew() {
    let d = example();
    let with = |change: fn(&mut RiskParameters)| {
        let mut other = parameters();
        change(&mut other);
        let mut other = driver_of(other);
        other.restore(&d.save());
        other.see(3 * DAY + 2, touch("A", "99", "101", ("80", "20"), None));
        other.level("p")
    };
    assert_eq!(
        with(|p| p.liquidity.as_mut().unwrap().participation = 0.2).value("days_to_liquidate"),
        Some(25.0)
    );
    let shorter =
        with(|p| p.liquidity = Some(LiquidityParameters { participation: 0.1, days: 1, minimum: 1 }));
    assert_eq!(figures(&shorter)[2], Some(33.333_333_333), "50 / (0.1 × 15)");
    let noon =
        with(|p| p.day = DayParameters { starts: Duration::from_secs(43_200), ..DayParameters::default() });
    assert_eq!(noon.unknown("days_to_liquidate"), Some(Unknown::WarmingUp));
    assert_eq!(noon.value("liquidation_cost"), Some(200.0), "a touch is of no day");
    // What was not looked at is not known from before.
    let without = with(|p| (p.liquidity, p.limits) = (None, Vec::new()));
    assert!(without.measures().iter().all(|measure| !NAMES.contains(&measure.name.as_str())));
}

/// One symbol's record, or a fill of one.
#[derive(Clone, Debug)]
enum What {
    Mark { symbol: usize, bid: i64, spread: i64, sizes: (i64, i64), volume: Option<i64> },
    Fill { symbol: usize, quantity: i64, parts: i64 },
}

fn happenings() -> impl Strategy<Value = Vec<(i64, What)>> {
    let marks = (0..3_usize, 1_i64..200, -1_i64..20, (0_i64..50, 0_i64..50), prop::option::of(0_i64..100));
    let marks = marks.prop_map(|(symbol, bid, spread, sizes, volume)| What::Mark {
        symbol,
        bid,
        spread,
        sizes,
        volume,
    });
    let fills = (0..3_usize, -30_i64..30, 1_i64..3).prop_map(|(symbol, quantity, parts)| What::Fill {
        symbol,
        quantity,
        parts,
    });
    let after = prop_oneof![3 => 0_i64..600, 1 => 20_000_i64..80_000];
    prop::collection::vec((after, prop_oneof![4 => marks, 1 => fills]), 5..80)
}

const SYMBOLS: [&str; 3] = ["A", "B", "C"];

/// Plays it; each fill in its parts if `split`, and with a restart before every third if `restarts`.
fn play(happenings: &[(i64, What)], split: bool, restarts: bool) -> Driver {
    let mut d = driver();
    let (mut second, mut fills) = (0, 0);
    for (nth, (after, what)) in happenings.iter().enumerate() {
        second += after;
        if restarts && nth % 3 == 0 {
            d.restart();
        }
        match what {
            What::Mark { symbol, bid, spread, sizes, volume } => {
                let (bid, ask) = (bid.to_string(), (bid + spread).to_string());
                let (bids, asks) = (sizes.0.to_string(), sizes.1.to_string());
                let volume = volume.map(|volume| volume.to_string());
                d.see(second, touch(SYMBOLS[*symbol], &bid, &ask, (&bids, &asks), volume.as_deref()));
            }
            What::Fill { quantity: 0, .. } => {}
            What::Fill { symbol, quantity, parts } => {
                let side = if *quantity < 0 { Side::Sell } else { Side::Buy };
                let first = if split && *parts == 2 { quantity.abs() / 2 } else { 0 };
                for units in [first, quantity.abs() - first].into_iter().filter(|units| *units > 0) {
                    let bought = fill("p", SYMBOLS[*symbol], side, &units.to_string(), "100", "0");
                    d.see(second, drive::execution(bought, fills));
                    fills += 1;
                }
            }
        }
    }
    d.see(second + 1, drive::execution(drive::idle("p"), fills));
    d
}

/// A mark: its day, bid, spread, sizes and volume.
type Row = (i64, i64, i64, (i64, i64), Option<i64>);

/// From scratch: the last mark of each symbol with a touch, days of its records, and what is held.
fn scratch(happenings: &[(i64, What)]) -> [Result<f64, ()>; 4] {
    let (mut second, mut held) = (0, [0_i64; 3]);
    let mut marks: [Vec<Row>; 3] = Default::default();
    for (after, what) in happenings {
        second += after;
        match what {
            What::Mark { symbol, bid, spread, sizes, volume } => {
                marks[*symbol].push((second.div_euclid(DAY), *bid, *spread, *sizes, *volume));
            }
            What::Fill { symbol, quantity, .. } => held[*symbol] += quantity,
        }
    }
    let mut sums = [0.0; 5];
    let (mut slowest, mut known) = (0.0_f64, [true; 4]);
    for (marks, quantity) in marks.iter().zip(held).filter(|(_, quantity)| *quantity != 0) {
        let Some((_, bid, spread, sizes, _)) = marks.last() else { return [Err(()); 4] };
        let quantity = quantity as f64;
        let price = *bid as f64 + *spread as f64 / 2.0;
        let value = quantity.abs() * price;
        sums[4] += value;
        if let Ok(quote) = Quote::new(*bid as f64, (bid + spread) as f64) {
            sums[0] += value * quote.relative_spread();
            sums[3] += quote.cost(quantity).unwrap();
        } else {
            (known[0], known[3]) = (false, false);
        }
        sums[1] +=
            value * (1.0 - share_taken(quantity, if quantity < 0.0 { sizes.1 } else { sizes.0 } as f64));
        let mut days: Vec<(i64, Option<i64>)> = Vec::new();
        for (day, .., volume) in marks {
            match days.last_mut().filter(|last| last.0 == *day) {
                Some(last) => last.1 = last.1.map_or(*volume, |sum| Some(sum + volume.unwrap_or(0))),
                None => days.push((*day, *volume)),
            }
        }
        let whole = &days[1..days.len().max(2) - 1];
        let window = &whole[whole.len().saturating_sub(2)..];
        let average = window.iter().filter_map(|day| day.1).sum::<i64>() as f64 / 2.0;
        known[2] &= window.len() == 2 && window.iter().any(|day| day.1.is_some());
        slowest = slowest.max(days_to_liquidate(quantity, average, 0.1).unwrap_or(f64::MAX));
    }
    let mean = |sum: f64| if sums[4] > 0.0 { sum / sums[4] } else { 0.0 };
    let values = [mean(sums[0]), mean(sums[1]), slowest, sums[3]];
    std::array::from_fn(|at| if known[at] { Ok(values[at]) } else { Err(()) })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_what_it_is_from_scratch_and_goes_on_to_the_byte(happenings in happenings()) {
        let mut d = play(&happenings, false, false);
        let restarted = play(&happenings, false, true);
        prop_assert_eq!(&d.outputs, &restarted.outputs);
        prop_assert_eq!(d.save(), restarted.save());
        let level = d.level("p");
        let fresh = level.unknown("gross_exposure").is_none();
        for (name, expected) in NAMES.iter().zip(scratch(&happenings)) {
            let (got, expected) = (level.value(name), expected.ok().filter(|_| fresh));
            let close = match (got, expected) {
                (Some(got), Some(expected)) => got == expected || (got / expected - 1.0).abs() < 1e-9,
                (got, expected) => got.is_none() && expected.is_none(),
            };
            prop_assert!(close, "{name}: {got:?}, not {expected:?}");
        }
    }

    #[test]
    fn a_fill_in_two_parts_is_as_liquid_as_in_one(happenings in happenings()) {
        let (mut one, mut two) = (play(&happenings, false, false), play(&happenings, true, false));
        let (one, two) = (one.level("p"), two.level("p"));
        prop_assert_eq!(NAMES.map(|name| one.value(name)), NAMES.map(|name| two.value(name)));
    }

    /// Amounts of any size have figures that are numbers.
    #[test]
    fn extremes_are_numbers_or_unknown(
        digits in prop::array::uniform5(-1_i128..100),
        scale in prop::array::uniform5(0_u32..26),
        short in any::<bool>(),
    ) {
        let amount = |at: usize| Amount::from_unscaled(digits[at] * 10_i128.pow(scale[at])).unwrap().to_string();
        let mut d = driver();
        let side = if short { Side::Sell } else { Side::Buy };
        for day in 0..4 {
            let record = touch("A", &amount(0), &amount(1), (&amount(2), &amount(3)), Some(&amount(4)));
            if d.try_see(day * DAY, drive::stamped(record, drive::at(day * DAY))).is_err() {
                return Ok(());
            }
        }
        let bought = fill("p", "A", side, "0.000000000001", "1", "0");
        prop_assume!(d.try_see(3 * DAY + 1, drive::stamped(bought, drive::at(3 * DAY + 1))).is_ok());
        let level = d.level("p");
        for name in NAMES {
            let value = level.value(name);
            prop_assert!(value.is_some() != level.unknown(name).is_some(), "{name}");
            prop_assert!(value.is_none_or(|value| value.is_finite() && value >= 0.0), "{name}: {value:?}");
        }
        let limited = level.limit("days").value;
        prop_assert_eq!(limited, level.value("days_to_liquidate"));
    }
}
