//! What holds of every tape that is played.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::{BTreeMap, BTreeSet};

use tapewatch_producers::{Body, Kind, Layout, Player, PlayerError, PlayerOptions, Slice, SliceRecord, Tape};
use tapewatch_schemas::events::{ExecReport, ExecType, Side};
use tapewatch_schemas::{Amount, Event, Time};

fn tape() -> Tape {
    Tape::built_in().unwrap()
}

fn options(seed: u64, bars: usize, incidents: bool) -> PlayerOptions {
    PlayerOptions { seed, bars: Some(bars), incidents, ..PlayerOptions::default() }
}

fn slices(options: PlayerOptions) -> Vec<Slice> {
    Player::new(options, &tape()).unwrap().collect()
}

fn records(options: PlayerOptions) -> Vec<SliceRecord> {
    slices(options).into_iter().flat_map(|slice| slice.records).collect()
}

fn events(records: &[SliceRecord]) -> impl Iterator<Item = &Event> {
    records.iter().filter_map(|record| match &record.body {
        Body::Event(event) => Some(&**event),
        Body::Bytes(_) => None,
    })
}

/// Everything that a reader could see of the records.
fn digest(options: PlayerOptions) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for record in records(options) {
        hasher.update(format!("{record:?}").as_bytes());
    }
    hasher.finalize()
}

#[test]
fn the_same_seed_gives_the_same_records_however_they_are_sliced() {
    let first = digest(options(7, 900, true));
    assert_eq!(first, digest(options(7, 900, true)));
    assert_eq!(first, digest(PlayerOptions { bars_per_slice: 1, ..options(7, 900, true) }));
    assert_ne!(first, digest(options(8, 900, true)));
    assert_ne!(first, digest(options(7, 900, false)));
}

#[test]
fn the_whole_tape_is_within_the_demos_bound() {
    let mut count = 0;
    let mut last = Time::MIN;
    let player = Player::new(PlayerOptions { incidents: true, ..PlayerOptions::default() }, &tape()).unwrap();
    let (bars, end) = (player.bars(), player.end());
    for slice in player {
        count += slice.records.len();
        assert!(slice.until > last);
        assert!(slice.bars <= bars);
        last = slice.until;
    }
    assert!((250_000..=500_000).contains(&count), "{count}");
    assert!(last > end);
}

#[test]
fn keys_have_their_partitions_and_times_their_order() {
    let layout = Layout { partitions: 12, market_partitions: 3, ..Layout::default() };
    let slices = slices(PlayerOptions { layout, ..options(3, 300, false) });
    let (mut latest, mut from) = (Time::MIN, Time::MIN);
    for slice in &slices {
        for record in &slice.records {
            assert!(from <= record.event_time && record.event_time < slice.until, "{record:?}");
            assert!(latest <= record.event_time, "{record:?}");
            latest = record.event_time;
            assert_eq!(record.partition, layout.partition(record.topic, &record.key));
            let Body::Event(event) = &record.body else { panic!("poison without incidents") };
            assert_eq!((event.key(), event.topic()), (record.key.as_str(), record.topic));
        }
        from = slice.until;
    }
}

/// Sequence numbers that were skipped, per source, topic and partition.
fn holes(records: &[SliceRecord]) -> Vec<(String, &'static str, i32)> {
    let mut last: BTreeMap<(String, &'static str, i32), i64> = BTreeMap::new();
    let mut holes = Vec::new();
    for record in records {
        let Body::Event(event) = &record.body else { continue };
        let (source, sequence) = event.origin().unwrap();
        let last = last.entry((source.to_string(), record.topic, record.partition)).or_insert(-1);
        if sequence != *last + 1 {
            assert_eq!(sequence, *last + 2, "{record:?}");
            holes.push((source.to_string(), record.topic, record.partition));
        }
        *last = sequence;
    }
    holes
}

#[test]
fn sequences_have_no_holes_but_the_lost_fill() {
    assert!(holes(&records(options(1, 900, false))).is_empty());
    let player = Player::new(options(1, 900, true), &tape()).unwrap();
    let book = player.incidents().clone();
    let lost = book.incidents.iter().find(|incident| incident.kind == Kind::LostFill).unwrap();
    let records: Vec<_> = player.flat_map(|slice| slice.records).collect();
    assert_eq!(holes(&records), [("sim".to_owned(), "exec.reports.v1", lost.partition)]);
}

#[test]
fn heartbeats_cover_everything_and_the_gap_and_close_the_tape() {
    // The gap of 55 hours is behind bar 5,800.
    let slices = slices(PlayerOptions {
        portfolios: 1,
        symbols: 2,
        symbols_per_portfolio: 1,
        ..options(1, 5900, false)
    });
    let mut beats: BTreeMap<String, Vec<(Time, bool)>> = BTreeMap::new();
    let mut seen: BTreeMap<(String, String, i32), i64> = BTreeMap::new();
    for event in events(&slices.iter().flat_map(|slice| slice.records.clone()).collect::<Vec<_>>()) {
        let (source, sequence) = event.origin().unwrap();
        if let Event::Heartbeat(beat) = event {
            let topics: BTreeSet<_> = beat.progress.iter().map(|line| line.topic.to_string()).collect();
            assert_eq!(beat.progress.len(), if source.as_str() == "tape" { 4 } else { 16 });
            assert_eq!(topics.len(), if source.as_str() == "tape" { 1 } else { 4 });
            for line in &beat.progress {
                let key = (source.to_string(), line.topic.to_string(), line.partition);
                assert_eq!(line.last_sequence, seen.get(&key).copied().unwrap_or(-1));
                assert_eq!(line.complete_to, beat.event_time);
            }
            let closed = beat.progress.iter().all(|line| line.closed);
            beats.entry(source.to_string()).or_default().push((beat.event_time, closed));
        } else {
            let partition = Layout::default().partition(event.topic(), event.key());
            seen.insert((source.to_string(), event.topic().to_owned(), partition), sequence);
        }
    }
    assert_eq!(beats.len(), 2);
    for times in beats.values() {
        assert!(times.windows(2).all(|pair| pair[1].0.since(pair[0].0) == 900_000_000));
        let closed: Vec<_> = times.iter().map(|(_, closed)| *closed).collect();
        assert_eq!(closed.iter().filter(|closed| **closed).count(), 1);
        assert_eq!(closed.last(), Some(&true));
    }
}

fn signed(report: &ExecReport) -> Amount {
    let quantity = report.last_quantity.unwrap();
    if report.side == Side::Buy { quantity } else { -quantity }
}

/// Replays the fills and compares every position record and account with them.
fn reconcile(records: &[SliceRecord]) -> Result<usize, String> {
    let mut held: BTreeMap<(String, String), Amount> = BTreeMap::new();
    let mut cash: BTreeMap<String, Amount> = BTreeMap::new();
    let mut compared = 0;
    for event in events(records) {
        match event {
            Event::ExecReport(report) if report.exec_type == ExecType::Fill => {
                let portfolio = report.portfolio.to_string();
                let held = held.entry((portfolio.clone(), report.symbol.to_string())).or_default();
                *held = held.checked_add(signed(report)).unwrap();
                let cash = cash.entry(portfolio).or_insert(Amount::from(1_000_000));
                let value = signed(report).checked_mul(report.last_price.unwrap()).unwrap();
                *cash = cash.checked_sub(value).unwrap().checked_sub(report.fee.unwrap()).unwrap();
            }
            Event::Position(position) => {
                let believed: BTreeMap<_, _> =
                    position.positions.iter().map(|line| (line.symbol.to_string(), line.quantity)).collect();
                let filled: BTreeMap<_, _> = held
                    .iter()
                    .filter(|((portfolio, _), quantity)| {
                        *portfolio == position.portfolio.as_str() && !quantity.is_zero()
                    })
                    .map(|((_, symbol), quantity)| (symbol.clone(), *quantity))
                    .collect();
                if believed != filled {
                    return Err(format!("{} at {}", position.portfolio, position.event_time));
                }
                compared += 1;
            }
            Event::Account(account) => {
                let filled = cash.get(account.portfolio.as_str()).copied().unwrap_or(Amount::from(1_000_000));
                if filled != account.cash {
                    return Err(format!("cash of {} at {}", account.portfolio, account.event_time));
                }
            }
            _ => {}
        }
    }
    Ok(compared)
}

#[test]
fn positions_and_cash_are_the_sum_of_the_fills() {
    let compared = reconcile(&records(options(5, 2000, false))).unwrap();
    assert!(compared > 500, "{compared}");
    assert!(reconcile(&records(options(5, 1000, true))).is_err(), "a lost fill does not reconcile");
}

#[test]
fn orders_chain_to_signals_and_end() {
    let records = records(options(2, 1500, false));
    let mut signals = BTreeSet::new();
    let mut open: BTreeMap<String, Amount> = BTreeMap::new();
    for event in events(&records) {
        match event {
            Event::Signal(signal) => {
                let boundary = signal.bar_boundary.unwrap();
                assert_eq!(boundary.micros() % 900_000_000, 0);
                assert!((0..100_000).contains(&signal.event_time.since(boundary)), "{signal:?}");
                assert!(signals.insert(signal.signal_id.clone()));
            }
            Event::ExecReport(report) => {
                assert!(signals.contains(report.signal_id.as_ref().unwrap()));
                let left = open.entry(report.order_id.to_string()).or_insert(report.order_quantity);
                match report.exec_type {
                    ExecType::New => assert!(report.cumulative_quantity.is_zero()),
                    ExecType::Fill => {
                        *left = left.checked_sub(report.last_quantity.unwrap()).unwrap();
                        assert_eq!(report.leaves_quantity, *left);
                    }
                    _ => assert!(report.leaves_quantity.is_zero()),
                }
                if report.leaves_quantity.is_zero() {
                    open.remove(report.order_id.as_str());
                }
            }
            _ => {}
        }
    }
    assert!(signals.len() > 1000, "{}", signals.len());
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn quiet_runs_stay_far_from_every_limit() {
    for seed in 0..20 {
        let (mut peak, mut last) = (BTreeMap::<String, f64>::new(), BTreeMap::<String, f64>::new());
        for event in events(&records(options(seed, 1000, false))) {
            match event {
                Event::MarketData(mark) => {
                    last.insert(mark.symbol.to_string(), mark.last.unwrap().to_f64());
                }
                Event::Account(account) => {
                    let equity = account.equity.to_f64();
                    let peak = peak.entry(account.portfolio.to_string()).or_insert(equity);
                    *peak = peak.max(equity);
                    assert!(equity > 0.92 * *peak, "seed {seed}: {account:?}");
                }
                Event::Position(position) => {
                    for line in &position.positions {
                        let value = line.quantity.to_f64() * last[line.symbol.as_str()];
                        assert!((0.0..60_000.0).contains(&value), "seed {seed}: {line:?} is worth {value}");
                    }
                }
                _ => {}
            }
        }
    }
}

#[test]
fn options_out_of_bounds_are_refused() {
    let refused = |options: PlayerOptions| Player::new(options, &tape()).unwrap_err();
    assert_eq!(
        refused(PlayerOptions { symbols: 0, ..PlayerOptions::default() }),
        PlayerError::Zero("symbols")
    );
    assert!(matches!(refused(options(1, 500, true)), PlayerError::NoRoom { bars: 500, .. }));
    let alone = PlayerOptions { portfolios: 1, ..options(1, 1000, true) };
    assert!(matches!(refused(alone), PlayerError::NoRoom { portfolios: 1, .. }));
    let many = PlayerOptions { symbols: 3, ..PlayerOptions::default() };
    assert!(matches!(refused(many), PlayerError::TooMany { most: 3, .. }));
}
