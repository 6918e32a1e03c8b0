//! What every simulation needs and none changes: settings, plans and topics, made once.

use std::time::Duration;

use tapewatch_config::Settings;
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::workers;
use tapewatch_eventlog::{LogError, OpenOptions, TopicSpec, open};

use super::scenario::Scenario;
use crate::invariants::Watched;

/// Partition counts of the co-partitioned topics.
const PARTITIONS: [u32; 2] = [2, 3];

/// The settings that differ from the defaults: small windows, bounds that are met, short waits.
const SET: [(&str, &str); 20] = [
    ("RUNTIME__SNAPSHOT_ROUNDS", "4"),
    ("RUNTIME__ANCHOR_EVERY", "30s"),
    ("RUNTIME__MAX_IDLE", "2s"),
    ("RUNTIME__MAX_CARRY", "100ms"),
    ("BREAKER__WINDOW", "8"),
    ("BREAKER__MINIMUM_CALLS", "4"),
    ("BREAKER__WAIT", "3s"),
    ("BREAKER__PERMITTED", "3"),
    ("RISK__PUBLISH_EVERY", "5s"),
    ("RISK__VAR__SAMPLE", "2s"),
    ("RISK__VAR__MINIMUM", "5"),
    ("RISK__HISTORY__INTERVAL", "2s"),
    ("RISK__HISTORY__WINDOW", "40s"),
    ("RISK__HISTORY__MINIMUM", "5"),
    ("RISK__FRESHNESS__MARKS", "10s"),
    ("RISK__FRESHNESS__EXECUTIONS", "20s"),
    ("RISK__FRESHNESS__ACCOUNTS", "20s"),
    ("FIRM__SCOPES", r#"[{ scope = "firm:all" }, { scope = "desk:one", portfolios = ["p0", "p1"] }]"#),
    (
        "FIRM__LIMITS",
        r#"[{ name = "firm_gross", measure = "gross_exposure", hard = 20_000, on_hard = "halt" }]"#,
    ),
    ("FIRM__BOOKS", "20s"),
];

/// What simulations share.
pub struct Stock(Vec<Variant>);

/// What simulations with the same settings share.
pub(super) struct Variant {
    tape: bool,
    partitions: u32,
    hold: bool,
    pub(super) topics: Vec<TopicSpec>,
    /// In the pipeline's order.
    workers: Vec<Watched>,
}

impl Stock {
    /// Makes all of it.
    ///
    /// # Errors
    /// If there is no log in memory.
    pub fn new() -> Result<Self, LogError> {
        let mut variants = Vec::new();
        for tape in [true, false] {
            for partitions in PARTITIONS {
                for hold in [true, false] {
                    variants.push(Variant::new(tape, partitions, hold)?);
                }
            }
        }
        Ok(Self(variants))
    }

    pub(super) fn of(&self, scenario: &Scenario) -> &Variant {
        let drawn = (scenario.tape, scenario.partitions, scenario.hold);
        let fits = |variant: &&Variant| (variant.tape, variant.partitions, variant.hold) == drawn;
        self.0.iter().find(fits).expect("a scenario draws from the variants that there are")
    }

    /// One of the partition counts.
    pub(super) fn partitions(number: u64) -> u32 {
        PARTITIONS[(number % PARTITIONS.len() as u64) as usize]
    }
}

impl Variant {
    fn new(tape: bool, partitions: u32, hold: bool) -> Result<Self, LogError> {
        let own = [
            ("DEAD_LETTERS__ON_DEAD_LETTER", if hold { "hold_key" } else { "continue" }.to_owned()),
            ("TOPICS__PARTITIONS", partitions.to_string()),
            ("RUNTIME__CLOCK", if tape { "tape" } else { "wall" }.to_owned()),
            ("RUNTIME__HEARTBEAT_EVERY", if tape { "4s" } else { "1s" }.to_owned()),
            ("RISK__VAR__WINDOW", if tape { "40s" } else { "20" }.to_owned()),
            // Soon after the time at which a simulation begins.
            ("RISK__DAY__STARTS", if tape { "12h26m50s" } else { "14h13m30s" }.to_owned()),
        ];
        let set = SET.iter().map(|(name, value)| (*name, (*value).to_owned())).chain(own);
        let vars = set.map(|(name, value)| (format!("TAPEWATCH_{name}"), value));
        let settings =
            Settings::load(None, None, vars).expect("the simulator's settings are tested to be valid");
        let log = open("sqlite::memory:", &OpenOptions::default())?;
        let topics = workers::topic_specs(&settings);
        log.create(&topics)?;
        let workers = Watched::all(&settings, &*log)?;
        Ok(Self { tape, partitions, hold, topics, workers })
    }

    /// The workers as the scenario has them.
    pub(super) fn watched(&self, scenario: &Scenario) -> Vec<Watched> {
        let mut workers = self.workers.clone();
        workers.iter_mut().for_each(|watched| watched.plan.blueprint.hold.most = scenario.max_held);
        workers
    }

    /// The plan that is the same for all instances of a worker.
    pub(super) fn worker(&self, worker: usize) -> &WorkerPlan {
        &self.workers[worker].plan
    }

    /// The plan of an instance, with the scenario's bounds.
    pub(super) fn plan(&self, worker: usize, instance: &str, scenario: &Scenario) -> WorkerPlan {
        let mut plan = self.workers[worker].plan.clone();
        instance.clone_into(&mut plan.instance);
        plan.blueprint.hold.most = scenario.max_held;
        plan.runtime.max_records = scenario.max_records;
        plan.runtime.lane_records = scenario.lane_records;
        plan.runtime.linger = scenario.linger;
        plan.runtime.linger_max = scenario.linger.max(Duration::from_millis(1)) * 4;
        plan
    }
}
