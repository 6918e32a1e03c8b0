//! What happens to a running worker: one type an occurrence, which logs and counts together.

use std::net::SocketAddr;
use std::time::Duration;

use tapewatch_eventlog::TopicPartition;

use crate::metrics::Metrics;

/// The admin endpoint answers.
#[derive(Debug)]
pub struct AdminListens<'a> {
    /// The worker.
    pub worker: &'a str,
    /// Where.
    pub address: SocketAddr,
}

impl AdminListens<'_> {
    /// Logs it.
    pub fn emit(&self) {
        tracing::info!(worker = self.worker, "admin endpoint: http://{}", self.address);
    }
}

/// The worker is in its group.
#[derive(Debug)]
pub struct Joined<'a> {
    /// The worker.
    pub worker: &'a str,
    /// Its stable name.
    pub instance: &'a str,
    /// Its group.
    pub group: &'a str,
}

impl Joined<'_> {
    /// Logs and counts it.
    pub fn emit(&self, metrics: &Metrics) {
        tracing::info!(
            worker = self.worker,
            instance = self.instance,
            group = self.group,
            "joined the group"
        );
        metrics.joins.inc();
    }
}

/// Every task runs, for the first time since the start.
#[derive(Debug)]
pub struct Started<'a> {
    /// The worker.
    pub worker: &'a str,
    /// How many tasks.
    pub tasks: usize,
    /// Since the start.
    pub took: Duration,
}

impl Started<'_> {
    /// Logs and counts it.
    pub fn emit(&self, metrics: &Metrics) {
        let millis = self.took.as_millis();
        tracing::info!(
            worker = self.worker,
            tasks = self.tasks,
            "every task runs, {millis} ms after the start"
        );
        metrics.start_seconds.set(self.took.as_secs_f64());
    }
}

/// The worker has to leave its group and join it again.
#[derive(Debug)]
pub struct Interrupted<'a> {
    /// The worker.
    pub worker: &'a str,
    /// Why.
    pub why: &'a dyn std::error::Error,
    /// When it joins again.
    pub again_in: Duration,
}

impl Interrupted<'_> {
    /// Logs and counts it.
    pub fn emit(&self, metrics: &Metrics) {
        let millis = self.again_in.as_millis();
        tracing::warn!(worker = self.worker, error = %self.why, "interrupted; joining again in {millis} ms");
        metrics.interruptions.inc();
    }
}

/// A person asked for a breaker to be closed.
#[derive(Debug)]
pub struct BreakerResumed<'a> {
    /// The worker.
    pub worker: &'a str,
    /// The source.
    pub at: &'a TopicPartition,
    /// Who asked.
    pub who: &'a str,
    /// What they said.
    pub why: &'a str,
    /// How many records before it were skipped; none if it was not open.
    pub skipped: Option<i64>,
}

impl BreakerResumed<'_> {
    /// Logs and counts it.
    pub fn emit(&self, metrics: &Metrics) {
        let Self { worker, at, who, why, skipped } = self;
        let Some(skipped) = skipped else {
            tracing::info!(worker, %at, who, why, "no breaker to close");
            return;
        };
        tracing::warn!(worker, %at, who, why, skipped, "breaker closed by hand");
        metrics.breakers_resumed.inc();
    }
}

/// An input is kept for a shorter time than anchors are apart.
#[derive(Debug)]
pub struct ShortRetention<'a> {
    /// The worker.
    pub worker: &'a str,
    /// The input.
    pub topic: &'a str,
    /// How long it is kept.
    pub kept: Duration,
    /// How far apart anchors are.
    pub anchors: Duration,
}

impl ShortRetention<'_> {
    /// Logs it.
    pub fn emit(&self) {
        let Self { worker, topic, kept, anchors } = self;
        tracing::warn!(
            worker,
            topic,
            "kept for {kept:?}, anchors are {anchors:?} apart: the records between two anchors are gone before \
             a replay can start there. Raise topics.retention, or lower runtime.anchor_every"
        );
    }
}
