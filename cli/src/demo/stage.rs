//! The stage: log, player, workers, and what watches them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapewatch_config::{Condition, LimitStatus, Settings};
use tapewatch_consumers::{Worker, workers};
use tapewatch_eventlog::{Log, TopicSpec, open};
use tapewatch_producers::{Layout, Player, PlayerOptions, SliceWriter, Tape, Witness};
use tapewatch_schemas::catalogue::{EXEC_REPORTS, HEARTBEATS, MARKET_DATA};
use tapewatch_schemas::{Codec, Time, events};

use super::Options;
use super::gate::Gate;
use super::summary::{Judgement, Summary, Timings};
use super::watch::Watch;
use crate::{CliError, Context};

/// Everything that takes part.
pub(super) struct Stage {
    pub(super) log: Arc<dyn Log>,
    pub(super) folder: PathBuf,
    pub(super) player: Player,
    pub(super) watch: Watch,
    options: Options,
    tape: String,
    writer: SliceWriter,
    gate: Gate,
    /// Where the next slice begins.
    next: Time,
    workers: Vec<Worker>,
    timings: Timings,
    /// How old a mark may be.
    marks: Duration,
}

/// What one slice did.
pub(super) struct Played {
    /// Bars so far.
    pub(super) bars: usize,
    /// The tape's time after it.
    pub(super) until: Time,
}

impl Stage {
    /// Makes the log in a fresh folder, the player and the workers.
    pub(super) fn set(options: &Options, settings: &Settings) -> Result<Self, CliError> {
        // What can be wrong with the options is found before anything is made.
        let tape = Tape::built_in().map_err(|error| CliError::Input(error.to_string()))?;
        let topics = workers::topic_specs(settings);
        let layout = layout(&topics, settings);
        let player_options = PlayerOptions {
            seed: options.seed,
            incidents: options.incidents,
            bars: options.bars,
            bars_per_slice: 96,
            layout,
            ..PlayerOptions::default()
        };
        let player =
            Player::new(player_options, &tape).map_err(|error| CliError::Usage(error.to_string()))?;
        let (next, folder) = (player.start(), folder(options)?);
        let url = format!("sqlite:{}", folder.join("tape.db").display());
        let log = open(&url, &Context::open_options(settings))?;
        log.create(&topics)?;
        let codec = Arc::new(Codec::new(&[]).expect("the built-in schemas are tested to parse"));
        let writer = SliceWriter::open(&log, Arc::clone(&codec))?;
        let mut workers = Vec::new();
        for name in workers::wanted(settings) {
            let plan = workers::plan(name, settings, &*log, "demo")?;
            workers.push(Worker::join(plan, Arc::clone(&log)).map_err(CliError::Worker)?);
        }
        let watch = Watch::new(Arc::clone(&log), codec, witness(settings))?;
        Ok(Self {
            log,
            folder,
            player,
            watch,
            options: options.clone(),
            tape: tape.report().to_string(),
            writer,
            gate: Gate::new(layout),
            next,
            workers,
            timings: Timings::default(),
            marks: settings.risk.freshness.marks,
        })
    }

    /// Plays one slice and lets every worker run to its end; none at the end of the tape.
    pub(super) fn next_slice(&mut self) -> Result<Option<Played>, CliError> {
        let begun = Instant::now();
        let Some(mut slice) = self.player.next() else { return Ok(None) };
        self.gate.answer(&mut slice, self.next);
        let (bars, until) = (slice.bars, slice.until);
        self.next = until;
        self.timings.inputs += slice.records.len() as u64;
        self.watch.inputs(&slice);
        self.writer.write(slice)?;
        let written = Instant::now();
        self.timings.produce += written - begun;
        for worker in &mut self.workers {
            worker.run_to_end().map_err(CliError::Worker)?;
        }
        self.timings.slices.push(written.elapsed());
        for control in self.watch.catch_up()? {
            self.gate.hear(&control);
        }
        Ok(Some(Played { bars, until }))
    }

    /// Records that the player wrote so far.
    pub(super) fn inputs(&self) -> u64 {
        self.timings.inputs
    }

    /// Stops the workers, reconciles and judges.
    pub(super) fn finish(mut self, took: Duration) -> Result<Summary, CliError> {
        for worker in self.workers.drain(..) {
            worker.stop().map_err(CliError::Worker)?;
        }
        let law = tapewatch_consumers::audit::reconcile_all(&self.log)?;
        let book = self.player.incidents();
        let verdict = book.judge(self.watch.found(), self.watch.witness(), self.marks);
        let judgement = Judgement { incidents: book.incidents.clone(), verdict };
        let derived = self.watch.derived_records()?;
        Ok(Summary {
            seed: self.options.seed,
            tape: self.tape,
            folder: self.folder,
            took,
            timings: self.timings,
            derived,
            alerts: self.watch.alerts(),
            judgement,
            law,
        })
    }
}

/// Who looks at a log that has these settings.
pub fn witness(settings: &Settings) -> Witness {
    let ids = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
    let scopes = settings.firm.scopes.iter().map(|one| (one.scope.as_str().into(), ids(&one.portfolios)));
    let of_portfolios = settings.risk.limits.iter().map(|limit| (false, limit));
    let above = settings.firm.limits.iter().map(|one| (true, &one.limit));
    let witness = of_portfolios.chain(above).fold(Witness::of(scopes), |witness, (above, limit)| {
        witness.with_hysteresis(above, &limit.name, limit.hysteresis)
    });
    // Of what rules wait for, or pass over, an alert is not demanded.
    let told = settings.alerting.rules.iter().filter(|rule| rule.lasting.is_zero() && rule.scope == "*");
    told.fold(witness, |witness, rule| match &rule.condition {
        Condition::Limit { limit: None, status: LimitStatus::Warning } => {
            witness.telling(events::LimitStatus::Warning)
        }
        Condition::Limit { limit: None, status: LimitStatus::Breached } => {
            witness.telling(events::LimitStatus::Breached)
        }
        _ => witness,
    })
}

/// How the demo's topics will be cut.
fn layout(topics: &[TopicSpec], settings: &Settings) -> Layout {
    let count = |name: &str| {
        let spec = topics.iter().find(|spec| spec.name.as_str() == name);
        spec.expect("the catalogue lists what is played").partitions as u32
    };
    Layout {
        partitions: count(EXEC_REPORTS),
        market_partitions: count(MARKET_DATA),
        heartbeat_partitions: count(HEARTBEATS),
        partitioner: workers::partitioner(settings),
    }
}

/// A folder of one's own, or a fresh one.
fn folder(options: &Options) -> Result<PathBuf, CliError> {
    let make = |path: &Path| {
        std::fs::create_dir_all(path)
            .map_err(|error| {
                let text = format!(
                    "the folder {} cannot be made: {error}. Name a folder that is there or can be made with --dir",
                    path.display()
                );
                CliError::Input(text)
            })
    };
    if let Some(path) = &options.folder {
        make(path)?;
        let log = path.join("tape.db");
        if log.exists() {
            let text = format!(
                "{} is there already, and the demo wants a fresh log: delete it, or name another folder with --dir",
                log.display()
            );
            return Err(CliError::Input(text));
        }
        return Ok(path.clone());
    }
    let fresh = tempfile::Builder::new()
        .prefix(&format!("tapewatch-demo-{}-", options.seed))
        .tempdir()
        .map_err(|error| CliError::Input(format!("a fresh folder: {error}")))?;
    Ok(fresh.keep())
}
