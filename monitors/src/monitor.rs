//! What every monitor is.

use tapewatch_schemas::events::Cause;
use tapewatch_schemas::{Event, Time, TopicName};

/// A monitor: owns the state of one task (one partition number of its inputs).
///
/// Every output is a function of the calls so far. Work per call does not grow with history.
pub trait Monitor: Send {
    /// Takes one record, in merged order.
    ///
    /// # Errors
    /// A [`Refusal`] dead-letters the record. The state is then as if the record had never been shown.
    fn observe(&mut self, seen: &Seen<'_>, out: &mut Vec<Output>) -> Result<(), Refusal>;

    /// A source partition went down (its circuit breaker opened) or came up again. What rests on it is
    /// unknown meanwhile.
    fn source(&mut self, change: &SourceChange, out: &mut Vec<Output>);

    /// A person moved the position of a source past records that this task will never see. A monitor whose
    /// state does not rest on having seen every record does nothing.
    fn skipped(&mut self, _skip: &SourceSkip, _out: &mut Vec<Output>) {}

    /// The deadline `now` is due: the one that [`Monitor::next_deadline`] stated. After it, the next
    /// deadline is later than `now`.
    fn tick(&mut self, now: Time, out: &mut Vec<Output>);

    /// The next instant at which [`Monitor::tick`] must be called; none if there is nothing to wait for.
    fn next_deadline(&self) -> Option<Time>;

    /// The whole state as canonical bytes: equal states give equal bytes.
    fn save(&self) -> Vec<u8>;

    /// Puts back what [`Monitor::save`] gave.
    fn restore(&mut self, state: &[u8]) -> Result<(), StateError>;
}

/// One record as a monitor sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The record, decoded and checked (key, partition, not from the future).
    pub event: &'a Event,
    /// Its topic.
    pub topic: &'a TopicName,
    /// Its partition.
    pub partition: i32,
    /// What outputs name as their cause.
    pub cause: &'a Cause,
    /// The task's clock at this step; never goes back. At or after the record's event time, unless the
    /// record is from the near future.
    pub clock: Time,
}

/// A source partition that went down or came up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceChange {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: i32,
    /// True if it is down from now on.
    pub down: bool,
    /// The task's clock.
    pub clock: Time,
    /// What outputs name as their cause.
    pub cause: Cause,
}

/// Records of a source partition that were skipped on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSkip {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: i32,
    /// The latest event time among them; none if none of them can be decoded.
    pub through: Option<Time>,
    /// The task's clock.
    pub clock: Time,
}

/// A record to publish. The runtime fills in provenance and id (an alert's id is the monitor's own), and
/// sends it to the event's topic under the event's key.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The body; its provenance is empty, its event time is the clock of the step.
    pub event: Event,
    /// Ages of what it rests on.
    pub ages: Ages,
}

/// Ages of the inputs that an output rests on, microseconds; none if it rests on none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ages {
    /// The freshest.
    pub freshest: Option<i64>,
    /// The stalest.
    pub stalest: Option<i64>,
}

/// Why a record is refused: it becomes a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}; expected {expected}")]
pub struct Refusal {
    /// The field that is wrong.
    pub field: &'static str,
    /// What is wrong with it, with the value.
    pub problem: String,
    /// What was expected.
    pub expected: &'static str,
}

/// A saved state that cannot be put back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the saved state cannot be read: {0}")]
pub struct StateError(pub String);
