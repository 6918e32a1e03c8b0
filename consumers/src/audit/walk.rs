//! What one task's journal says: positions, counts, what was not processed, and what is open.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::catalogue::journal_topic;
use tapewatch_schemas::journal::{Excluded, InputRange, JournalRecord, OffsetRun};
use tapewatch_schemas::{Digest, Time, TopicName};

use super::Subject;
use crate::injected::Injected;
use crate::scan::Scanner;

/// The head of a task's journal.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Head {
    /// The task.
    pub task: i32,
    /// Sequence number of the last record; none if there is no record.
    pub sequence: Option<i64>,
    /// Its hash.
    pub hash: Digest,
    /// Steps in all.
    pub steps: i64,
    /// Outputs in all.
    pub outputs: i64,
    /// The instant of the last injected event: the task's clock was there or later.
    pub clock: Option<Time>,
    /// Code version of the epoch in force.
    pub code: String,
    /// Configuration version of the epoch in force.
    pub configuration: String,
    /// Who wrote the last record.
    pub instance: String,
    /// Breakers that opened and have not closed.
    pub breakers: Vec<OpenBreaker>,
    /// What is wrong with the chain; empty if it is whole.
    pub problems: Vec<String>,
}

/// A source that is down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenBreaker {
    /// The source topic.
    pub topic: TopicName,
    /// The source partition.
    pub partition: i32,
    /// The first offset that is not taken.
    pub offset: i64,
    /// Since when, on the task's clock.
    pub since: Time,
}

/// A line of law 1 before anything is counted.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) worker: tapewatch_schemas::WorkerName,
    pub(super) task: i32,
    pub(super) at: TopicPartition,
    pub(super) broadcast: bool,
    /// Where counting begins.
    pub(super) from: i64,
    pub(super) position: i64,
    pub(super) gone: i64,
    pub(super) consumed: i64,
    pub(super) processed: i64,
    pub(super) dead: Runs,
    pub(super) skipped: BTreeMap<String, Runs>,
    pub(super) problems: Vec<String>,
    /// The first offset that the log still has.
    earliest: i64,
}

/// Runs of offsets, rising and apart.
#[derive(Debug, Default)]
pub(super) struct Runs(pub(super) Vec<OffsetRun>);

impl Runs {
    /// Adds a run; one that touches the last is one with it.
    pub(super) fn add(&mut self, run: OffsetRun) {
        match self.0.last_mut() {
            Some(last) if last.last + 1 == run.first => last.last = run.last,
            _ => self.0.push(run),
        }
    }

    /// Puts them in order, and gives how many offsets stand in more than one.
    pub(super) fn sort(&mut self) -> i64 {
        self.0.sort_by_key(|run| run.first);
        let overlap = |pair: &[OffsetRun]| (pair[0].last - pair[1].first + 1).max(0);
        self.0.windows(2).map(overlap).sum()
    }

    /// True if one covers the offset. They must be in order.
    pub(super) fn cover(&self, offset: i64) -> bool {
        let after = self.0.partition_point(|run| run.first <= offset);
        after > 0 && self.0[after - 1].last >= offset
    }
}

/// What a walk through a journal found.
pub(super) struct Walk<'a> {
    subject: &'a Subject,
    log: &'a Arc<dyn Log>,
    pub(super) head: Head,
    pub(super) drafts: Vec<Draft>,
}

impl<'a> Walk<'a> {
    /// Walks through the journal of a task.
    pub(super) fn of(
        log: &'a Arc<dyn Log>,
        scanner: &mut Scanner,
        subject: &'a Subject,
        task: i32,
    ) -> Result<Self, LogError> {
        let at = TopicPartition::new(journal_topic(subject.worker.as_str()), task);
        let head = Head { task, ..Head::default() };
        let mut walk = Self { subject, log, head, drafts: Vec::new() };
        scanner.scan::<LogError>(&at, 0, |record| {
            match JournalRecord::open(record.value.unwrap_or_default()) {
                Ok(opened) => walk.take(&opened),
                Err(why) => {
                    walk.head.problems.push(format!("{at} offset {}: {why}", record.offset));
                    Ok(())
                }
            }
        })?;
        for draft in &mut walk.drafts {
            draft.dead.sort();
            draft.skipped.values_mut().for_each(|runs| {
                runs.sort();
            });
        }
        Ok(walk)
    }

    fn take(&mut self, record: &JournalRecord) -> Result<(), LogError> {
        self.link(record);
        for event in &record.injected {
            if event.time > Time::MIN {
                self.head.clock = self.head.clock.max(Some(event.time));
            }
            match Injected::from_journal(event) {
                Ok(event) => self.inject(&event)?,
                Err(why) => self.head.problems.push(format!("sequence {}: {why}", record.sequence)),
            }
        }
        for range in &record.inputs {
            self.range(record.sequence, range)?;
        }
        record.dead_letters.iter().for_each(|excluded| self.exclude(excluded, true));
        record.skipped.iter().for_each(|excluded| self.exclude(excluded, false));
        Ok(())
    }

    /// Sequence numbers rise by one, and each record names the one before.
    fn link(&mut self, record: &JournalRecord) {
        let expected = self.head.sequence.map_or(0, |last| last + 1);
        if record.sequence != expected {
            let text = format!("sequence {} stands where {expected} was expected", record.sequence);
            self.head.problems.push(text);
        } else if record.previous != self.head.hash {
            self.head.problems.push(format!("sequence {}: the chain is broken before it", record.sequence));
        }
        if let Some(epoch) = &record.opens {
            self.head.code.clone_from(&epoch.code);
            self.head.configuration.clone_from(&epoch.configuration);
        }
        self.head.sequence = Some(record.sequence);
        self.head.hash = record.hash;
        self.head.steps = record.first_step + record.steps;
        self.head.outputs += record.outputs;
        self.head.instance.clone_from(&record.instance);
    }

    fn inject(&mut self, event: &Injected) -> Result<(), LogError> {
        match event {
            Injected::Start(start) => {
                for (topic, partition, position) in &start.positions {
                    self.draft(&TopicPartition::new(topic.clone(), *partition), *position)?;
                }
            }
            Injected::SourceDown(down) => self.head.breakers.push(OpenBreaker {
                topic: down.topic.clone(),
                partition: down.partition,
                offset: down.offset,
                since: down.time,
            }),
            Injected::SourceUp(up) => {
                self.head.breakers.retain(|open| (&open.topic, open.partition) != (&up.topic, up.partition));
            }
            Injected::Seek(_) | Injected::Tick(_) | Injected::Neighbour(_) | Injected::Closed(_) => {}
        }
        Ok(())
    }

    fn range(&mut self, sequence: i64, range: &InputRange) -> Result<(), LogError> {
        let at = TopicPartition::new(range.topic.clone(), range.partition);
        let draft = self.draft(&at, range.from)?;
        if draft.position != range.from {
            let text = format!(
                "journal sequence {sequence} begins at offset {}, the one before ended at {}",
                range.from, draft.position
            );
            draft.problems.push(text);
        }
        draft.position = range.to;
        if range.from < draft.earliest {
            draft.gone += draft.consumed + range.count;
            (draft.consumed, draft.processed) = (0, 0);
            draft.from = range.to;
        } else {
            draft.consumed += range.count;
            draft.processed += range.processed;
        }
        Ok(())
    }

    fn exclude(&mut self, excluded: &Excluded, dead: bool) {
        let of =
            |draft: &&mut Draft| draft.at.topic == excluded.topic && draft.at.partition == excluded.partition;
        let Some(draft) = self.drafts.iter_mut().find(of) else { return };
        let runs =
            if dead { &mut draft.dead } else { draft.skipped.entry(excluded.reason.clone()).or_default() };
        excluded.runs.iter().filter(|run| run.first >= draft.from).for_each(|run| runs.add(*run));
    }

    fn draft(&mut self, at: &TopicPartition, from: i64) -> Result<&mut Draft, LogError> {
        if let Some(index) = self.drafts.iter().position(|draft| draft.at == *at) {
            return Ok(&mut self.drafts[index]);
        }
        self.drafts.push(Draft {
            worker: self.subject.worker.clone(),
            task: self.head.task,
            at: at.clone(),
            broadcast: !self.subject.own.contains(&at.topic),
            from,
            position: from,
            gone: 0,
            consumed: 0,
            processed: 0,
            dead: Runs::default(),
            skipped: BTreeMap::new(),
            problems: Vec::new(),
            earliest: self.log.bounds(at)?.earliest,
        });
        Ok(self.drafts.last_mut().expect("one was just put there"))
    }
}
