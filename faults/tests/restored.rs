//! A task that is restored, wherever its rounds end, goes on as one that was not: the same outputs, the same state.
//!
//! Rounds are small, so that some end where a deadline is due and its tick is not yet there, between
//! two records of one instant, or in the middle of an incident. A cluster finds such a place once in a hundred runs.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use tapewatch_config::Settings;
use tapewatch_consumers::feed::Feed;
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::rerun::Rerun;
use tapewatch_consumers::scan::Scanner;
use tapewatch_consumers::snapshot::SavedTask;
use tapewatch_consumers::{Worker, workers};
use tapewatch_eventlog::{Log, LogError, OpenOptions, TopicPartition, open};
use tapewatch_producers::{Layout, Player, PlayerOptions, Tape};
use tapewatch_schemas::Codec;
use tapewatch_schemas::catalogue::journal_topic;
use tapewatch_schemas::journal::JournalRecord;

/// Bars of the tape: some days, and the fewest that have an incident of each kind.
const BARS: usize = 864;

/// Times of the week, within the tape's days.
const SCHEDULES: &str = r#"[{ name = "session", time_zone = "America/New_York", days = ["mon", "tue", "wed", "thu", "fri"],
    from = "9h30m", to = "16h" }]"#;

/// Some of the default limits, and such as are not always in force.
const LIMITS: &str = r#"[
    { name = "var_99", measure = "var_99", hard = 300_000 },
    { name = "position", measure = "position", hard = 100_000, hysteresis = 0.02 },
    { name = "day", measure = "position", hard = 60_000, during = "session" },
    { name = "night", measure = "position", of = "equity", soft = 0.02, hard = 0.05, outside = "session" },
    { name = "drawdown", measure = "drawdown", soft = 0.15, hard = 0.2, on_soft = "reduce_only", on_hard = "halt" },
]"#;

/// One that begins and ends within the tape's days.
const OVERRIDES: &str = r#"[{ limit = "position", hard = 20_000, from = "2021-09-28T10:00:00Z",
    until = "2021-09-28T18:00:00Z", who = "ada", why = "a drill" }]"#;

fn settings() -> Settings {
    // Five records and ticks a round at most, what is held is revalued, windows are stretches of time that the tape is
    // longer than, and limits come and go; all else as the demo has it.
    let other = [
        ("TAPEWATCH_RUNTIME__MAX_RECORDS", "5"),
        ("TAPEWATCH_RISK__VAR__MODELS", "[\"historical\", \"revalued\"]"),
        ("TAPEWATCH_RISK__VAR__WINDOW", "6d"),
        ("TAPEWATCH_RISK__HISTORY__WINDOW", "6d"),
        ("TAPEWATCH_RISK__SCHEDULES", SCHEDULES),
        ("TAPEWATCH_RISK__LIMITS", LIMITS),
        ("TAPEWATCH_RISK__OVERRIDES", OVERRIDES),
    ];
    let other = other.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Settings::load(None, Some("demo"), other.into_iter()).unwrap()
}

/// A log in memory with a whole tape, taken by every worker.
fn taken(settings: &Settings) -> Arc<dyn Log> {
    let log = open("sqlite::memory:", &OpenOptions::default()).unwrap();
    log.create(&workers::topic_specs(settings)).unwrap();
    let layout = Layout::of(&*log, PlayerOptions::default().layout.partitioner).unwrap();
    let options = PlayerOptions {
        symbols: 4,
        symbols_per_portfolio: 2,
        incidents: true,
        bars: Some(BARS),
        layout,
        ..PlayerOptions::default()
    };
    let codec = Codec::new(&[]).unwrap();
    let mut publisher = log.publisher().unwrap();
    for slice in Player::new(options, &Tape::built_in().unwrap()).unwrap() {
        for record in slice.records {
            publisher.send(record.into_record(&codec).unwrap()).unwrap();
        }
    }
    publisher.flush(Duration::from_secs(60)).unwrap();
    for name in workers::NAMES {
        let plan = workers::plan(name, settings, &*log, "one").unwrap();
        let mut worker = Worker::join(plan, Arc::clone(&log)).unwrap();
        worker.run_to_end().unwrap();
        worker.stop().unwrap();
    }
    log
}

fn journal(log: &Arc<dyn Log>, worker: &str, task: i32) -> Vec<JournalRecord> {
    let mut records = Vec::new();
    let mut scanner = Scanner::new(Arc::clone(log)).unwrap();
    let scanned = scanner.scan::<LogError>(&TopicPartition::new(journal_topic(worker), task), 0, |record| {
        records.push(JournalRecord::open(record.value.unwrap()).unwrap());
        Ok(())
    });
    scanned.unwrap();
    records
}

/// The state, and a task that was brought back from it.
fn restored(plan: &WorkerPlan, task: &Rerun, last: &JournalRecord) -> (Vec<u8>, Rerun) {
    let state = task.save().unwrap().encode();
    let saved = SavedTask::decode(&state).unwrap();
    let back = Rerun::from_saved(plan.blueprint.clone(), &saved, last.sequence, last.hash).unwrap();
    (state, back)
}

/// Follows a task's journal twice: never restored, and restored after each round.
fn goes_on_as_if_never_restored(log: &Arc<dyn Log>, plan: &WorkerPlan, worker: &str, task: i32) {
    let records = journal(log, worker, task);
    assert!(records.len() > 500, "{worker}/{task}: {} rounds", records.len());
    let mut feed = Feed::new(Arc::clone(log), plan.inspector.clone()).unwrap();
    let genesis = || Rerun::from_genesis(plan.blueprint.clone(), task);
    let (mut never, mut always) = (genesis(), genesis());
    for (round, record) in records.iter().enumerate() {
        never.run(record, &mut feed, true).unwrap();
        if let Err(error) = always.run(record, &mut feed, true) {
            panic!("{worker}/{task} round {round}, restored before: {error}");
        }
        let (state, back) = restored(plan, &always, record);
        assert!(state == never.save().unwrap().encode(), "{worker}/{task} round {round}: another state");
        always = back;
    }
}

#[test]
fn a_restored_task_goes_on_as_one_that_was_not() {
    let settings = settings();
    let log = taken(&settings);
    for worker in workers::NAMES {
        let plan = workers::plan(worker, &settings, &*log, "two").unwrap();
        // One of four: all are made of the same code.
        goes_on_as_if_never_restored(&log, &plan, worker, 0);
    }
}
