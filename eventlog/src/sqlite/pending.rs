//! A round as it waits for the writer thread: already cut into one batch a partition, in the layout that
//! followers will read.

use std::collections::HashMap;
use std::sync::Arc;

use tapewatch_schemas::Time;

use super::shared::Shared;
use super::stream::Stream;
use crate::{BatchBuilder, LogError, OutRecord, TopicPartition};

/// Stands for "the log's clock" until the record is committed.
pub(super) const AT_COMMIT: Time = Time::MIN;

/// Records on their way into the file.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) parts: Vec<Part>,
    /// Of each record, in the order in which they were added: its part and its place there.
    pub(super) slots: Vec<(u32, u32)>,
    pub(super) bytes: usize,
    open: HashMap<TopicPartition, usize>,
}

/// Records of one partition. Offsets count from 0 until the commit.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) stream: Arc<Stream>,
    pub(super) batch: BatchBuilder,
}

impl Pending {
    /// Adds a record at the end of its partition.
    pub(super) fn push(&mut self, shared: &Shared, record: &OutRecord) -> Result<(), LogError> {
        let size = size_of(record);
        let at = &record.target;
        let doing = || format!("writing {size} B to {at}");
        if size > shared.options.max_record_bytes {
            let why = format!("a record may have {} B", shared.options.max_record_bytes);
            return Err(shared.backend(&doing(), why));
        }
        let index = match self.open.get(at).copied() {
            Some(index) if self.parts[index].has_room(shared, size) => index,
            found => {
                let stream = match found {
                    Some(index) => Arc::clone(&self.parts[index].stream),
                    None => shared.stream(at)?,
                };
                self.parts.push(Part { batch: BatchBuilder::new(at.clone()), stream });
                self.open.insert(at.clone(), self.parts.len() - 1);
                self.parts.len() - 1
            }
        };
        let part = &mut self.parts[index];
        if part.stream.compacted && record.key.is_none() {
            return Err(shared.backend(&doing(), "a record of a compacted topic needs a key"));
        }
        let place = part.batch.len();
        part.batch.push(
            place as i64,
            record.timestamp.unwrap_or(AT_COMMIT),
            record.key.as_deref(),
            record.value.as_deref(),
            |into| {
                for (name, value) in &record.headers {
                    crate::Headers::encode(into, name, value);
                }
            },
        );
        self.slots.push((index as u32, place as u32));
        self.bytes += size;
        Ok(())
    }
}

impl Part {
    fn has_room(&self, shared: &Shared, size: usize) -> bool {
        self.batch.len() < shared.options.batch_records
            && (self.batch.is_empty() || self.batch.bytes() + size <= shared.options.batch_bytes)
    }
}

/// Bytes of key, value and headers.
pub(super) fn size_of(record: &OutRecord) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    record.key.as_ref().map_or(0, bytes::Bytes::len)
        + record.value.as_ref().map_or(0, bytes::Bytes::len)
        + headers
}
