//! The simulator: some seeds, that one seed is one history, and that a worker that does wrong is found.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use tapewatch_faults::simulator::{Finding, Outcome, Stock, Tally, simulate};

/// Seeds that found something, each with what it was. What has a test of its own besides is named there:
/// `consumers/tests/heard.rs` and `set_clock.rs`, `eventlog/tests/sqlite_groups.rs`.
const ONCE_FAILED: [(u64, &str); 5] = [
    (1, "heartbeats of tasks that were ahead filled a lane, and what it waited for was said behind them"),
    (19, "the same, where another task's lane was the full one"),
    (7, "a range letter listed records that were good once the clock was right, and they were processed"),
    (17, "a clock that was set back kept the tasks of the dead for an hour"),
    (28, "tasks given in a generation that was over before it was seen were not released"),
];

fn well(outcome: &Outcome) {
    let shown: Vec<String> = outcome.findings.iter().map(Finding::to_string).collect();
    assert!(shown.is_empty(), "seed {}: {}", outcome.seed, shown.join("\n"));
}

#[test]
fn everything_holds_for_thirty_seeds() {
    let stock = Stock::new().unwrap();
    let mut tally = Tally::default();
    for seed in 1_000_001..=1_000_030 {
        let outcome = simulate(seed, &stock, false);
        well(&outcome);
        let Tally { joins, deaths, unknown, duplicates, poison, .. } = outcome.tally;
        assert!(
            [joins, deaths, unknown, duplicates, poison].iter().all(|count| *count > 0),
            "seed {seed} has all of it: {:?}",
            outcome.tally
        );
        tally.add(&outcome.tally);
    }
    let Tally { compared, bursts, late, holds, doubles, jumps, seeks, unread, aborted, .. } = tally;
    let some = [compared, bursts, late, holds, doubles, jumps, seeks, unread, aborted];
    assert!(some.iter().all(|count| *count > 0), "{tally:?}");
}

#[test]
fn seeds_that_once_failed() {
    let stock = Stock::new().unwrap();
    for (seed, what) in ONCE_FAILED {
        let outcome = simulate(seed, &stock, false);
        assert!(outcome.findings.is_empty(), "{what}: {:?}", outcome.findings);
    }
}

#[test]
fn a_seed_is_one_history() {
    let stock = Stock::new().unwrap();
    for seed in [3, 4, 5] {
        let (one, other) = (simulate(seed, &stock, true), simulate(seed, &Stock::new().unwrap(), true));
        assert!(one.lines.len() > 100);
        let differs = one.lines.iter().zip(&other.lines).position(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one.digest, other.digest, "seed {seed}: lines agree, bytes on the log do not");
    }
    assert_ne!(simulate(3, &stock, false).digest, simulate(4, &stock, false).digest);
}
