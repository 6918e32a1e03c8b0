//! Dead letters: a record that could not be used, with its bytes and the headers that the field reads.
//!
//! The names and byte formats are those of Kafka Connect 4.2 (`DeadLetterQueueReporter`: all values as
//! UTF-8 text), Kafka Streams 4.2 (`ExceptionHandlerUtils`, KIP-1034: text) and Spring for Apache Kafka
//! (`DeadLetterPublishingRecoverer`: numbers big-endian in 4 and 8 bytes, times in milliseconds), so that
//! their tools show our dead letters; and our own `tapewatch.*`, which [`Letter::read`] reads back.
//! Where those tools have a Java stack trace, ours is laid out alike: what was wrong, then where it was.

mod range;
mod redriven;

use bytes::Bytes;
use tapewatch_schemas::catalogue::{dlq_topic, is_redrive, redrive_topic};
use tapewatch_schemas::{Digest, Reason, Time};

pub use range::{MAX_RUNS, RangeBody, RangeLetter, ReasonRuns};
pub use redriven::Redriven;

use crate::{OutRecord, RecordRef, TopicPartition};

/// The longest error text in a header, bytes.
pub const MAX_ERROR_BYTES: usize = 1024;

/// What is kept of a value that does not fit, bytes.
pub const HEAD_BYTES: usize = 4096;

/// Header prefixes that a dead letter replaces: a redriven record that fails again tells its last failure.
const OURS: [&str; 4] = ["tapewatch.", "__connect.errors.", "__streams.errors.", "kafka_dlt-"];

/// Why a record is dead-lettered, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetter<'a> {
    /// The worker.
    pub worker: &'a str,
    /// Its consumer group.
    pub group: &'a str,
    /// Its task. A record that every task reads in full may be refused by several: each writes a letter.
    pub task: i32,
    /// True if it rests on the task's own state or clock: of a record that every task reads in full another may take
    /// it.
    pub own: bool,
    /// Why.
    pub reason: Reason,
    /// How often it was tried, this time included; 0 if it was not even tried.
    pub attempts: u32,
    /// What was wrong with it; cut after [`MAX_ERROR_BYTES`].
    pub error: &'a str,
}

impl DeadLetter<'_> {
    /// The record for the source topic's dead-letter topic, in the source's partition number: the original
    /// key, value and headers, and why. If that is larger than `max_bytes`, the value's first
    /// [`HEAD_BYTES`] with its size and digest in headers; then also without the key and the original
    /// headers if they do not fit.
    ///
    /// Of a redriven record the letter tells where it was published first, and where it was read this time.
    pub fn of(&self, record: &RecordRef<'_>, max_bytes: usize) -> OutRecord {
        let mut letter = OutRecord {
            target: TopicPartition::new(dlq_topic(record.topic.as_str()), record.partition),
            timestamp: None,
            key: record.key.map(Bytes::copy_from_slice),
            value: record.value.map(Bytes::copy_from_slice),
            headers: original(record),
        };
        let ours = self.headers(record, "record");
        letter.headers.extend(ours.iter().cloned());
        if size_of(&letter) <= max_bytes {
            return letter;
        }
        let value = record.value.unwrap_or_default();
        let head = &value[..value.len().min(HEAD_BYTES)];
        letter.value = record.value.map(|_| Bytes::copy_from_slice(head));
        let cut =
            [text("tapewatch.value.bytes", value.len()), text("tapewatch.value.digest", Digest::of(value))];
        letter.headers.extend(cut.iter().cloned());
        if size_of(&letter) > max_bytes {
            letter.key = None;
            letter.headers = ours.into_iter().chain(cut).collect();
        }
        letter
    }

    /// The headers that say why, about the record at `record`.
    fn headers(&self, record: &RecordRef<'_>, kind: &str) -> Vec<(String, Bytes)> {
        let error = cut(self.error, MAX_ERROR_BYTES);
        let class = format!("tapewatch.{:?}", self.reason);
        let again = if is_redrive(record.topic.as_str()) { Redriven::read(record) } else { None };
        let (topic, partition, offset, timestamp) = match &again {
            Some(first) => (&first.source.topic, first.source.partition, first.offset, first.timestamp),
            None => (record.topic, record.partition, record.offset, record.timestamp),
        };
        let trace = self.trace(record, &class, error);
        let mut headers = vec![
            text("tapewatch.kind", kind),
            text("tapewatch.worker", self.worker),
            text("tapewatch.task", self.task),
            text("tapewatch.reason", self.reason),
            text("tapewatch.attempts", self.attempts),
            text("tapewatch.error", error),
            text("tapewatch.topic", topic),
            text("tapewatch.partition", partition),
            text("tapewatch.offset", offset),
            text("tapewatch.timestamp", timestamp.micros()),
            text("__connect.errors.topic", topic),
            text("__connect.errors.partition", partition),
            text("__connect.errors.offset", offset),
            text("__connect.errors.connector.name", self.group),
            text("__connect.errors.task.id", self.task),
            text("__connect.errors.stage", self.stage()),
            text("__connect.errors.class.name", format_args!("tapewatch.{}", self.worker)),
            text("__connect.errors.exception.class.name", &class),
            text("__connect.errors.exception.message", error),
            text("__connect.errors.exception.stacktrace", &trace),
            text("__streams.errors.exception", &class),
            text("__streams.errors.message", error),
            text("__streams.errors.stacktrace", &trace),
            text("__streams.errors.topic", topic),
            text("__streams.errors.partition", partition),
            text("__streams.errors.offset", offset),
            text("kafka_dlt-exception-fqcn", &class),
            text("kafka_dlt-exception-message", error),
            text("kafka_dlt-exception-stacktrace", &trace),
            text("kafka_dlt-original-topic", topic),
            bytes("kafka_dlt-original-partition", &partition.to_be_bytes()),
            bytes("kafka_dlt-original-offset", &offset.to_be_bytes()),
            bytes("kafka_dlt-original-timestamp", &timestamp.millis().to_be_bytes()),
            text("kafka_dlt-original-timestamp-type", "CreateTime"),
            text("kafka_dlt-original-consumer-group", self.group),
        ];
        if self.own {
            headers.push(text("tapewatch.own", true));
        }
        if again.is_some() {
            headers.push(text("tapewatch.redrive.partition", record.partition));
            headers.push(text("tapewatch.redrive.offset", record.offset));
        }
        headers
    }

    /// What stands where Java has a stack trace, in its form, which tools take apart: `class: message`, then a line for
    /// each place, the innermost first. The record is named where it was read.
    fn trace(&self, record: &RecordRef<'_>, class: &str, error: &str) -> String {
        let RecordRef { topic, partition, offset, .. } = record;
        let Self { worker, group, task, .. } = self;
        format!(
            "{class}: {error}\n\tat tapewatch.{worker}.task{task}({topic}/{partition} offset {offset})\n\tat \
             {group}(consumer group)\n"
        )
    }

    /// Connect's `Stage`: where the record failed.
    fn stage(&self) -> &'static str {
        match self.reason {
            Reason::Refused | Reason::HeldBehind => "TASK_PUT",
            Reason::Misrouted => "KEY_CONVERTER",
            _ => "VALUE_CONVERTER",
        }
    }
}

/// The record's own headers, without those that an earlier dead letter gave it.
fn original(record: &RecordRef<'_>) -> Vec<(String, Bytes)> {
    record
        .headers
        .iter()
        .filter(|(name, _)| !OURS.iter().any(|prefix| name.starts_with(prefix)))
        .map(|(name, value)| bytes(name, value))
        .collect()
}

fn text(name: &str, value: impl std::fmt::Display) -> (String, Bytes) {
    (name.to_owned(), Bytes::from(value.to_string()))
}

fn bytes(name: &str, value: &[u8]) -> (String, Bytes) {
    (name.to_owned(), Bytes::copy_from_slice(value))
}

/// The text up to the last character that ends within `most` bytes.
fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn size_of(record: &OutRecord) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len) + headers
}

/// A dead letter's `tapewatch.*` headers, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The worker that wrote it.
    pub worker: String,
    /// The task that wrote it.
    pub task: i32,
    /// True if another task may have taken the record.
    pub own: bool,
    /// Why.
    pub reason: Reason,
    /// How often it was tried.
    pub attempts: u32,
    /// What was wrong.
    pub error: String,
    /// The partition where it was published first; of a range letter, where its records are.
    pub source: TopicPartition,
    /// Its offset there; of a range letter, the first.
    pub offset: i64,
    /// Its publication time there.
    pub timestamp: Time,
    /// If it had come back: partition and offset in the redrive topic, where the worker read it.
    pub redriven: Option<(i32, i64)>,
    /// If only the head of the value was kept: the whole value's size and digest (hex).
    pub cut: Option<(usize, String)>,
    /// True if it stands for a range: the value is a [`RangeBody`].
    pub range: bool,
}

impl Letter {
    /// Reads the headers; none if they are not those of a tapewatch dead letter.
    pub fn read(record: &RecordRef<'_>) -> Option<Self> {
        let get = |name: &str| std::str::from_utf8(record.headers.get(name)?).ok();
        let cut = get("tapewatch.value.bytes")
            .and_then(|size| Some((size.parse().ok()?, get("tapewatch.value.digest")?.to_owned())));
        Some(Self {
            worker: get("tapewatch.worker")?.to_owned(),
            task: get("tapewatch.task")?.parse().ok()?,
            own: get("tapewatch.own").is_some(),
            reason: Reason::of(get("tapewatch.reason")?)?,
            attempts: get("tapewatch.attempts")?.parse().ok()?,
            error: get("tapewatch.error")?.to_owned(),
            source: TopicPartition::new(get("tapewatch.topic")?, get("tapewatch.partition")?.parse().ok()?),
            offset: get("tapewatch.offset")?.parse().ok()?,
            timestamp: Time(get("tapewatch.timestamp")?.parse().ok()?),
            redriven: get("tapewatch.redrive.partition")
                .and_then(|at| Some((at.parse().ok()?, get("tapewatch.redrive.offset")?.parse().ok()?))),
            cut,
            range: get("tapewatch.kind")? == "range",
        })
    }

    /// Where the worker read it: the partition, and the offset there.
    pub fn input(&self) -> (TopicPartition, i64) {
        match self.redriven {
            Some((partition, offset)) => {
                (TopicPartition::new(redrive_topic(self.source.topic.as_str()), partition), offset)
            }
            None => (self.source.clone(), self.offset),
        }
    }
}

#[cfg(test)]
mod tests;
