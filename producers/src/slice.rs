//! A slice of the tape: what is committed in one piece.

use smol_str::SmolStr;
use tapewatch_schemas::{Event, Time};

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
