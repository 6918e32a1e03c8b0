//! A decorator over any log that makes it fail as logs do, by a script or by a seed: aborted transactions,
//! unknown outcomes (written, not written, written late), fenced writers, read errors, silence, crashes.
//!
//! What it reports is true: after [`Fault::Abort`] nothing was written, after [`Fault::UnknownWritten`] all
//! of it. So a program that handles the errors as the traits demand loses nothing and writes nothing twice.

mod plan;
mod reader;
mod writer;

use std::sync::Arc;

use tapewatch_schemas::Time;

pub use self::plan::{Fault, Injected, Op, Plan, Rates};
use self::reader::{FaultyMember, FaultyReader};
use self::writer::{FaultyPublisher, FaultyWriter};
use crate::{
    Bounds, GroupSpec, Log, LogError, Member, Publisher, Reader, TopicInfo, TopicPartition, TopicSpec, Writer,
};

/// A log with faults.
#[derive(Debug)]
pub struct FaultyLog {
    inner: Arc<dyn Log>,
    plan: Arc<Plan>,
}

impl FaultyLog {
    /// Lets `plan` decide how `inner` fails.
    pub fn new(inner: Arc<dyn Log>, plan: Arc<Plan>) -> Self {
        Self { inner, plan }
    }

    fn life(&self) -> Life {
        Life { plan: Arc::clone(&self.plan), number: self.plan.life(), log: self.inner.address().to_owned() }
    }

    fn alive<T>(&self, then: impl FnOnce(&dyn Log) -> Result<T, LogError>) -> Result<T, LogError> {
        self.life().check()?;
        then(self.inner.as_ref())
    }
}

/// Which life of the process a handle belongs to: a crash ends it, and what it opened stays dead.
#[derive(Clone, Debug)]
struct Life {
    plan: Arc<Plan>,
    number: u64,
    log: String,
}

impl Life {
    fn check(&self) -> Result<(), LogError> {
        if self.plan.crashed() || self.plan.life() != self.number { Err(self.crash()) } else { Ok(()) }
    }

    fn crash(&self) -> LogError {
        LogError::Unreachable { log: self.log.clone(), why: "the process has crashed (injected)".into() }
    }

    fn failed(&self, doing: &str) -> LogError {
        LogError::Backend { log: self.log.clone(), doing: doing.into(), why: "injected".into() }
    }

    /// The fault for the next operation of this kind, if it still runs.
    fn next(&self, op: Op) -> Result<Option<Fault>, LogError> {
        self.check()?;
        Ok(self.plan.next(op))
    }
}

impl Log for FaultyLog {
    fn address(&self) -> &str {
        self.inner.address()
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.alive(|log| log.topics())
    }

    fn create(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        self.alive(|log| log.create(topics))
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        self.alive(|log| log.bounds(at))
    }

    fn offset_at(&self, at: &TopicPartition, time: Time) -> Result<i64, LogError> {
        self.alive(|log| log.offset_at(at, time))
    }

    fn group_offsets(&self, group: &str, of: &[TopicPartition]) -> Result<Vec<Option<i64>>, LogError> {
        self.alive(|log| log.group_offsets(group, of))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, LogError> {
        let inner = self.alive(|log| log.reader())?;
        Ok(Box::new(FaultyReader { inner, life: self.life() }))
    }

    fn member(&self, group: &GroupSpec) -> Result<Box<dyn Member>, LogError> {
        let inner = self.alive(|log| log.member(group))?;
        Ok(Box::new(FaultyMember { inner, life: self.life() }))
    }

    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
        let inner = self.alive(|log| log.writer(id))?;
        Ok(Box::new(FaultyWriter::new(inner, self.life())))
    }

    fn publisher(&self) -> Result<Box<dyn Publisher>, LogError> {
        let inner = self.alive(|log| log.publisher())?;
        Ok(Box::new(FaultyPublisher { inner, life: self.life() }))
    }
}
