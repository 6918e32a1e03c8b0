//! `kill -9` of a worker under load, to its next round.

use std::time::{Duration, Instant};

use tapewatch_schemas::catalogue as c;

use crate::Failure;
use crate::hosted::INSTANCE;
use crate::journals::{Comeback, Journals};
use crate::pace::Pace;
use crate::programs::Program;
use crate::progress::Progress;
use crate::readings::{median, millis, percentile};
use crate::report::Report;
use crate::stage::{Stage, settings};

/// How long a worker may take to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// Publishes `rate` events a second of R, kills the risk worker `repetitions` times after `seconds` of work
/// each, and starts the same instance again at once.
pub fn run(url: &str, rate: u64, seconds: u64, repetitions: u32) -> Result<Report, Failure> {
    let stage = Stage::open(settings(None, url)?)?;
    let tasks = stage.settings.topics.partitions;
    let mut pace = Pace::begin(&stage, rate)?;
    let mut progress = Progress::new();
    let mut risk = start(url)?;
    come_back(&mut Journals::follow(&stage, c::RISK)?, &mut risk, &mut pace, tasks)?;
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for repetition in 0..repetitions {
        progress.say(|| format!("kill {} of {repetitions}", repetition + 1));
        let working = Instant::now();
        while working.elapsed() < Duration::from_secs(seconds) {
            pace.keep()?;
            std::thread::sleep(Duration::from_millis(2));
        }
        let killed = Instant::now();
        risk.kill()?;
        // Asked after it is dead: whatever comes above these ends is of the one that follows.
        let mut journals = Journals::follow(&stage, c::RISK)?;
        risk = start(url)?;
        let before = killed.elapsed();
        let comeback = come_back(&mut journals, &mut risk, &mut pace, tasks)?;
        first.extend(comeback.first.map(|took| millis(before + took)));
        last.extend(comeback.last.map(|took| millis(before + took)));
    }
    drop(progress);
    risk.stop()?;
    let mut report = Report::default();
    report.row("kill -9 → next round readable, least", percentile(&first, 0.0), "ms", "");
    report.row("the same, median", median(&first), "ms", "3,000 + restore (aim 1,000 + restore)");
    report.row("the same, most", percentile(&first, 1.0), "ms", "");
    report.row("kill -9 → a round of every task readable, median", median(&last), "ms", "");
    report.row("the same, most", percentile(&last, 1.0), "ms", "");
    Ok(report)
}

fn start(url: &str) -> Result<Program, Failure> {
    Program::start("tapewatch-risk", url, &["--instance", INSTANCE])
}

/// Keeps the load up until every task has a round.
fn come_back(
    journals: &mut Journals,
    risk: &mut Program,
    pace: &mut Pace,
    tasks: u32,
) -> Result<Comeback, Failure> {
    let mut comeback = Comeback::of(tasks);
    while comeback.last.is_none() {
        pace.keep()?;
        for record in journals.next(Duration::from_millis(1))? {
            comeback.note(&record);
        }
        risk.check()?;
        if comeback.elapsed() > PATIENCE {
            return Err(format!("not every task of the risk worker had a round within {PATIENCE:?}").into());
        }
    }
    Ok(comeback)
}
