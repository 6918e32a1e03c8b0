//! The workers in a world where everything that can happen to them does, by a seed.
//!
//! One thread, one time that passes when it is told to, a log in memory whose writes are done by whoever
//! asks: the same seed gives the same history to the byte. Real workers run in it, with real settings; what
//! is simulated is the machine around them. When the faults end the workers must come to the end of their
//! inputs, and every invariant must hold.

mod comparing;
mod desk;
mod finding;
mod instance;
mod outcome;
mod random;
mod scenario;
mod settling;
mod stock;
mod supply;
mod time;
mod trace;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tapewatch_consumers::outbox::FROM;
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::faults::{Fault, Op};
use tapewatch_eventlog::{LogError, TopicPartition};

pub use self::finding::Finding;
pub use self::outcome::{Outcome, Spread, Tally};
pub use self::scenario::Scenario;
pub use self::stock::Stock;

use self::comparing::Compared;
use self::trace::Trace;
use self::world::World;
use crate::invariants::{Terms, check_all};

/// Simulates a seed. The lines of its history are kept if `keep` says so.
pub fn simulate(seed: u64, stock: &Stock, keep: bool) -> Outcome {
    let ran = catch_unwind(AssertUnwindSafe(|| run(seed, stock, keep)));
    let failed = |finding| Outcome {
        seed,
        digest: tapewatch_schemas::Digest::NONE,
        findings: vec![finding],
        tally: Tally { seeds: 1, ..Tally::default() },
        lines: Vec::new(),
    };
    match ran {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => failed(Finding::Failed(error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            failed(Finding::Panicked(text.unwrap_or_default()))
        }
    }
}

fn run(seed: u64, stock: &Stock, keep: bool) -> Result<Outcome, LogError> {
    let scenario = Scenario::of(seed);
    let variant = stock.of(&scenario);
    let mut trace = if keep { Trace::kept() } else { Trace::default() };
    trace.line(format_args!("{scenario:?}"));
    let mut world = World::new(&scenario, variant, trace)?;
    world.live()?;
    if world.found.is_empty() {
        world.settle()?;
    }
    if world.found.is_empty() {
        let terms = Terms { settled_within: Duration::from_secs(1), other_versions: false };
        let broken = check_all(&world.log, &variant.watched(&scenario), &terms)?;
        world.found.extend(broken.into_iter().map(Finding::Broken));
    }
    if world.found.is_empty() && scenario.promised {
        match comparing::compare(&scenario, variant, &world.log)? {
            Compared::Same => world.tally.compared = 1,
            Compared::Differs(finding) => world.found.push(finding),
            Compared::Broken => {}
        }
    }
    world.finish()
}

impl World<'_> {
    /// Every byte of the log goes into the digest.
    fn finish(mut self) -> Result<Outcome, LogError> {
        let mut scanner = Scanner::new(Arc::clone(&self.log))?;
        for info in self.log.topics()? {
            for partition in 0..info.partitions {
                let at = TopicPartition::new(info.name.clone(), partition);
                let (trace, outputs) = (&mut self.trace, &mut self.tally.outputs);
                scanner.scan::<LogError>(&at, 0, |record| {
                    trace.bytes(&record.offset.to_le_bytes());
                    trace.bytes(&record.timestamp.0.to_le_bytes());
                    trace.bytes(record.key.unwrap_or_default());
                    trace.bytes(record.value.unwrap_or_default());
                    trace.bytes(record.headers.encoded());
                    *outputs += u64::from(record.headers.get(FROM).is_some());
                    Ok(())
                })?;
            }
        }
        for finding in &self.found {
            self.trace.line(format_args!("{finding}"));
        }
        Ok(Outcome {
            seed: self.scenario.seed,
            digest: self.trace.digest(),
            tally: self.tally(),
            findings: self.found,
            lines: self.trace.lines.unwrap_or_default(),
        })
    }

    fn tally(&self) -> Tally {
        let mut tally = Tally { seeds: 1, ..self.tally };
        let spoilt = self.supply.spoilt;
        (tally.duplicates, tally.poison) = (spoilt.duplicates, spoilt.poison);
        (tally.bursts, tally.late, tally.early) = (spoilt.bursts, spoilt.late, spoilt.early);
        for injected in self.instances.iter().flat_map(|instance| instance.faults.injected()) {
            match (injected.op, injected.fault) {
                (Op::Commit, Fault::Abort) => tally.aborted += 1,
                (
                    Op::Commit,
                    Fault::UnknownNotWritten | Fault::UnknownWritten | Fault::UnknownWrittenLate,
                ) => {
                    tally.unknown += 1;
                }
                (_, Fault::CrashBefore | Fault::CrashAfter) => tally.deaths += 1,
                (Op::Poll, Fault::Abort) => tally.unread += 1,
                _ => {}
            }
        }
        tally
    }
}
