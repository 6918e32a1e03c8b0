//! A journalled round's inputs, read again, and its steps in the merge's order.

use std::collections::BTreeMap;

use tapewatch_eventlog::TopicPartition;
use tapewatch_schemas::journal::{Excluded, JournalRecord, OffsetRun, Run};
use tapewatch_schemas::{Digest, Reason, Time};

use super::{DeadRecord, Difference, RerunError};
use crate::core::{Core, Incoming};
use crate::feed::{Feed, Located};
use crate::injected::Injected;
use crate::inspect::{PASSED, Verdict};
use crate::outbox::Outbox;
use crate::pending::{DISCARDED, ELSEWHERE, SOUGHT};

/// So many offsets of a range are looked at together.
const PART: i64 = 10_000;

/// A step of a journalled round.
pub(crate) enum Scripted {
    /// An injected event.
    Injected(Injected),
    /// A record, and what became of it.
    Record {
        /// The record.
        located: Located,
        /// What became of it.
        fate: Fate,
    },
}

/// What became of a record that took a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The monitor took it.
    Taken,
    /// It is a dead letter of the task's own.
    Dead,
    /// It is one because its key was held.
    Held,
    /// It is a dead letter of another task.
    DeadElsewhere,
    /// It came back to be settled, not to be processed.
    Discarded,
}

/// A journalled round step by step, in the merge's order; its inputs must be what they were.
pub(crate) fn script(
    record: &JournalRecord,
    lanes: &BTreeMap<TopicPartition, (i64, Time)>,
    feed: &mut Feed,
) -> Result<Vec<Scripted>, RerunError> {
    let mut events = injected(record)?.into_iter();
    let inputs = inputs(record, lanes, feed)?;
    let mut next: Vec<_> = inputs.iter().map(|intake| intake.steps.iter()).collect();
    let mut steps = Vec::with_capacity(record.steps as usize);
    for run in &record.order {
        for _ in 0..run.count {
            if run.input == Run::INJECTED {
                steps.push(Scripted::Injected(events.next().ok_or_else(|| inconsistent("injected events"))?));
                continue;
            }
            let index = run.input as usize;
            let intake = inputs.get(index).ok_or_else(|| inconsistent("inputs"))?;
            let located = next[index].next().ok_or_else(|| inconsistent("records"))?;
            let offset = located.0.batch.record(located.1).offset;
            let fate = match (covers(&intake.dead, offset), covers(&intake.elsewhere, offset)) {
                (true, _) if covers(&intake.behind, offset) => Fate::Held,
                (true, _) => Fate::Dead,
                (false, true) => Fate::DeadElsewhere,
                (false, false) if covers(&intake.discarded, offset) => Fate::Discarded,
                (false, false) => Fate::Taken,
            };
            steps.push(Scripted::Record { located: located.clone(), fate });
        }
    }
    let complete = events.next().is_none() && next.iter_mut().all(|steps| steps.next().is_none());
    if complete { Ok(steps) } else { Err(inconsistent("steps").into()) }
}

/// Reads the record's input ranges and compares their digests.
pub(super) fn inputs(
    record: &JournalRecord,
    lanes: &BTreeMap<TopicPartition, (i64, Time)>,
    feed: &mut Feed,
) -> Result<Vec<Intake>, RerunError> {
    let mut inputs = Vec::with_capacity(record.inputs.len());
    for range in &record.inputs {
        let at = TopicPartition::new(range.topic.clone(), range.partition);
        if let Some((expected, _)) = lanes.get(&at)
            && *expected != range.from
        {
            return Err(Difference::Position { at, found: range.from, expected: *expected }.into());
        }
        let excluded = |list: &[Excluded], listed: &dyn Fn(&str) -> bool| -> Vec<OffsetRun> {
            let of_range = list
                .iter()
                .filter(|e| e.topic == range.topic && e.partition == range.partition && listed(&e.reason));
            let mut runs: Vec<OffsetRun> = of_range.flat_map(|e| e.runs.iter().copied()).collect();
            runs.sort_by_key(|run| run.first);
            runs
        };
        let passed = excluded(&record.skipped, &takes_no_step);
        let mut hasher = blake3::Hasher::new();
        let mut count = 0;
        let mut records = Vec::new();
        // In parts: what was skipped on purpose may be more than fits.
        let mut from = range.from;
        while from < range.to {
            let to = range.to.min(from.saturating_add(PART));
            let part = feed.range(&at, from, to)?;
            count += part.len() as i64;
            part.iter().for_each(|(fetched, index)| {
                hasher.update(&fetched.verdicts[*index].digest.0);
            });
            let keep = |(fetched, index): &Located| !covers(&passed, fetched.batch.record(*index).offset);
            match (passed.is_empty(), records.is_empty()) {
                (true, true) => records = part,
                (true, false) => records.extend(part),
                (false, _) => records.extend(part.into_iter().filter(keep)),
            }
            from = to;
        }
        let found = Digest::from(hasher.finalize());
        if count != range.count || found != range.digest {
            let (said_count, said, from, to) = (range.count, range.digest, range.from, range.to);
            return Err(Difference::Input { at, from, to, count, said_count, found, said }.into());
        }
        let dead = excluded(&record.dead_letters, &|_| true);
        let behind = excluded(&record.dead_letters, &|reason| reason == Reason::HeldBehind.as_str());
        let elsewhere = excluded(&record.skipped, &|reason| reason == ELSEWHERE);
        let discarded = excluded(&record.skipped, &|reason| reason == DISCARDED);
        inputs.push(Intake { at, dead, behind, elsewhere, discarded, steps: records, merge_time: Time::MIN });
    }
    for intake in &mut inputs {
        let good = intake.steps.iter().filter_map(|(fetched, index)| {
            let offset = fetched.batch.record(*index).offset;
            if intake.is_dead(offset) { None } else { fetched.verdicts[*index].event_time() }
        });
        intake.merge_time = good.max().unwrap_or(Time::MIN);
    }
    Ok(inputs)
}

/// One input range, ready to be followed.
pub(super) struct Intake {
    at: TopicPartition,
    /// Dead letters of the task's own, of these the ones that were held, and those that another task writes.
    dead: Vec<OffsetRun>,
    behind: Vec<OffsetRun>,
    elsewhere: Vec<OffsetRun>,
    /// What a person has given up.
    discarded: Vec<OffsetRun>,
    /// The records that take a step.
    pub(super) steps: Vec<Located>,
    /// The latest event time among those that were taken.
    pub(super) merge_time: Time,
}

impl Intake {
    fn is_dead(&self, offset: i64) -> bool {
        covers(&self.dead, offset) || covers(&self.elsewhere, offset)
    }

    pub(super) fn step(
        &self,
        core: &mut Core,
        (fetched, index): &Located,
        outbox: &mut Outbox,
        compare: bool,
    ) -> Result<(), Difference> {
        let record = fetched.batch.record(*index);
        let redriven = fetched.verdicts[*index].redriven.as_deref();
        let one = Incoming { record: &record, topic: &fetched.topic, redriven };
        if covers(&self.behind, record.offset) {
            core.hold_back(&one);
            return Ok(());
        }
        if self.is_dead(record.offset) {
            core.fail(&one, covers(&self.dead, record.offset));
            return Ok(());
        }
        if covers(&self.discarded, record.offset) {
            core.discard(&one);
            return Ok(());
        }
        let why = match &fetched.verdicts[*index].verdict {
            Verdict::Take(_) if core.blocks(&one).is_some() => "its key is held".to_owned(),
            Verdict::Take(event) => match core.observe(&one, event, outbox) {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal.to_string(),
            },
            Verdict::Bad(fault) => fault.text.clone(),
            Verdict::Pass => "it is of no concern to this worker".to_owned(),
        };
        if compare {
            return Err(Difference::Fate { at: self.at.clone(), offset: record.offset, why });
        }
        core.fail(&one, true);
        Ok(())
    }
}

pub(super) fn injected(record: &JournalRecord) -> Result<Vec<Injected>, Difference> {
    let events = record.injected.iter().map(Injected::from_journal).collect::<Result<Vec<_>, _>>();
    events.map_err(Difference::Inconsistent)
}

pub(super) fn dead_of(excluded: &Excluded, inputs: &[Intake]) -> Vec<DeadRecord> {
    let of =
        |intake: &&Intake| intake.at.topic == excluded.topic && intake.at.partition == excluded.partition;
    let located = inputs.iter().filter(of).flat_map(|intake| &intake.steps);
    let dead = located.filter(|(fetched, index)| covers(&excluded.runs, fetched.batch.record(*index).offset));
    dead.map(|located| DeadRecord { reason: excluded.reason.clone(), located: located.clone() }).collect()
}

pub(super) fn inconsistent(what: &str) -> Difference {
    Difference::Inconsistent(format!("its order and its {what} do not add up"))
}

/// True if records that are excluded for this reason take no step.
fn takes_no_step(reason: &str) -> bool {
    reason == PASSED || reason == SOUGHT
}

/// True if a run covers the offset; runs are sorted and do not overlap.
pub(crate) fn covers(runs: &[OffsetRun], offset: i64) -> bool {
    let after = runs.partition_point(|run| run.first <= offset);
    after > 0 && runs[after - 1].last >= offset
}
