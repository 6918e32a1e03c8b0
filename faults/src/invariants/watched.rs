//! A worker as the invariants see it.

use std::time::Duration;

use tapewatch_config::Settings;
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::workers;
use tapewatch_eventlog::{Log, LogError};
use tapewatch_schemas::catalogue::RISK;

/// A worker whose work is checked.
#[derive(Clone)]
pub struct Watched {
    /// What it is made of, as it ran. Replay runs it again.
    pub plan: WorkerPlan,
    /// How often its monitor publishes levels; none if it has none.
    pub levels: Option<Duration>,
}

impl Watched {
    /// A worker of this release, as these settings make it.
    ///
    /// # Errors
    /// If the log does not answer, or lacks a topic.
    ///
    /// # Panics
    /// If the name is not one of [`workers::NAMES`].
    pub fn of(name: &str, settings: &Settings, log: &dyn Log) -> Result<Self, LogError> {
        let plan = workers::plan(name, settings, log, "auditor")?;
        Ok(Self { plan, levels: (name == RISK).then_some(settings.risk.publish_every) })
    }

    /// Every worker that these settings have work for.
    ///
    /// # Errors
    /// If the log does not answer, or lacks a topic.
    pub fn all(settings: &Settings, log: &dyn Log) -> Result<Vec<Self>, LogError> {
        workers::wanted(settings).map(|name| Self::of(name, settings, log)).collect()
    }
}
