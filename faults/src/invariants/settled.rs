//! No partition is stuck behind an open transaction: a committed reader comes to the end that an
//! uncommitted one sees.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{Log, LogError, Polled, TopicPartition};

use super::{Invariant, Violation};

/// One look for news.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn check(log: &Arc<dyn Log>, within: Duration) -> Result<Vec<Violation>, LogError> {
    let mut waiting = BTreeMap::new();
    let mut starts = Vec::new();
    for info in log.topics()? {
        for partition in 0..info.partitions {
            let at = TopicPartition::new(info.name.clone(), partition);
            let bounds = log.bounds(&at)?;
            // The last offset alone tells: whoever passes it has passed all before it.
            if bounds.end > bounds.earliest {
                starts.push((at.clone(), bounds.end - 1));
                waiting.insert(at, bounds.end);
            }
        }
    }
    let mut reader = log.reader()?;
    reader.assign(&starts)?;
    let mut reached: BTreeMap<TopicPartition, i64> = starts.into_iter().collect();
    let deadline = Instant::now() + within;
    while !waiting.is_empty() && Instant::now() < deadline {
        let (at, position) = match reader.poll(LOOK)? {
            Polled::Batch(batch) => match batch.iter().last() {
                Some(record) => (batch.source().clone(), record.offset + 1),
                None => continue,
            },
            Polled::End { at, position } => (at, position),
            _ => continue,
        };
        if waiting.get(&at).is_some_and(|end| position >= *end) {
            waiting.remove(&at);
        }
        reached.insert(at, position);
    }
    let stuck = waiting.into_iter().map(|(at, end)| {
        let position = reached.get(&at).copied().unwrap_or_default();
        let found = format!("after {within:?} committed records end at or before offset {position}");
        Violation::new(Invariant::Settled, found, format!("its end, offset {end}")).at(&at).offset(position)
    });
    Ok(stuck.collect())
}
