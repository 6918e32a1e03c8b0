//! Which topics to create, and how.

use std::time::Duration;

use super::{
    Group, Pattern, TOPICS, WORKERS, anchors_topic, dlq_topic, journal_topic, redrive_topic, state_topic,
    topic,
};
use crate::TopicName;

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// Its name.
    pub name: TopicName,
    /// How many partitions.
    pub partitions: u32,
    /// How long records are kept; forever if none.
    pub retention: Option<Duration>,
    /// True if only the last record of each key is kept.
    pub compacted: bool,
    /// The topics that must have the same number of partitions, if any.
    pub group: Option<Group>,
}

/// Every topic that this release's programs read or write: the fixed ones, and journal, anchors, state,
/// dead letters and what comes back from them of each worker. `inputs` is the number of partitions of the co-partitioned inputs,
/// `retention` that of the topics whose retention is configured ([`super::DEFAULT_RETENTION`] if it is
/// not).
pub fn plan(inputs: u32, retention: Duration) -> Vec<TopicPlan> {
    let mut names: Vec<TopicName> =
        TOPICS.iter().filter(|topic| topic.used).map(|topic| TopicName::from(topic.name)).collect();
    for worker in &WORKERS {
        names.extend([journal_topic(worker.name), anchors_topic(worker.name), state_topic(worker.name)]);
        names.extend(worker.reads().map(dlq_topic));
        names.extend(worker.reads().map(redrive_topic));
    }
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| planned(name, inputs, retention)).collect()
}

fn planned(name: TopicName, inputs: u32, retention: Duration) -> TopicPlan {
    let pattern = Pattern::of(name.as_str()).expect("the plan names only topics of the catalogue");
    let plan = TopicPlan {
        partitions: pattern.partitions().count(inputs),
        retention: pattern.retention().span(retention),
        compacted: pattern.compacted(),
        group: topic(name.as_str()).and_then(|topic| topic.group),
        name,
    };
    assert!(plan.partitions > 0, "{} would have no partition", plan.name);
    plan
}
