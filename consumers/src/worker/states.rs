//! The states that a worker writes beside its outputs: snapshots to restart from, anchors to replay from.

use tapewatch_eventlog::{Round, TopicPartition};
use tapewatch_schemas::catalogue::{anchors_topic, state_topic};

use crate::plan::WorkerPlan;
use crate::snapshot::{Manifest, anchor_prefix, records as state_records, snapshot_prefix};
use crate::task::Task;

/// State above this size is kept in anchors only.
const MAX_SNAPSHOT_BYTES: usize = 32 << 20;

pub(crate) fn add_snapshot(round: &mut Round, task: &Task, plan: &WorkerPlan) {
    let state = task.save().encode();
    if state.len() > MAX_SNAPSHOT_BYTES {
        tracing::warn!(worker = %plan.worker, partition = task.core.partition(), bytes = state.len(), "the state is above 32 MiB: kept in anchors only");
        return;
    }
    let target = TopicPartition::new(state_topic(plan.worker.as_str()), task.core.partition());
    round.records.extend(state_records(&target, &snapshot_prefix(), &state, manifest(task, "", "")));
}

pub(crate) fn add_anchor(round: &mut Round, task: &Task, plan: &WorkerPlan, why: &str) {
    let target = TopicPartition::new(anchors_topic(plan.worker.as_str()), task.core.partition());
    let prefix = anchor_prefix(task.sequence - 1);
    let state = task.save().encode();
    round.records.extend(state_records(&target, &prefix, &state, manifest(task, why, &plan.configuration)));
}

fn manifest(task: &Task, why: &str, configuration: &str) -> Manifest {
    Manifest {
        format: 0,
        sequence: task.sequence - 1,
        hash: task.previous.to_string(),
        journal_offset: task.journal_offset,
        epoch: task.epoch.to_string(),
        clock: task.core.clock().micros(),
        chunks: 0,
        bytes: 0,
        digest: String::new(),
        why: why.to_owned(),
        configuration: configuration.to_owned(),
    }
}
