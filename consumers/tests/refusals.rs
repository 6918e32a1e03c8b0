//! A record that every task reads is refused by some tasks' monitors and taken by others'.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use support::{Counter, Tape, memory, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::audit::{Subject, audit};
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::replay::{Range, Verdict, Verifier};
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::dead_letter::Letter;
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_monitors::{Monitor, Output, Refusal, Seen, SourceChange, StateError};
use tapewatch_schemas::catalogue as c;
use tapewatch_schemas::{Event, Reason, Time};

/// Counts as [`Counter`] does, and refuses every mark of one symbol if it is told to.
struct Picky {
    counter: Counter,
    refuses: bool,
}

impl Monitor for Picky {
    fn observe(&mut self, seen: &Seen<'_>, out: &mut Vec<Output>) -> Result<(), Refusal> {
        match seen.event {
            Event::MarketData(mark) if self.refuses && mark.symbol.as_str() == "ETH-USD" => {
                Err(Refusal { field: "symbol", problem: "not here".into(), expected: "another" })
            }
            _ => self.counter.observe(seen, out),
        }
    }
    fn source(&mut self, change: &SourceChange, out: &mut Vec<Output>) {
        self.counter.source(change, out);
    }
    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        self.counter.tick(now, out);
    }
    fn next_deadline(&self) -> Option<Time> {
        self.counter.next_deadline()
    }
    fn save(&self) -> Vec<u8> {
        self.counter.save()
    }
    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        self.counter.restore(state)
    }
}

fn picky(log: &dyn Log, refusing: &'static [i32]) -> WorkerPlan {
    let mut plan = worker_plan(log, "a");
    plan.blueprint.monitor = Arc::new(|_, task| {
        Box::new(Picky { counter: Counter::default(), refuses: refusing.contains(&task) })
    });
    plan
}

/// Plays marks that some tasks refuse; gives the tasks that wrote a letter, with the letters' values.
fn letters(refusing: &'static [i32]) -> Vec<(i32, Reason, Bytes)> {
    let log = memory();
    let mut tape = Tape::new();
    let mut writer = log.writer("tape").unwrap();
    let plan = picky(&*log, refusing);
    let mut worker = Worker::join(plan.clone(), Arc::clone(&log)).unwrap();
    // One mark in three is of the refused symbol: the breaker of its partition may see one other.
    for _ in 0..2 {
        writer.commit(&tape.slice(&*log, 3), None).unwrap();
        worker.run_to_end().unwrap();
    }
    worker.stop().unwrap();

    let found = audit(&log, &Subject::from(&plan), &mut |_| {}).unwrap();
    assert!(found.holds(), "{:#?}", found.lines);
    let of_tasks = |line: &&tapewatch_consumers::audit::Line| line.dead > 0;
    assert!(found.lines.iter().filter(of_tasks).all(|line| line.dead == 2 && line.letters == 2));
    let mut verifier = Verifier::new(&plan, Arc::clone(&log), Range::default()).unwrap();
    for task in 0..verifier.tasks() {
        let report = verifier.verify(task, &mut |_, _| {}).unwrap();
        assert_eq!(report.verdict(), Verdict::Verified, "{report:#?}");
        assert_eq!(report.letters, if refusing.contains(&task) { 2 } else { 0 });
    }

    let mut scanner = Scanner::new(Arc::clone(&log)).unwrap();
    let mut letters = Vec::new();
    for partition in 0..2 {
        let at = TopicPartition::new("market.data.v1.dlq", partition);
        scanner
            .scan::<LogError>(&at, 0, |record| {
                let letter = Letter::read(record).unwrap();
                assert_eq!(letter.source, TopicPartition::new(c::MARKET_DATA, partition));
                letters.push((
                    letter.task,
                    letter.reason,
                    Bytes::copy_from_slice(record.value.unwrap_or_default()),
                ));
                Ok(())
            })
            .unwrap();
    }
    letters.sort();
    letters
}

#[test]
fn each_task_that_refuses_a_broadcast_record_writes_a_letter_of_its_own() {
    // Whoever owns the partition by its number, one of these refuses what the owner takes.
    for refusing in [&[0][..], &[1]] {
        let letters = letters(refusing);
        assert_eq!(letters.len(), 2, "{letters:?}");
        assert!(letters.iter().all(|(task, reason, value)| {
            refusing.contains(task) && *reason == Reason::Refused && !value.is_empty()
        }));
    }
    let letters = letters(&[0, 1]);
    let tasks: Vec<i32> = letters.iter().map(|(task, ..)| *task).collect();
    assert_eq!(tasks, [0, 0, 1, 1]);
    assert_eq!(letters[0].2, letters[2].2, "both hold the record's bytes");
}
