//! A worker that others read under another configuration: its outputs, each with its place in the recorded run.

use std::sync::Arc;

use tapewatch_eventlog::{Log, TopicPartition};
use tapewatch_schemas::journal::JournalRecord;
use tapewatch_schemas::{Time, TopicName};

use super::imagined::Imagined;
use super::scratch::{Place, Scratch};
use super::{Progress, WhatIfError};
use crate::feed::{Feed, FeedError};
use crate::injected::Injected;
use crate::inspect::Verdict;
use crate::outbox::Outbox;
use crate::plan::WorkerPlan;
use crate::replay::journal::Journals;
use crate::replay::least;
use crate::replay::outputs::Outputs;
use crate::rerun::{Fate, RerunError, Scripted};

/// All tasks of the worker, side by side.
pub(super) struct Leader<'a> {
    plan: &'a WorkerPlan,
    feed: Feed,
    journals: Journals,
    /// The recorded outputs, to know which places are taken.
    outputs: Outputs,
    tasks: Vec<Imagined>,
    /// The topics whose outputs are wanted.
    between: &'a [(TopicName, i32)],
}

impl<'a> Leader<'a> {
    /// Opens its journals, from their first records.
    pub(super) fn open(
        log: &Arc<dyn Log>,
        plan: &'a WorkerPlan,
        scratch: &Scratch,
        between: &'a [(TopicName, i32)],
    ) -> Result<Self, WhatIfError> {
        let worker = plan.worker.as_str();
        let tasks =
            scratch.writers().iter().find(|(name, _)| name == &plan.worker).map_or(0, |(_, tasks)| *tasks);
        let of: Vec<i32> = (0..tasks).collect();
        let targets = between
            .iter()
            .flat_map(|(topic, count)| (0..*count).map(|number| TopicPartition::new(topic.clone(), number)));
        let outputs = Outputs::open(log, worker, (&of, tasks), targets)?;
        let mut journals = Journals::new(log, worker)?;
        for task in &of {
            open_whole(&mut journals, *task)?;
        }
        let feed = Feed::shared(Arc::clone(log), plan.inspector.clone(), plan.broadcast.clone())?;
        let tasks = of.iter().map(|task| Imagined::new(plan.blueprint.clone(), *task)).collect();
        Ok(Self { plan, feed, journals, outputs, tasks, between })
    }

    /// Runs to the ends of the journals.
    pub(super) fn run(mut self, scratch: &mut Scratch, progress: Progress<'_>) -> Result<(), WhatIfError> {
        let mut at: Vec<Option<i64>> = vec![Some(i64::MIN); self.tasks.len()];
        while let Some(next) = least(&at) {
            let task = next as i32;
            let Some((published, record)) = read(&mut self.journals, task)? else {
                at[next] = None;
                continue;
            };
            self.round(task, published, &record, scratch)?;
            let shared = |topic: &TopicName| self.plan.broadcast.contains(topic);
            let lanes = self.tasks[next].lanes().iter();
            at[next] =
                Some(lanes.filter(|(at, _)| shared(&at.topic)).map(|(_, (position, _))| position).sum());
            self.release(&at);
            let (done, total) = self.journals.progress();
            progress(done, total);
        }
        scratch.flush()?;
        Ok(())
    }

    /// Lets go of what every task has read.
    fn release(&mut self, at: &[Option<i64>]) {
        let left = || self.tasks.iter().zip(at).filter(|(_, at)| at.is_some()).map(|(task, _)| task);
        let Some(first) = left().next() else { return };
        for input in first.lanes().keys().filter(|input| self.plan.broadcast.contains(&input.topic)) {
            let positions = left().map(|task| task.lanes().get(input).map_or(0, |(position, _)| *position));
            self.feed.release(input, positions.min().unwrap_or(0));
        }
    }

    fn round(
        &mut self,
        task: i32,
        published: Time,
        record: &JournalRecord,
        scratch: &mut Scratch,
    ) -> Result<(), WhatIfError> {
        let imagined = &mut self.tasks[task as usize];
        let steps = imagined
            .read(record, &mut self.feed)
            .map_err(|why| broken(self.plan, task, imagined.sequence(), why))?;
        let mut outbox = Outbox::default();
        for (step, scripted) in (record.first_step..).zip(steps) {
            let own = one(imagined, scripted, &mut outbox);
            for (index, (_, output)) in std::mem::take(&mut outbox).records.into_iter().enumerate() {
                let target = output.target.clone();
                if !self.between.iter().any(|(topic, _)| *topic == target.topic) {
                    continue;
                }
                let recorded = index >= own && self.outputs.stands(task, &target, step)?;
                let lead =
                    scratch.lead(self.plan.worker.as_str(), task).expect("its tasks have their places");
                scratch.push(lead, output, Place { step, recorded, published })?;
            }
        }
        Ok(())
    }
}

/// Takes one step. Gives how many of the outputs come from what was due before it.
fn one(imagined: &mut Imagined, scripted: Scripted, outbox: &mut Outbox) -> usize {
    match scripted {
        Scripted::Injected(Injected::Tick(time)) => {
            imagined.tick_before(time, outbox);
            let before = outbox.len();
            imagined.inject(&Injected::Tick(time), outbox);
            before
        }
        Scripted::Injected(event) => {
            imagined.inject(&event, outbox);
            0
        }
        Scripted::Record { located: (fetched, index), fate } => {
            let (at, record) = (fetched.batch.source(), fetched.batch.record(index));
            if let (Fate::Taken, Verdict::Take(event)) = (fate, &fetched.verdicts[index].verdict) {
                imagined.tick_before(imagined.merge_time(at, Some(event.event_time())), outbox);
                let before = outbox.len();
                imagined.take(at, &record, event, outbox);
                return before;
            }
            imagined.pass(at, &record, fate, outbox);
            outbox.len()
        }
    }
}

/// Opens a task's journal, which must be there from its first record.
pub(super) fn open_whole(journals: &mut Journals, task: i32) -> Result<(), WhatIfError> {
    journals.open(task, 0)?;
    match journals.earliest(task) {
        0 => Ok(()),
        earliest => Err(WhatIfError::Begun { at: journals.at(task), earliest }),
    }
}

/// The next record of a task's journal, and when it was published.
pub(super) fn read(journals: &mut Journals, task: i32) -> Result<Option<(Time, JournalRecord)>, WhatIfError> {
    let Some(entry) = journals.next(task)? else { return Ok(None) };
    let (at, offset) = (journals.at(task), entry.offset);
    let record = entry.record.map_err(|why| WhatIfError::Journal { at, offset, why })?;
    Ok(Some((entry.published, record)))
}

pub(super) fn broken(plan: &WorkerPlan, partition: i32, sequence: i64, why: RerunError) -> WhatIfError {
    match why {
        RerunError::Feed(FeedError::Log(why)) => WhatIfError::Log(why),
        why => WhatIfError::Round { worker: plan.worker.clone(), partition, sequence, why },
    }
}
