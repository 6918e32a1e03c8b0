//! A slice of the tape: what is committed in one piece.

use bytes::Bytes;
use smol_str::SmolStr;
use tapewatch_eventlog::{OutRecord, Round, TopicPartition};
use tapewatch_schemas::{Codec, EncodeError, Event, Time};

/// All records published before an instant and after the slice before it, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Every record in it is published before this instant of the tape's clock. Records are in order of
    /// publication; event times are in order too, except those of late records.
    pub until: Time,
    /// Bars played so far, this slice included.
    pub bars: usize,
    /// The records.
    pub records: Vec<SliceRecord>,
}

/// One record of a slice.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceRecord {
    /// Its topic.
    pub topic: &'static str,
    /// Its partition: the key's, by the layout's partitioner.
    pub partition: i32,
    /// Its key.
    pub key: SmolStr,
    /// Its event time; for bytes that are no event, when they were published.
    pub event_time: Time,
    /// When it is published, on the tape's clock: its event time, unless it is late.
    pub published: Time,
    /// Its body.
    pub body: Body,
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// An event.
    Event(Box<Event>),
    /// Bytes that are no event: poison.
    Bytes(Vec<u8>),
}

impl SliceRecord {
    /// The record to be written. Its publication time is the log's, not the tape's.
    ///
    /// # Errors
    /// If the event does not fit its schema.
    pub fn into_record(self, codec: &Codec) -> Result<OutRecord, EncodeError> {
        let value = match self.body {
            Body::Event(event) => {
                let mut bytes = Vec::with_capacity(256);
                codec.encode(&event, &mut bytes)?;
                bytes
            }
            Body::Bytes(bytes) => bytes,
        };
        Ok(OutRecord {
            target: TopicPartition::new(self.topic, self.partition),
            timestamp: None,
            key: Some(Bytes::copy_from_slice(self.key.as_bytes())),
            value: Some(Bytes::from(value)),
            headers: Vec::new(),
        })
    }
}

impl Slice {
    /// The slice as one transaction's round, without offsets.
    ///
    /// # Errors
    /// If an event does not fit its schema.
    pub fn into_round(self, codec: &Codec) -> Result<Round, EncodeError> {
        let records =
            self.records.into_iter().map(|record| record.into_record(codec)).collect::<Result<_, _>>()?;
        Ok(Round { records, offsets: Vec::new() })
    }

    /// The slice in pieces of at most `span` microseconds of the tape's clock (at least 1), none of them
    /// empty: for a player that keeps pace with a clock. The last has the slice's own end.
    pub fn split(self, span: i64) -> Vec<Self> {
        let mut pieces: Vec<Self> = Vec::new();
        for record in self.records {
            match pieces.last_mut() {
                Some(piece) if record.published < piece.until => piece.records.push(record),
                _ => {
                    let until = Time(record.published.micros().saturating_add(span.max(1)));
                    pieces.push(Self { until, bars: self.bars, records: vec![record] });
                }
            }
        }
        if let Some(last) = pieces.last_mut() {
            last.until = self.until;
        }
        pieces
    }
}
