//! Gives up what retention has removed of a held key's letters: what can never come back holds nobody any more.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use tapewatch_eventlog::dead_letter::Redriven;
use tapewatch_eventlog::{Log, OutRecord, TopicPartition};
use tapewatch_schemas::catalogue::redrive_topic;
use tapewatch_schemas::{Reason, Time, TopicName};

use super::ledger::{Entry, Kind};
use super::post::Post;
use super::survey::Survey;
use super::{Filter, RedriveError, Request};
use crate::scan::Scanner;

/// Which key, who wants it, and why.
#[derive(Clone, Debug)]
pub struct Release {
    /// The topic that holds it.
    pub topic: TopicName,
    /// The partition of its records.
    pub partition: i32,
    /// The key.
    pub key: Vec<u8>,
    /// The worker that holds it.
    pub worker: String,
    /// Its group.
    pub group: String,
    /// Who decides it.
    pub who: String,
    /// Why.
    pub why: String,
}

/// What was given up, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// Up to this offset of the topic nothing of the key is waited for any more; none if nothing can be gone.
    pub through: Option<i64>,
    /// Letters of the key that are still there: they can be sent back, or given up by `discard`.
    pub left: usize,
}

/// Tells the worker that of a key all letters are settled that are before the first one that is still there, or if
/// none is, before where the worker stands. What is still there keeps its order. Another run on the same log is
/// fenced by this one.
///
/// # Errors
/// [`RedriveError::UnderWay`] if the worker has not taken yet what was sent back before: that may fail again.
pub fn release(log: &Arc<dyn Log>, wanted: &Release) -> Result<Released, RedriveError> {
    let mut post = Post::open(log)?;
    let mut scanner = Scanner::new(Arc::clone(log))?;
    let source = TopicPartition::new(wanted.topic.clone(), wanted.partition);
    let back = TopicPartition::new(redrive_topic(wanted.topic.as_str()), wanted.partition);
    // First of all: the letters of all that is before these positions are there, or are gone.
    let positions = log.group_offsets(&wanted.group, &[source.clone(), back.clone()])?;
    let position = |index: usize| positions.get(index).copied().flatten().unwrap_or(0);
    let mut waiting = 0_u64;
    scanner.scan::<RedriveError>(&back, position(1), |_| {
        waiting += 1;
        Ok(())
    })?;
    if waiting > 0 {
        return Err(RedriveError::UnderWay { at: back, records: waiting, worker: wanted.worker.clone() });
    }
    let request = wanted.letters();
    let taken = post.ledger.of(&wanted.topic, wanted.partition);
    let survey = Survey::of(log, &mut scanner, &request, wanted.partition, &taken)?;
    let there = survey.chosen.iter().filter(|one| one.back.source == source).map(|one| one.back.offset);
    let first = there.min().unwrap_or(i64::MAX);
    let left = survey.chosen.len() + survey.left.beyond as usize;
    let through = position(0).min(first) - 1;
    if through < 0 {
        return Ok(Released { through: None, left });
    }
    post.write(vec![wanted.record(&source, through)], wanted.entry(through))?;
    Ok(Released { through: Some(through), left })
}

impl Release {
    /// The key's letters.
    fn letters(&self) -> Request {
        Request {
            topic: self.topic.clone(),
            filter: Filter {
                worker: Some(self.worker.clone()),
                key: Some(self.key.clone()),
                partition: Some(self.partition),
                ..Filter::default()
            },
            max_attempts: u32::MAX,
            discard: true,
            repairs: None,
            in_order: false,
            who: self.who.clone(),
            why: self.why.clone(),
        }
    }

    fn record(&self, source: &TopicPartition, through: i64) -> OutRecord {
        let back = Redriven {
            worker: self.worker.clone(),
            task: self.partition,
            own: false,
            reason: Reason::HeldBehind,
            attempts: 0,
            source: source.clone(),
            offset: through,
            timestamp: Time(0),
            letter: (self.partition, -1),
            discarded: true,
            through: true,
        };
        let key = Some(Bytes::copy_from_slice(&self.key));
        back.record(self.partition, key, None, std::iter::empty())
    }

    fn entry(&self, through: i64) -> Entry {
        let asked = json!({
            "worker": self.worker,
            "key": String::from_utf8_lossy(&self.key),
            "partition": self.partition,
            "through": through,
        });
        Entry {
            format: 0,
            sequence: 0,
            previous: String::new(),
            kind: Kind::Release,
            topic: self.topic.clone(),
            partition: self.partition,
            who: self.who.clone(),
            why: self.why.clone(),
            filter: asked,
            records: 1,
            letters: Vec::new(),
            behind: Vec::new(),
        }
    }
}
