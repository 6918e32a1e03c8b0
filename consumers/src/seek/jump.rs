//! The jump: what is skipped is counted and journalled, in one transaction with every position.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tapewatch_eventlog::{CommitError, Log, LogError, Round, TopicPartition, Writer};
use tapewatch_schemas::Digest;
use tapewatch_schemas::catalogue::journal_topic;
use tapewatch_schemas::journal::JournalRecord;

use super::membership::Membership;
use super::{Request, Reset, SeekError};
use crate::feed::Feed;
use crate::plan::WorkerPlan;
use crate::scan::Scanner;
use crate::task::{PART, Passed, Task};
use crate::worker::{add_anchor, add_snapshot, journal_record};

/// A round that fails so often is given up.
const ATTEMPTS: u32 = 3;

/// The jump in the making.
pub(super) struct Jump<'a> {
    pub(super) plan: &'a WorkerPlan,
    pub(super) log: &'a Arc<dyn Log>,
    pub(super) request: &'a Request,
    pub(super) tasks: BTreeMap<i32, Task>,
}

impl Jump<'_> {
    /// Takes what lies between as skipped, and moves the lane. Gives the position before, and the count.
    pub(super) fn take(&mut self, to: i64, membership: &mut Membership) -> Result<(i64, i64), SeekError> {
        let (log, request, plan) = (self.log, self.request, self.plan);
        let at = &request.at;
        let task = self.tasks.get_mut(&self.request.at.partition).expect("every task was restored");
        let lane = task.lane_of(at).expect("every input of a restored task has a lane");
        let from = task.merge.lanes[lane].position;
        if to < from {
            let worker = plan.worker.to_string();
            return Err(SeekError::Backwards { worker, at: at.clone(), position: from, to });
        }
        let bounds = log.bounds(at)?;
        let end = bounds.end;
        if to > end.max(from) {
            return Err(SeekError::Beyond { at: at.clone(), to, end });
        }
        let mut feed = Feed::new(Arc::clone(log), plan.inspector.clone())?;
        let (mut skipped, mut next, mut through) = (0, from, None);
        while next < to {
            let until = to.min(next.saturating_add(PART));
            // What retention has removed is passed over, and not there to be counted.
            let records = feed.range(at, next.max(bounds.earliest).min(until), until)?;
            through = through.max(task.pass_over(lane, from, &records));
            skipped += records.len() as i64;
            membership.poll(Duration::ZERO)?;
            membership.still_all()?;
            next = until;
        }
        let (who, why) = (request.who.as_str(), request.why.as_str());
        task.stand_behind(&Passed { lane, from, to, who, why }, through);
        Ok((from, skipped))
    }

    /// The positions that the transaction writes: of every task that has a journal, or gets one now.
    pub(super) fn offsets(&self) -> Vec<(TopicPartition, i64)> {
        let begun = |task: &&Task| task.sequence > 0 || task.core.partition() == self.request.at.partition;
        self.tasks.values().filter(begun).flat_map(Task::offsets).collect()
    }

    /// Where the group does not stand at the journal's position. Asked before anything is taken.
    pub(super) fn resets(&self) -> Result<Vec<Reset>, LogError> {
        let offsets = self.offsets();
        let of: Vec<TopicPartition> = offsets.iter().map(|(at, _)| at.clone()).collect();
        let found = self.log.group_offsets(&self.plan.group, &of)?;
        let moved = offsets.into_iter().zip(found).filter_map(|((at, to), found)| {
            let from = found.filter(|from| *from != to)?;
            Some(Reset { topic: at.topic, partition: at.partition, from, to })
        });
        Ok(moved.collect())
    }

    /// Writes the journal record, a snapshot after it and every offset, in one transaction.
    pub(super) fn commit(
        &mut self,
        writer: &mut dyn Writer,
        membership: &Membership,
    ) -> Result<i64, SeekError> {
        let plan = self.plan;
        let task = self.tasks.get_mut(&self.request.at.partition).expect("every task was restored");
        let opens = task.opens.is_some();
        let sealed = task.seal(&plan.instance);
        let journal_from = task.journal_offset;
        let mut round = Round::default();
        round.records.extend(sealed.outputs.into_iter().map(|(_, record)| record));
        round.records.push(journal_record(plan.worker.as_str(), sealed.record.partition, sealed.journal));
        if opens {
            add_anchor(&mut round, task, plan, "epoch");
        }
        // So that no restore has to read again what was skipped.
        add_snapshot(&mut round, task, plan);
        round.offsets = self.offsets();
        let (sequence, hash) = (sealed.record.sequence, sealed.record.hash);
        let mut failures = 0;
        loop {
            let fence = membership.member.fence()?;
            let Err(why) = writer.commit(&round, Some(&fence)) else { return Ok(sequence) };
            let decided = match why {
                // Nothing may be sent again before it is known that nothing of it was written.
                CommitError::Unknown(_) => writer.recover().map(|()| true),
                CommitError::Aborted(_) => Ok(false),
                CommitError::Fenced(_) | CommitError::Refused(_) => Err(why.clone()),
            };
            failures += 1;
            match decided {
                Ok(true) if self.is_written(journal_from, sequence, hash)? => return Ok(sequence),
                Ok(_) if failures < ATTEMPTS => {}
                Ok(_) => return Err(SeekError::Commit { at: self.request.at.clone(), why }),
                Err(why) => return Err(SeekError::Commit { at: self.request.at.clone(), why }),
            }
        }
    }

    pub(super) fn is_written(&self, from: i64, sequence: i64, hash: Digest) -> Result<bool, LogError> {
        let topic = journal_topic(self.plan.worker.as_str());
        let journal = TopicPartition::new(topic, self.request.at.partition);
        let mut written = false;
        Scanner::new(Arc::clone(self.log))?.scan::<LogError>(&journal, from, |record| {
            let opened = record.value.and_then(|value| JournalRecord::open(value).ok());
            written |= opened.is_some_and(|found| found.sequence == sequence && found.hash == hash);
            Ok(())
        })?;
        Ok(written)
    }
}
