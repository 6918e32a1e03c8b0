//! What a worker counts, on a registry that is given to it. Every label's values are a closed set: topics
//! and partitions of the catalogue, reasons of the code.

use std::collections::HashMap;

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector, exponential_buckets,
};
use tapewatch_schemas::TopicName;
use tapewatch_schemas::journal::{Excluded, InputRange, JournalRecord};

use crate::worker::Acknowledged;

/// A worker's metrics. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Readable records taken, by source partition. Law 1: the sum of the next three.
    pub consumed: IntCounterVec,
    /// Records processed.
    pub processed: IntCounterVec,
    /// Records dead-lettered, by reason.
    pub dead_lettered: IntCounterVec,
    /// Records skipped on purpose, by reason.
    pub skipped: IntCounterVec,
    /// Rounds committed.
    pub rounds: IntCounter,
    /// How long commits took, seconds.
    pub commit_seconds: Histogram,
    /// Journal records written.
    pub journal_records: IntCounter,
    /// Bytes of journal records written.
    pub journal_bytes: IntCounter,
    /// Outputs written.
    pub outputs: IntCounter,
    /// From the publication of a round's oldest record to the acknowledgement of its outputs, seconds.
    pub detection_seconds: Histogram,
    /// 1 while the breaker of a source partition is open.
    pub breaker_open: IntGaugeVec,
    /// A task's clock, seconds since 1970.
    pub task_clock: IntGaugeVec,
    /// Wall time less the task's clock, seconds; on the tape's clock it says nothing and is absent.
    pub task_lag: IntGaugeVec,
    /// Records that came behind a task's clock, since its first step.
    pub task_late: IntGaugeVec,
    /// Records fetched and not yet taken, by task.
    pub task_queued: IntGaugeVec,
    /// Keys held behind dead letters, by task.
    pub task_held: IntGaugeVec,
    /// Running tasks.
    pub tasks: IntGauge,
    /// Tasks that were stopped because what they write cannot be written.
    pub tasks_stopped: IntGauge,
    /// Tasks brought back from their journals.
    pub restored: IntCounter,
    /// Times that the worker joined its group.
    pub joins: IntCounter,
    /// Times that a worker was fenced, or lost the log for a while.
    pub interruptions: IntCounter,
    /// From the start to the first time that all tasks ran, seconds.
    pub start_seconds: Gauge,
    /// Breakers closed by hand.
    pub breakers_resumed: IntCounter,
}

const SOURCE: [&str; 2] = ["topic", "partition"];
const REASON: [&str; 3] = ["topic", "partition", "reason"];
const TASK: [&str; 1] = ["partition"];

/// Makes metrics of one worker and registers them.
struct Maker<'a> {
    registry: &'a Registry,
    worker: &'a str,
}

impl Maker<'_> {
    fn opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(name, help).namespace("tapewatch").const_label("worker", self.worker)
    }

    fn add<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> prometheus::Result<C> {
        let metric = made?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(self.opts(name, help), labels))
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::with_opts(self.opts(name, help)))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(self.opts(name, help), labels))
    }

    fn histogram(&self, name: &str, help: &str, first: f64, count: usize) -> prometheus::Result<Histogram> {
        let buckets = exponential_buckets(first, 2.0, count)?;
        let opts = HistogramOpts { common_opts: self.opts(name, help), buckets };
        self.add(Histogram::with_opts(opts))
    }
}

impl Metrics {
    /// The metrics of a worker, registered.
    ///
    /// # Errors
    /// If the registry has those of a worker of this name already.
    pub fn register(registry: &Registry, worker: &str) -> prometheus::Result<Self> {
        let make = Maker { registry, worker };
        Ok(Self {
            consumed: make.counters("records_consumed_total", "Readable records taken.", &SOURCE)?,
            processed: make.counters("records_processed_total", "Records processed.", &SOURCE)?,
            dead_lettered: make.counters("records_dead_lettered_total", "Records dead-lettered.", &REASON)?,
            skipped: make.counters("records_skipped_total", "Records skipped on purpose.", &REASON)?,
            rounds: make.counter("rounds_total", "Rounds committed.")?,
            commit_seconds: make.histogram("commit_seconds", "How long commits took.", 0.0005, 15)?,
            journal_records: make.counter("journal_records_total", "Journal records written.")?,
            journal_bytes: make.counter("journal_bytes_total", "Bytes of journal records written.")?,
            outputs: make.counter("outputs_total", "Outputs written.")?,
            detection_seconds: make.histogram(
                "detection_seconds",
                "From the publication of a round's oldest record to the acknowledgement of its outputs.",
                0.001,
                18,
            )?,
            breaker_open: make.gauges("breaker_open", "1 while a source's breaker is open.", &SOURCE)?,
            task_clock: make.gauges("task_clock_seconds", "A task's clock, since 1970.", &TASK)?,
            task_lag: make.gauges("task_lag_seconds", "Wall time less the task's clock.", &TASK)?,
            task_late: make.gauges(
                "task_late_records",
                "Records that came behind the task's clock, since its first step.",
                &TASK,
            )?,
            task_queued: make.gauges("task_queued_records", "Records fetched and not yet taken.", &TASK)?,
            task_held: make.gauges("task_held_keys", "Keys held behind dead letters.", &TASK)?,
            tasks: make.add(IntGauge::with_opts(make.opts("tasks", "Running tasks.")))?,
            tasks_stopped: make.add(IntGauge::with_opts(
                make.opts("tasks_stopped", "Tasks stopped because what they write cannot be written."),
            ))?,
            restored: make.counter("tasks_restored_total", "Tasks brought back from their journals.")?,
            joins: make.counter("joins_total", "Times that the worker joined its group.")?,
            interruptions: make.counter(
                "interruptions_total",
                "Times that the worker was fenced or lost the log, and joined again.",
            )?,
            start_seconds: make
                .add(Gauge::with_opts(make.opts("start_seconds", "From the start until all tasks ran.")))?,
            breakers_resumed: make.counter("breakers_resumed_total", "Breakers closed by hand.")?,
        })
    }
}

/// Counts what acknowledged journal records say.
pub struct Tally {
    metrics: Metrics,
    sources: HashMap<(TopicName, i32), Source>,
}

/// The counters of one source partition.
struct Source {
    consumed: IntCounter,
    processed: IntCounter,
}

impl Tally {
    /// Counts onto these metrics.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, sources: HashMap::new() }
    }

    /// Counts one acknowledged record.
    pub fn count(&mut self, acknowledged: &Acknowledged<'_>, now: tapewatch_schemas::Time) {
        let record = acknowledged.record;
        for range in &record.inputs {
            self.count_range(record, range);
        }
        let metrics = &self.metrics;
        if acknowledged.first {
            metrics.rounds.inc();
            metrics.commit_seconds.observe(acknowledged.commit.as_secs_f64());
        }
        metrics.journal_records.inc();
        metrics.journal_bytes.inc_by(acknowledged.bytes as u64);
        metrics.outputs.inc_by(record.outputs as u64);
        if let Some(oldest) = acknowledged.oldest.filter(|_| record.outputs > 0) {
            metrics.detection_seconds.observe(now.since(oldest).max(0) as f64 / 1e6);
        }
    }

    fn count_range(&mut self, record: &JournalRecord, range: &InputRange) {
        let metrics = &self.metrics;
        let source = self.sources.entry((range.topic.clone(), range.partition)).or_insert_with(|| {
            let partition = range.partition.to_string();
            let labels = [range.topic.as_str(), partition.as_str()];
            Source {
                consumed: metrics.consumed.with_label_values(&labels),
                processed: metrics.processed.with_label_values(&labels),
            }
        });
        source.consumed.inc_by(range.count as u64);
        source.processed.inc_by(range.processed as u64);
        let mut left = range.count - range.processed;
        if left == 0 {
            return;
        }
        let of_range =
            |listed: &&Excluded| listed.topic == range.topic && listed.partition == range.partition;
        let dead = record.dead_letters.iter().filter(of_range).map(|listed| (&metrics.dead_lettered, listed));
        let skipped = record.skipped.iter().filter(of_range).map(|listed| (&metrics.skipped, listed));
        let all: Vec<_> = dead.chain(skipped).collect();
        let partition = range.partition.to_string();
        for (index, (counter, listed)) in all.iter().enumerate() {
            // A run may span offsets that hold no readable record (a log's own marks), so the last takes
            // what is left: the sum is exact.
            let spanned: i64 = listed.runs.iter().map(|run| run.last - run.first + 1).sum();
            let count = if index + 1 == all.len() { left } else { spanned.min(left) };
            let labels = [range.topic.as_str(), partition.as_str(), listed.reason.as_str()];
            counter.with_label_values(&labels).inc_by(count as u64);
            left -= count;
        }
    }
}
