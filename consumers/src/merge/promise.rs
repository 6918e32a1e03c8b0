//! What a source promises about a partition, and when that is fulfilled.

use tapewatch_schemas::Time;

/// How far one source has said it has written.
#[derive(Debug)]
pub(super) struct Promise {
    /// The highest sequence number fetched; −1 before the first.
    pub(super) fetched: i64,
    /// Fulfilled: nothing more comes before this.
    pub(super) complete_to: Time,
    /// Fulfilled: nothing more comes at all.
    pub(super) closed: bool,
    /// Said last, fulfilled or not.
    pub(super) said: Said,
}

/// What a source said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) last_sequence: i64,
    pub(super) complete_to: Time,
    pub(super) closed: bool,
    /// An end of the partition that was asked for after it was said: whatever was promised is below it.
    pub(super) below: Option<i64>,
}

impl Promise {
    pub(super) fn new(said: Said) -> Self {
        Self { fetched: -1, complete_to: Time::MIN, closed: false, said }
    }

    pub(super) fn is_fulfilled(&self, fetched_to: i64) -> bool {
        self.fetched >= self.said.last_sequence || self.said.below.is_some_and(|end| fetched_to >= end)
    }

    pub(super) fn fulfil(&mut self, fetched_to: i64) {
        if self.is_fulfilled(fetched_to) {
            self.complete_to = self.complete_to.max(self.said.complete_to);
            self.closed = self.said.closed;
        }
    }

    /// What was fetched is forgotten: what was said counts once it is fetched again.
    pub(super) fn doubt(&mut self) {
        *self = Self::new(self.said);
    }
}
