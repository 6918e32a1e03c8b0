//! No output stands twice: the header that says which step made it rises along every partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::TopicName;

use super::{Subject, partitions};
use crate::outbox::FROM;
use crate::scan::Scanner;

/// An output that stands again, or out of order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Doubled {
    /// The output topic.
    pub topic: TopicName,
    /// The output partition.
    pub partition: i32,
    /// Where it stands.
    pub offset: i64,
    /// What made it: worker, task, step, index.
    pub from: String,
}

/// The first outputs of a worker that stand again, at most one for each partition and task.
pub(super) fn doubled(
    log: &Arc<dyn Log>,
    scanner: &mut Scanner,
    subject: &Subject,
) -> Result<Vec<Doubled>, LogError> {
    let mut found = Vec::new();
    for topic in &subject.outputs {
        for partition in 0..partitions(log, topic)? {
            let at = TopicPartition::new(topic.clone(), partition);
            // A task writes its steps in order, so the last one tells whether this one is new.
            let mut last: BTreeMap<i32, (u64, u32)> = BTreeMap::new();
            let mut told: Vec<i32> = Vec::new();
            scanner.scan::<LogError>(&at, 0, |record| {
                let header = record.headers.get(FROM).and_then(|bytes| std::str::from_utf8(bytes).ok());
                let Some((task, place)) = header.and_then(|from| read(from, subject.worker.as_str())) else {
                    return Ok(());
                };
                let before = last.insert(task, place);
                if before.is_some_and(|before| before >= place) && !told.contains(&task) {
                    told.push(task);
                    found.push(Doubled {
                        topic: topic.clone(),
                        partition,
                        offset: record.offset,
                        from: header.unwrap_or_default().to_owned(),
                    });
                }
                Ok(())
            })?;
        }
    }
    Ok(found)
}

/// Task, and step and index, of an output of this worker.
fn read(from: &str, worker: &str) -> Option<(i32, (u64, u32))> {
    let mut parts = from.strip_prefix(worker)?.strip_prefix('/')?.split('/');
    let task = parts.next()?.parse().ok()?;
    Some((task, (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?)))
}
