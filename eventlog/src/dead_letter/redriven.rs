//! A dead letter on its way back: the original bytes, and headers that say whose it is and where it was.

use bytes::Bytes;
use tapewatch_schemas::catalogue::redrive_topic;
use tapewatch_schemas::{Reason, Time};

use super::{Letter, OURS, bytes, text};
use crate::{OutRecord, RecordRef, TopicPartition};

/// What `tapewatch.kind` says of a record that is to be processed.
const REDRIVEN: &str = "redriven";
/// What it says of one that a person has given up.
const DISCARDED: &str = "discarded";
/// What it says of one that stands for all of its key up to it.
const THROUGH: &str = "discarded_through";

/// What a redriven record's headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redriven {
    /// The worker that it is for.
    pub worker: String,
    /// The task that wrote the letter.
    pub task: i32,
    /// True if it is for that task alone, also where every task reads it.
    pub own: bool,
    /// Why it was a dead letter.
    pub reason: Reason,
    /// How often it was tried so far.
    pub attempts: u32,
    /// The partition where it was published first.
    pub source: TopicPartition,
    /// Its offset there.
    pub offset: i64,
    /// Its publication time there.
    pub timestamp: Time,
    /// Its letter: partition and offset in the dead-letter topic.
    pub letter: (i32, i64),
    /// True if it is not to be processed, only to be counted as settled.
    pub discarded: bool,
    /// True if with it all of its key is settled that was published before it: what is gone, and can never come.
    pub through: bool,
}

impl Redriven {
    /// What comes back of a letter: it is for whoever wrote it.
    pub fn of(letter: &Letter, at: (i32, i64)) -> Self {
        Self {
            worker: letter.worker.clone(),
            task: letter.task,
            own: letter.own,
            reason: letter.reason,
            attempts: letter.attempts,
            source: letter.source.clone(),
            offset: letter.offset,
            timestamp: letter.timestamp,
            letter: at,
            discarded: false,
            through: false,
        }
    }

    /// Reads the headers; none if they are not those of a redriven record.
    pub fn read(record: &RecordRef<'_>) -> Option<Self> {
        let get = |name: &str| std::str::from_utf8(record.headers.get(name)?).ok();
        let (discarded, through) = match get("tapewatch.kind")? {
            REDRIVEN => (false, false),
            DISCARDED => (true, false),
            THROUGH => (true, true),
            _ => return None,
        };
        Some(Self {
            worker: get("tapewatch.worker")?.to_owned(),
            task: get("tapewatch.task")?.parse().ok()?,
            own: get("tapewatch.own").is_some(),
            reason: Reason::of(get("tapewatch.reason")?)?,
            attempts: get("tapewatch.attempts")?.parse().ok()?,
            source: TopicPartition::new(get("tapewatch.topic")?, get("tapewatch.partition")?.parse().ok()?),
            offset: get("tapewatch.offset")?.parse().ok()?,
            timestamp: Time(get("tapewatch.timestamp")?.parse().ok()?),
            letter: (
                get("tapewatch.letter.partition")?.parse().ok()?,
                get("tapewatch.letter.offset")?.parse().ok()?,
            ),
            discarded,
            through,
        })
    }

    /// The record for the redrive topic of its source, in partition `partition`. Of `headers` those that an
    /// earlier dead letter gave it are left out.
    pub fn record<'a>(
        &self,
        partition: i32,
        key: Option<Bytes>,
        value: Option<Bytes>,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> OutRecord {
        let own = headers.filter(|(name, _)| !OURS.iter().any(|prefix| name.starts_with(prefix)));
        let mut headers: Vec<(String, Bytes)> = own.map(|(name, value)| bytes(name, value)).collect();
        let kind = match (self.through, self.discarded) {
            (true, _) => THROUGH,
            (false, true) => DISCARDED,
            (false, false) => REDRIVEN,
        };
        headers.extend([
            text("tapewatch.kind", kind),
            text("tapewatch.worker", &self.worker),
            text("tapewatch.task", self.task),
            text("tapewatch.reason", self.reason),
            text("tapewatch.attempts", self.attempts),
            text("tapewatch.topic", &self.source.topic),
            text("tapewatch.partition", self.source.partition),
            text("tapewatch.offset", self.offset),
            text("tapewatch.timestamp", self.timestamp.micros()),
            text("tapewatch.letter.partition", self.letter.0),
            text("tapewatch.letter.offset", self.letter.1),
        ]);
        if self.own {
            headers.push(text("tapewatch.own", true));
        }
        let target = TopicPartition::new(redrive_topic(self.source.topic.as_str()), partition);
        OutRecord { target, timestamp: None, key, value, headers }
    }

    /// True if a task has to do with it. What is read in full may have been refused by the task that the letter names,
    /// and by no other; what cannot be decoded no task could take.
    pub fn is_for(&self, task: i32, broadcast: bool) -> bool {
        !broadcast || !self.own || self.task == task
    }
}
