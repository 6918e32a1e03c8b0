//! `kill -9` of a worker under load, to its next round: the same instance restarted, or another takes over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tapewatch_schemas::catalogue as c;

use crate::Failure;
use crate::hosted::INSTANCE;
use crate::journals::{Comeback, Journals};
use crate::open_transaction::OpenTransactions;
use crate::pace::Pace;
use crate::programs::Program;
use crate::progress::Progress;
use crate::readings::{median, millis, percentile};
use crate::report::Report;
use crate::stage::{Stage, r_file, settings};

/// How long a worker may take to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is going on meanwhile, and how often a worker is killed.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Events a second of R.
    pub rate: u64,
    /// Seconds of work before each kill.
    pub seconds: u64,
    /// How often.
    pub repetitions: u32,
}

/// Kills the risk worker, and starts the same instance again at once.
pub fn run(url: &str, load: Load) -> Result<Report, Failure> {
    let mut scene = Scene::open(url, load)?;
    let mut risk = start(url, INSTANCE)?;
    let mut journals = Journals::follow(&scene.stage, c::RISK)?;
    scene.wait(&mut journals, &mut risk, Comeback::of(scene.stage.tasks()))?;
    for repetition in 0..load.repetitions {
        scene.work(repetition)?;
        let killed = Instant::now();
        risk.kill()?;
        // Asked after it is dead: whatever comes above these ends is of the one that follows.
        let mut journals = Journals::follow(&scene.stage, c::RISK)?;
        risk = start(url, INSTANCE)?;
        let before = killed.elapsed();
        let comeback = scene.wait(&mut journals, &mut risk, Comeback::of(scene.stage.tasks()))?;
        scene.add(before, &comeback);
    }
    risk.stop()?;
    Ok(scene.report(["3,000 + restore (aim 1,000 + restore)", ""]))
}

/// Kills one of two instances of the risk worker; the other takes its tasks over. With `open`, the one that is killed
/// leaves a transaction open, every time.
pub fn takeover(url: &str, load: Load, open: bool) -> Result<Report, Failure> {
    let mut scene = Scene::open(url, load)?;
    let journal = c::journal_topic(c::RISK);
    let open = open.then(|| OpenTransactions::of(&scene.stage, url, journal.as_str())).transpose()?;
    let mut heir = start(url, "bench-heir")?;
    for repetition in 0..load.repetitions {
        let mut journals = Journals::follow(&scene.stage, c::RISK)?;
        let mut risk = start(url, INSTANCE)?;
        let lost = scene.share(&mut journals, &mut risk)?;
        scene.work(repetition)?;
        if let Some(open) = &open {
            scene.hold_within(open, &lost, &mut risk)?;
        }
        let killed = Instant::now();
        risk.kill()?;
        let mut journals = Journals::follow(&scene.stage, c::RISK)?;
        let before = killed.elapsed();
        let comeback = scene.wait(&mut journals, &mut heir, Comeback::of(lost))?;
        scene.add(before, &comeback);
    }
    heir.stop()?;
    let bar = if open.is_some() { "25,000 + restore (aim 10,000)" } else { "15,000 + restore (aim 10,000)" };
    Ok(scene.report(["", bar]))
}

fn start(url: &str, instance: &str) -> Result<Program, Failure> {
    Program::start("tapewatch-risk", url, &["--instance", instance])
}

/// A log under load, and how long each comeback took.
struct Scene {
    stage: Stage,
    pace: Pace,
    load: Load,
    first: Vec<f64>,
    last: Vec<f64>,
    progress: Progress,
}

impl Scene {
    fn open(url: &str, load: Load) -> Result<Self, Failure> {
        let stage = Stage::open(settings(&r_file(), url)?)?;
        let pace = Pace::begin(&stage, load.rate)?;
        Ok(Self { stage, pace, load, first: Vec::new(), last: Vec::new(), progress: Progress::new() })
    }

    /// Keeps the load up for the time between two kills.
    fn work(&mut self, repetition: u32) -> Result<(), Failure> {
        let working = Instant::now();
        while working.elapsed() < Duration::from_secs(self.load.seconds) {
            self.pace.keep()?;
            self.progress.say(|| format!("kill {} of {}", repetition + 1, self.load.repetitions));
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Keeps the load up until every task has a round.
    fn wait(
        &mut self,
        journals: &mut Journals,
        risk: &mut Program,
        mut comeback: Comeback,
    ) -> Result<Comeback, Failure> {
        while comeback.last.is_none() {
            self.pace.keep()?;
            for record in journals.next(Duration::from_millis(1))? {
                comeback.note(&record);
            }
            risk.check()?;
            if comeback.elapsed() > PATIENCE {
                return Err(
                    format!("not every task of the risk worker had a round within {PATIENCE:?}").into()
                );
            }
        }
        Ok(comeback)
    }

    /// Keeps the load up until two instances share the tasks; those of [`INSTANCE`].
    fn share(&mut self, journals: &mut Journals, risk: &mut Program) -> Result<Vec<i32>, Failure> {
        let begun = Instant::now();
        let mut owners = BTreeMap::new();
        loop {
            self.pace.keep()?;
            for record in journals.next(Duration::from_millis(1))? {
                owners.insert(record.partition, record.instance);
            }
            let ours = || owners.iter().filter(|(_, owner)| *owner == INSTANCE).map(|(task, _)| *task);
            if owners.len() == self.stage.tasks().len() && ours().count() == owners.len() / 2 {
                return Ok(ours().collect());
            }
            risk.check()?;
            if begun.elapsed() > PATIENCE {
                return Err(
                    format!("two instances did not share the tasks within {PATIENCE:?}: {owners:?}").into()
                );
            }
        }
    }

    /// Keeps the load up until the worker is held at a moment at which a transaction of its own is open.
    fn hold_within(
        &mut self,
        open: &OpenTransactions,
        tasks: &[i32],
        risk: &mut Program,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut step = 0;
        while begun.elapsed() < PATIENCE {
            risk.hold()?;
            // What it has sent before is with the broker, and answered, by then.
            std::thread::sleep(Duration::from_millis(50));
            if open.any(tasks)? {
                return Ok(());
            }
            risk.go_on()?;
            // Each time after another while, so that it is not always the same moment of a round.
            step = (step + 7) % 40;
            let working = Instant::now();
            while working.elapsed() < Duration::from_millis(60 + step) {
                self.pace.keep()?;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Err(format!("the risk worker had no transaction open within {PATIENCE:?}, whenever it was held")
            .into())
    }

    fn add(&mut self, before: Duration, comeback: &Comeback) {
        self.first.extend(comeback.first.map(|took| millis(before + took)));
        self.last.extend(comeback.last.map(|took| millis(before + took)));
    }

    /// The bars are of the first round's median, and of the most that all tasks took.
    fn report(self, [first, last]: [&'static str; 2]) -> Report {
        let mut report = Report::default();
        report.row(
            "kill -9 → first round of a lost task readable, least",
            percentile(&self.first, 0.0),
            "ms",
            "",
        );
        report.row("the same, median", median(&self.first), "ms", first);
        report.row("the same, most", percentile(&self.first, 1.0), "ms", "");
        report.row("kill -9 → a round of every lost task readable, median", median(&self.last), "ms", "");
        report.row("the same, most", percentile(&self.last, 1.0), "ms", last);
        report
    }
}
