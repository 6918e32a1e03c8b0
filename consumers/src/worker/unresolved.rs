//! What waits for a schema registry that does not answer: whole partitions, in order, and nothing is lost.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{Batch, Polled, Reader, TopicPartition};

use super::{Worker, WorkerError};
use crate::registry;

/// How long a registry that failed is left alone before it is asked again.
const PATIENCE: Duration = Duration::from_millis(200);

/// The partitions that wait. Each is paused, so that no more than what was on its way is held.
#[derive(Debug, Default)]
pub(super) struct Unresolved {
    waiting: BTreeMap<TopicPartition, VecDeque<Polled>>,
    asked: Option<Instant>,
}

impl Unresolved {
    /// True if the partition waits.
    pub(super) fn holds(&self, at: &TopicPartition) -> bool {
        self.waiting.contains_key(at)
    }

    /// Forgets what a partition holds: it is read again from elsewhere, or given away.
    pub(super) fn forget(&mut self, mut gone: impl FnMut(&TopicPartition) -> bool) {
        self.waiting.retain(|at, _| !gone(at));
    }

    /// Keeps what came for a partition that waits; gives it back if that one does not.
    pub(super) fn keep(&mut self, at: &TopicPartition, polled: Polled) -> Option<Polled> {
        match self.waiting.get_mut(at) {
            Some(queue) => {
                queue.push_back(polled);
                None
            }
            None => Some(polled),
        }
    }
}

impl Worker {
    /// Delivers a batch, or holds it back if the registry is needed for it and does not answer.
    pub(super) fn receive(&mut self, batch: Arc<Batch>) -> Result<(), WorkerError> {
        if let Some(registry) = &self.plan.inspector.registry
            && let Err(error) = registry::resolve(registry, &self.plan.inspector.codec, &batch)
        {
            let at = batch.source().clone();
            tracing::warn!(%at, %error, "the partition waits for the schema registry");
            self.unresolved.asked = Some(Instant::now());
            self.unresolved.waiting.insert(at.clone(), VecDeque::from([Polled::Batch(batch)]));
            return self.side(&at).pause(std::slice::from_ref(&at)).map_err(WorkerError::from);
        }
        self.deliver(batch);
        Ok(())
    }

    /// Asks again for what waits, now and then.
    pub(super) fn ask_again(&mut self) -> Result<(), WorkerError> {
        if self.unresolved.waiting.is_empty()
            || self.unresolved.asked.is_some_and(|asked| asked.elapsed() < PATIENCE)
        {
            return Ok(());
        }
        self.unresolved.asked = Some(Instant::now());
        for at in self.unresolved.waiting.keys().cloned().collect::<Vec<_>>() {
            while let Some(batch) = self.unresolved.waiting.get(&at).and_then(VecDeque::front) {
                if let (Polled::Batch(batch), Some(registry)) = (batch, &self.plan.inspector.registry)
                    && registry::resolve(registry, &self.plan.inspector.codec, batch).is_err()
                {
                    return Ok(());
                }
                let queue = self.unresolved.waiting.get_mut(&at).expect("it was there");
                let polled = queue.pop_front().expect("it has a front");
                match polled {
                    Polled::Batch(batch) => self.deliver(batch),
                    Polled::End { at, position } => self.ended(&at, position),
                    _ => unreachable!("batches and ends are all that is held"),
                }
            }
            self.unresolved.waiting.remove(&at);
            tracing::info!(%at, "the schema registry answers");
            if !self.paused.contains(&at) {
                self.side(&at).resume(std::slice::from_ref(&at))?;
            }
        }
        Ok(())
    }

    /// Who reads a partition.
    fn side(&mut self, at: &TopicPartition) -> &mut dyn Reader {
        if self.plan.own.contains(&at.topic) { &mut *self.member } else { &mut *self.reader }
    }
}
