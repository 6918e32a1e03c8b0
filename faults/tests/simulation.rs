//! The simulator: some seeds, that one seed is one history, and that a worker that does wrong is found.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use tapewatch_faults::simulator::{Finding, Outcome, Scenario, Stock, Tally, simulate};

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
        let Tally { moved, deaths, unknown, duplicates, poison, .. } = outcome.tally;
        assert!(
            [moved, deaths, unknown, duplicates, poison].iter().all(|count| *count > 0),
            "seed {seed} has all of it: {:?}",
            outcome.tally
        );
        tally.add(&outcome.tally);
    }
    let Tally { compared, bursts, late, holds, doubles, jumps, seeks, unread, aborted, .. } = tally;
    let some = [compared, bursts, late, holds, doubles, jumps, seeks, unread, aborted];
    assert!(some.iter().all(|count| *count > 0), "{tally:?}");
}

/// What `scripts/ci/mutations` breaks on purpose must be found here.
#[test]
fn what_comes_back_comes_once_and_in_its_keys_order() {
    let stock = Stock::new().unwrap();
    let mut tally = Tally::default();
    let held = |seed: &u64| {
        let scenario = Scenario::of(*seed);
        scenario.hold && scenario.returns > 0
    };
    for seed in (2_000_001..).filter(held).take(8) {
        let outcome = simulate(seed, &stock, false);
        well(&outcome);
        assert!(outcome.tally.returned > 0, "seed {seed}: {:?}", outcome.tally);
        tally.add(&outcome.tally);
    }
    assert!(tally.cut_off > 0, "{tally:?}");
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
