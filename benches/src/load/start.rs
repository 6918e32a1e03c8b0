//! From a worker's start to its first round.

use std::time::{Duration, Instant};

use tapewatch_consumers::stage::{Stage as Standing, StageCell};
use tapewatch_schemas::catalogue as c;

use crate::Failure;
use crate::hosted::{Hosted, INSTANCE};
use crate::journals::{Comeback, Journals};
use crate::pace::Pace;
use crate::programs::Program;
use crate::progress::Progress;
use crate::readings::{median, millis, percentile};
use crate::report::Report;
use crate::stage::{Stage, r_file, settings};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Events that wait for the worker.
const EVENTS: u64 = 1_000;

/// Starts the risk worker `repetitions` times as a process, and as often in this one, each time with records
/// that wait for it. The first start is on a fresh log, the others after an orderly stop.
pub fn run(url: &str, repetitions: u32) -> Result<Report, Failure> {
    let stage = Stage::open(settings(&r_file(), url)?)?;
    let mut pace = Pace::begin(&stage, 0)?;
    let (mut processes, mut assigned) = (Vec::new(), Vec::new());
    let mut progress = Progress::new();
    for repetition in 0..repetitions {
        progress.say(|| format!("start {} of {repetitions}", repetition + 1));
        pace.burst(EVENTS)?;
        processes.push(millis(of_process(&stage, url)?));
        pace.burst(EVENTS)?;
        assigned.push(millis(from_assignment(&stage)?));
    }
    drop(progress);
    let mut report = Report::default();
    let (fresh, later) = processes.split_first().ok_or("no repetition was asked for")?;
    let (embedded, kafka) = if url.starts_with("kafka:") {
        ("", "1,000 (aim 100), Kafka")
    } else {
        ("1,000 (aim 100), embedded", "")
    };
    report.row("process started → first round readable, fresh log", *fresh, "ms", embedded);
    if !later.is_empty() {
        report.row("the same on a log with a journal, median", median(later), "ms", embedded);
        report.row("the same, most", percentile(later, 1.0), "ms", "");
    }
    report.row("assigned → first round acknowledged, median", median(&assigned), "ms", kafka);
    report.row("the same, most", percentile(&assigned, 1.0), "ms", "");
    Ok(report)
}

fn of_process(stage: &Stage, url: &str) -> Result<Duration, Failure> {
    let mut journals = Journals::follow(stage, c::RISK)?;
    let mut comeback = Comeback::of(stage.tasks());
    let mut risk = Program::start("tapewatch-risk", url, &["--instance", INSTANCE])?;
    let took = loop {
        for record in journals.next(Duration::from_millis(1))? {
            comeback.note(&record);
        }
        if let Some(took) = comeback.first {
            break took;
        }
        risk.check()?;
        if comeback.elapsed() > PATIENCE {
            return Err(format!("no round of the risk worker within {PATIENCE:?}").into());
        }
    };
    risk.stop()?;
    Ok(took)
}

fn from_assignment(stage: &Stage) -> Result<Duration, Failure> {
    let standing = StageCell::default();
    let risk = Hosted::start_seen(stage, c::RISK, standing.clone())?;
    let begun = Instant::now();
    while matches!(standing.get(), Standing::Joining | Standing::Waiting) {
        if begun.elapsed() > PATIENCE {
            return Err(format!("the risk worker had no tasks within {PATIENCE:?}").into());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    let assigned = Instant::now();
    risk.wait(PATIENCE, |seen| seen.first.is_some())?;
    let first = risk.stop()?.first.ok_or("it was there a moment ago")?;
    Ok(first.saturating_duration_since(assigned))
}
