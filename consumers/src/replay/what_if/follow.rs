//! The worker that alerts under another configuration, over the leaders' new outputs.

use std::sync::Arc;

use tapewatch_eventlog::{Log, LogError, RecordRef, TopicPartition};
use tapewatch_schemas::catalogue::{self, ALERTS, journal_topic};
use tapewatch_schemas::{Event, Time, TopicName};

use super::alerts::Book;
use super::imagined::Imagined;
use super::lead::{broken, open_whole, read};
use super::scratch::{Fresh, Lead, Scratch, Streams, unreadable};
use super::{Progress, WhatIfError, commits};
use crate::audit::partitions;
use crate::feed::{Feed, Located};
use crate::injected::Injected;
use crate::inspect::Verdict;
use crate::outbox::Outbox;
use crate::plan::WorkerPlan;
use crate::replay::journal::Journals;
use crate::replay::outputs::written_by;
use crate::rerun::{Fate, Scripted};

/// Where the merge puts a record: after how many commits of the worker it was published, its merge time, its
/// partition.
type Key = (usize, Time, TopicPartition);

/// The worker that alerts.
pub(super) struct Follower<'a> {
    log: &'a Arc<dyn Log>,
    plan: &'a WorkerPlan,
    scratch: &'a Scratch,
    commits: Vec<Time>,
}

impl<'a> Follower<'a> {
    /// Looks when it committed.
    pub(super) fn open(
        log: &'a Arc<dyn Log>,
        plan: &'a WorkerPlan,
        scratch: &'a Scratch,
    ) -> Result<Self, LogError> {
        let commits = commits(log, plan.worker.as_str())?;
        Ok(Self { log, plan, scratch, commits })
    }

    /// Runs each task, one after another, and collects the alerts.
    pub(super) fn run(&self, book: &mut Book, progress: Progress<'_>) -> Result<(), WhatIfError> {
        let worker = self.plan.worker.as_str();
        let tasks = partitions(self.log, &journal_topic(worker))?;
        let mut journals = Journals::new(self.log, worker)?;
        for task in 0..tasks {
            open_whole(&mut journals, task)?;
        }
        for task in 0..tasks {
            let mut turn = Turn {
                follower: self,
                imagined: Imagined::new(self.plan.blueprint.clone(), task),
                feed: Feed::new(Arc::clone(self.log), self.plan.inspector.clone())?,
                streams: self.streams(task)?,
                outbox: Outbox::default(),
            };
            while let Some((published, record)) = read(&mut journals, task)? {
                let sequence = turn.imagined.sequence();
                let steps = turn.imagined.read(&record, &mut turn.feed);
                let steps = steps.map_err(|why| broken(self.plan, task, sequence, why))?;
                turn.round(published, steps)?;
                self.collect(&mut turn.outbox, book)?;
                let (done, total) = journals.progress();
                progress(done, total);
            }
            turn.finish()?;
            self.collect(&mut turn.outbox, book)?;
        }
        Ok(())
    }

    /// The new outputs that a task reads. What people wrote, or sent back, is as it was recorded.
    fn streams(&self, task: i32) -> Result<Streams, LogError> {
        let writers = self.scratch.writers().iter().filter_map(|(name, _)| catalogue::worker(name.as_str()));
        let written: Vec<&str> = writers.flat_map(|writer| writer.outputs.iter().copied()).collect();
        let replaced = |topic: &&TopicName| written.contains(&topic.as_str());
        let own = self.plan.own.iter().filter(replaced);
        let mut of: Vec<TopicPartition> = own.map(|topic| TopicPartition::new(topic.clone(), task)).collect();
        for topic in self.plan.broadcast.iter().filter(replaced) {
            let count = partitions(self.log, topic)?;
            of.extend((0..count).map(|number| TopicPartition::new(topic.clone(), number)));
        }
        self.scratch.streams(&of, &self.plan.inspector.codec)
    }

    fn collect(&self, outbox: &mut Outbox, book: &mut Book) -> Result<(), LogError> {
        for (_, output) in std::mem::take(outbox).records {
            if output.target.topic.as_str() != ALERTS {
                continue;
            }
            let event = self.plan.inspector.codec.decode(ALERTS, output.value.as_deref().unwrap_or_default());
            if let Event::Alert(alert) = event.map_err(|why| unreadable(&output.target, -1, &why))? {
                book.add(alert);
            }
        }
        Ok(())
    }

    /// How many commits of the worker were published at or before this.
    fn generation(&self, published: Time) -> usize {
        self.commits.partition_point(|commit| *commit <= published)
    }
}

/// One task.
struct Turn<'f, 'a> {
    follower: &'f Follower<'a>,
    imagined: Imagined,
    feed: Feed,
    streams: Streams,
    outbox: Outbox,
}

impl Turn<'_, '_> {
    fn round(&mut self, published: Time, steps: Vec<Scripted>) -> Result<(), WhatIfError> {
        let committed = self.follower.generation(published).saturating_sub(1);
        for index in 0..steps.len() {
            match &steps[index] {
                Scripted::Injected(event) => {
                    let then = steps[index..].iter().find_map(|step| self.published(step));
                    self.inject(event, then.unwrap_or(committed))?;
                }
                Scripted::Record { located, fate } => self.record(located, *fate)?,
            }
        }
        Ok(())
    }

    /// The generation of a recorded record.
    fn published(&self, step: &Scripted) -> Option<usize> {
        let Scripted::Record { located: (fetched, index), .. } = step else { return None };
        Some(self.follower.generation(fetched.batch.record(*index).timestamp))
    }

    fn inject(&mut self, event: &Injected, generation: usize) -> Result<(), LogError> {
        let first = TopicPartition::new("", i32::MIN);
        match event {
            // It stands after what was taken with a merge time up to its own.
            Injected::Tick(time) => self.before(&(generation, Time(time.0.saturating_add(1)), first))?,
            Injected::Closed(_) => self.before(&(generation, Time::MAX, first))?,
            _ => {}
        }
        self.imagined.inject(event, &mut self.outbox);
        Ok(())
    }

    fn record(&mut self, (fetched, index): &Located, fate: Fate) -> Result<(), WhatIfError> {
        let (at, record) = (fetched.batch.source(), fetched.batch.record(*index));
        let event = match &fetched.verdicts[*index].verdict {
            Verdict::Take(event) if fate == Fate::Taken => Some(event),
            _ => None,
        };
        let time = self.imagined.merge_time(at, event.map(Event::event_time));
        self.before(&(self.follower.generation(record.timestamp), time, at.clone()))?;
        let lead = |(worker, task, place): (&str, i32, (i64, i64))| {
            self.follower.scratch.lead(worker, task).map(|lead| (lead, place))
        };
        if let Some((lead, (step, _))) = written_by(&record).and_then(lead) {
            return Ok(self.replace(at, lead, (step, record.offset))?);
        }
        match event {
            Some(event) => self.imagined.take(at, &record, event, &mut self.outbox),
            None => self.imagined.pass(at, &record, fate, &mut self.outbox),
        }
        Ok(())
    }

    /// Takes what goes before this place: what has no recorded place of its own, in the merge's order.
    fn before(&mut self, key: &Key) -> Result<(), LogError> {
        loop {
            let heads = self.streams.heads.iter().enumerate();
            let free = heads.filter_map(|(index, head)| {
                let fresh = head.next.as_ref().filter(|fresh| !fresh.place.recorded)?;
                let time = self.imagined.merge_time(&head.lane, Some(fresh.event.event_time()));
                Some(((self.follower.generation(fresh.place.published), time, &head.lane), head.task, index))
            });
            let Some(((generation, time, lane), _, index)) = free.min() else { return Ok(()) };
            if (generation, time, lane) >= (key.0, key.1, &key.2) {
                return Ok(());
            }
            self.take(index, None)?;
        }
    }

    /// Takes a task's new output of a step in the place of the recorded one at this offset, and before it what
    /// that task wrote there earlier.
    fn replace(
        &mut self,
        at: &TopicPartition,
        task: Lead,
        (step, offset): (i64, i64),
    ) -> Result<(), LogError> {
        let Some(index) = self.streams.of(at, task) else { return Ok(()) };
        loop {
            let Some(fresh) = self.streams.heads[index].next.as_ref() else { return Ok(()) };
            let place = fresh.place;
            if place.step > step {
                return Ok(());
            }
            let its_own = place.step == step && place.recorded;
            self.take(index, its_own.then_some(offset))?;
            if its_own {
                return Ok(());
            }
        }
    }

    fn take(&mut self, index: usize, offset: Option<i64>) -> Result<(), LogError> {
        let Some(fresh) = self.streams.pop(index)? else { return Ok(()) };
        let lane = self.streams.heads[index].lane.clone();
        let Fresh { event, .. } = &fresh;
        let record: RecordRef<'_> = fresh.record(&lane, offset);
        self.imagined.take(&lane, &record, event, &mut self.outbox);
        Ok(())
    }

    /// The journal has ended: what was published before its worker's last commit is taken.
    fn finish(&mut self) -> Result<(), LogError> {
        let last = self.follower.commits.len().saturating_sub(1);
        self.before(&(last, Time::MAX, TopicPartition::new("", i32::MIN)))
    }
}
