//! What a worker is made of: inputs, blueprint, bounds. Composed from the settings in [`crate::workers`].

use std::time::Duration;

use tapewatch_schemas::journal::Epoch;
use tapewatch_schemas::{Time, TopicName, WorkerName};

use crate::core::Blueprint;
use crate::inspect::Inspector;
use crate::letters::Letters;

/// Everything that a worker is told.
#[derive(Clone)]
pub struct WorkerPlan {
    /// Its name.
    pub worker: WorkerName,
    /// Its group: that of [`group_of`].
    pub group: String,
    /// Its stable name.
    pub instance: String,
    /// The co-partitioned inputs: partition p of each is task p.
    pub own: Vec<TopicName>,
    /// The inputs that are read in full by every task.
    pub broadcast: Vec<TopicName>,
    /// Of all inputs, those that need not be waited for on the tape's clock while nobody is known to write.
    pub optional: Vec<TopicName>,
    /// What its cores are made of.
    pub blueprint: Blueprint,
    /// Decodes and checks its inputs.
    pub inspector: Inspector,
    /// Writes its dead letters.
    pub letters: Letters,
    /// What must be the same for a replay to give the same bytes.
    pub epoch: Epoch,
    /// The semantic configuration, for anchors.
    pub configuration: String,
    /// Bounds and timings.
    pub runtime: RuntimeParameters,
}

/// Bounds and timings of a worker. None of them changes what is written, only when.
#[derive(Clone, Debug, PartialEq)]
pub struct RuntimeParameters {
    /// True if time is the tape's alone.
    pub tape_clock: bool,
    /// A round of one task closes at so many records and injected events.
    pub max_records: usize,
    /// A round of one task closes at so many bytes of outputs.
    pub max_bytes: usize,
    /// A round waits so long for more, while commits are fast.
    pub linger: Duration,
    /// The longest a round waits, however slow commits are.
    pub linger_max: Duration,
    /// How long the merge waits for a caught-up source.
    pub max_wait: Duration,
    /// How long the merge waits for any other source.
    pub max_idle: Duration,
    /// How long a task may put off writing its positions in broadcast inputs.
    pub max_carry: Duration,
    /// Where a task without a journal starts.
    pub start: StartAt,
    /// A snapshot is due after so many journal records of a task.
    pub snapshot_rounds: u32,
    /// … or after so long, whichever is first.
    pub snapshot_every: Duration,
    /// An anchor is due when a task's clock crosses a multiple of this.
    pub anchor_every: Duration,
    /// How long a silent member keeps its partitions.
    pub session: Duration,
    /// A lane that holds this many records is not fetched until it holds half.
    pub lane_records: usize,
    /// Where the admin endpoint answers; none if there is none.
    pub admin: Option<String>,
}

/// Where a task without a journal starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the first record that is there.
    Earliest,
    /// At the end.
    Latest,
    /// At the first record published at or after this.
    Time(Time),
}

/// The group of a worker: `tapewatch.<worker>`.
pub fn group_of(worker: &str) -> String {
    format!("tapewatch.{worker}")
}
