//! What a person asks for.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tapewatch_schemas::{Reason, Time, TopicName};

use super::candidate::Candidate;
use super::ledger::Kind;

/// What to send back, who wants it, and why.
#[derive(Clone, Debug)]
pub struct Request {
    /// The topic whose dead letters they are.
    pub topic: TopicName,
    /// Which of them.
    pub filter: Filter,
    /// A record that was tried so often is not sent again.
    pub max_attempts: u32,
    /// True to give them up: they are sent as settled, and are not processed.
    pub discard: bool,
    /// Letters to send with other bytes than their own: then these and no others.
    pub repairs: Option<Repairs>,
    /// True if a key's letters may only go in order, none left out (`hold_key`).
    pub in_order: bool,
    /// Who decides it.
    pub who: String,
    /// Why.
    pub why: String,
}

/// Which dead letters. What is none does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Written by this worker.
    pub worker: Option<String>,
    /// For this reason.
    pub reason: Option<Reason>,
    /// Of this key.
    pub key: Option<Vec<u8>>,
    /// Dead-lettered at or after this.
    pub from: Option<Time>,
    /// Dead-lettered before this.
    pub to: Option<Time>,
    /// In this partition.
    pub partition: Option<i32>,
    /// Letters from the first of these offsets to the last, inclusive.
    pub offsets: Option<(i64, i64)>,
}

/// Which record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterId {
    /// The letter's partition.
    pub partition: i32,
    /// The letter's offset.
    pub letter: i64,
    /// If it stands for a range: the record's offset where it is.
    pub behind: Option<i64>,
}

/// What a person has repaired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Where it came from, for the audit journal.
    pub file: String,
    /// By letter.
    pub letters: BTreeMap<LetterId, Repair>,
}

/// What is sent in place of a letter's own bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The line of the file.
    pub line: u64,
    /// The partition: that of the key.
    pub target: i32,
    /// The key; the letter's own if none.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
}

impl Request {
    pub(super) fn kind(&self) -> Kind {
        match (&self.repairs, self.discard) {
            (Some(_), _) => Kind::Import,
            (None, true) => Kind::Discard,
            (None, false) => Kind::Redrive,
        }
    }

    /// What was asked for, as it stands in the audit journal.
    pub(super) fn asked(&self) -> Value {
        match &self.repairs {
            Some(repairs) => json!({"file": repairs.file, "lines": repairs.letters.len()}),
            None => self.filter.to_json(),
        }
    }

    /// True of a letter that may hold something that is chosen.
    pub(super) fn takes_letter(&self, worker: &str, written: Time, (partition, offset): (i32, i64)) -> bool {
        let first = LetterId { partition, letter: offset, behind: None };
        let last = LetterId { behind: Some(i64::MAX), ..first };
        self.filter.takes_letter(worker, written, offset)
            && self
                .repairs
                .as_ref()
                .is_none_or(|repairs| repairs.letters.range(first..=last).next().is_some())
    }

    /// True of a record that was asked for.
    pub(super) fn takes(&self, one: &Candidate) -> bool {
        self.takes_letter(&one.back.worker, one.written, one.back.letter)
            && self.filter.takes_record(one.back.reason, one.key.as_deref())
            && self.repairs.as_ref().is_none_or(|repairs| repairs.letters.contains_key(&one.id()))
    }

    /// True of a record that was tried too often to be sent again.
    pub(super) fn gives_up_on(&self, one: &Candidate) -> bool {
        one.back.attempts >= self.max_attempts && !self.discard
    }

    /// True if letters of this worker may be asked for.
    pub(super) fn concerns_worker(&self, worker: &str) -> bool {
        self.filter.worker.as_deref().is_none_or(|wanted| wanted == worker)
    }

    /// True if records of its worker and key may be asked for.
    pub(super) fn concerns(&self, one: &Candidate) -> bool {
        self.concerns_worker(&one.back.worker) && self.filter.takes_key(one.key.as_deref())
    }

    pub(super) fn repair(&self, id: LetterId) -> Option<&Repair> {
        self.repairs.as_ref()?.letters.get(&id)
    }
}

impl Filter {
    /// As it stands in the audit journal: what was given, nothing else.
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(name.to_owned(), value);
            }
        };
        put("worker", self.worker.as_deref().map(Value::from));
        put("reason", self.reason.map(|reason| reason.as_str().into()));
        put("key", self.key.as_deref().map(|key| String::from_utf8_lossy(key).into()));
        put("from", self.from.map(|time| time.to_string().into()));
        put("to", self.to.map(|time| time.to_string().into()));
        put("partition", self.partition.map(Value::from));
        put("offsets", self.offsets.map(|(first, last)| format!("{first}..{last}").into()));
        Value::Object(map)
    }

    /// True of a letter that may hold something that is chosen: by its writer, time and offset.
    fn takes_letter(&self, worker: &str, written: Time, offset: i64) -> bool {
        self.worker.as_deref().is_none_or(|wanted| wanted == worker)
            && self.from.is_none_or(|from| written >= from)
            && self.to.is_none_or(|to| written < to)
            && self.offsets.is_none_or(|(first, last)| (first..=last).contains(&offset))
    }

    /// True of a record with this reason and key.
    fn takes_record(&self, reason: Reason, key: Option<&[u8]>) -> bool {
        self.reason.is_none_or(|wanted| wanted == reason) && self.takes_key(key)
    }

    fn takes_key(&self, key: Option<&[u8]>) -> bool {
        self.key.as_deref().is_none_or(|wanted| key == Some(wanted))
    }
}
