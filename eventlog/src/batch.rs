//! Records as they are read: many in one arena, so that a batch allocates once and is shared whole.

use std::ops::Range;

use tapewatch_schemas::{Time, TopicName};

use crate::TopicPartition;

/// Consecutive readable records of one partition. Offsets rise but may have gaps (aborted records,
/// transaction markers, compaction).
#[derive(Clone, Debug)]
pub struct Batch {
    source: TopicPartition,
    arena: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    offset: i64,
    timestamp: Time,
    key: Option<Range<u32>>,
    value: Option<Range<u32>>,
    headers: Range<u32>,
}

/// One record of a [`Batch`].
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// Its topic.
    pub topic: &'a TopicName,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its publication time.
    pub timestamp: Time,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Headers<'a>,
}

/// A record's headers, read from the arena: (length of name, name, length of value, value)*, lengths as
/// little-endian u32.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    /// The encoded headers, as they are in the arena: the same bytes for the same headers.
    pub fn encoded(self) -> &'a [u8] {
        self.0
    }

    /// From the encoding that [`Headers::encode`] writes.
    pub fn from_encoded(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Appends one header to an encoding.
    pub fn encode(into: &mut Vec<u8>, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), value] {
            into.extend_from_slice(&(part.len() as u32).to_le_bytes());
            into.extend_from_slice(part);
        }
    }

    /// The first header of this name.
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// All headers, in order. Stops at the first that is cut short.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let name = std::str::from_utf8(take(&mut rest)?).ok()?;
            Some((name, take(&mut rest)?))
        })
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (part, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some(part)
}

impl Batch {
    /// The partition it is of.
    pub fn source(&self) -> &TopicPartition {
        &self.source
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without records.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of keys, values and headers.
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// The record at `index`, which must be below [`Batch::len`].
    pub fn record(&self, index: usize) -> RecordRef<'_> {
        let entry = &self.entries[index];
        let slice = |range: &Range<u32>| &self.arena[range.start as usize..range.end as usize];
        RecordRef {
            topic: &self.source.topic,
            partition: self.source.partition,
            offset: entry.offset,
            timestamp: entry.timestamp,
            key: entry.key.as_ref().map(slice),
            value: entry.value.as_ref().map(slice),
            headers: Headers(slice(&entry.headers)),
        }
    }

    /// All records, in offset order.
    pub fn iter(&self) -> impl Iterator<Item = RecordRef<'_>> {
        (0..self.len()).map(|index| self.record(index))
    }
}

/// Builds a [`Batch`].
#[derive(Debug)]
pub struct BatchBuilder(Batch);

impl BatchBuilder {
    /// An empty batch of a partition.
    pub fn new(source: TopicPartition) -> Self {
        Self(Batch { source, arena: Vec::new(), entries: Vec::new() })
    }

    /// An empty batch with room for so many records, and so many bytes in all of them.
    pub fn with_capacity(source: TopicPartition, records: usize, bytes: usize) -> Self {
        let (arena, entries) = (Vec::with_capacity(bytes), Vec::with_capacity(records));
        Self(Batch { source, arena, entries })
    }

    /// Appends a record. The arena of one batch stays below 4 GiB.
    pub fn push(
        &mut self,
        offset: i64,
        timestamp: Time,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        write_headers: impl FnOnce(&mut Vec<u8>),
    ) {
        let arena = &mut self.0.arena;
        let mut put = |part: Option<&[u8]>| {
            part.map(|bytes| {
                let start = arena.len() as u32;
                arena.extend_from_slice(bytes);
                start..arena.len() as u32
            })
        };
        let (key, value) = (put(key), put(value));
        let start = arena.len() as u32;
        write_headers(arena);
        let headers = start..arena.len() as u32;
        self.0.entries.push(Entry { offset, timestamp, key, value, headers });
    }

    /// How many records so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without records.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// The record at `index`, which must be below [`BatchBuilder::len`].
    pub fn record(&self, index: usize) -> RecordRef<'_> {
        self.0.record(index)
    }

    /// Moves all offsets up by `base`, and gives the publication time `now` to the records that were
    /// pushed with the time `unset`.
    pub fn rebase(&mut self, base: i64, unset: Time, now: Time) {
        for entry in &mut self.0.entries {
            entry.offset += base;
            if entry.timestamp == unset {
                entry.timestamp = now;
            }
        }
    }

    /// The batch.
    pub fn build(self) -> Batch {
        self.0
    }
}
