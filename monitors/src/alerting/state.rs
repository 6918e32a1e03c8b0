//! A condition that holds, and saving and putting back all of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tapewatch_schemas::Time;
use tapewatch_schemas::events::Unknown;

use super::AlertingMonitor;
use super::condition::Finding;
use super::containment::Book;
use super::latch::Latch;
use crate::monitor::StateError;

/// The format of the saved state.
const FORMAT: u16 = 4;

/// A condition that holds, or a silence that will.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Track {
    pub(super) rule: SmolStr,
    pub(super) scope: String,
    pub(super) label: Option<String>,
    pub(super) silence: bool,
    /// When it became true.
    pub(super) since: Time,
    /// When it fires.
    pub(super) due: Time,
    pub(super) firing: bool,
    pub(super) subject: String,
    pub(super) value: Option<f64>,
    pub(super) threshold: Option<f64>,
    pub(super) unknown: Option<Unknown>,
    pub(super) detail: String,
    /// The event time of the record that last said something about it.
    pub(super) event_time: Time,
}

impl Track {
    pub(super) fn new(finding: &Finding, since: Time, due: Time) -> Self {
        Self {
            rule: finding.rule.clone(),
            scope: finding.scope.clone(),
            label: finding.label.clone(),
            silence: finding.silence,
            since,
            due,
            firing: false,
            subject: finding.subject.clone(),
            value: finding.value,
            threshold: finding.threshold,
            unknown: finding.unknown,
            detail: finding.detail.clone(),
            event_time: finding.event_time,
        }
    }

    /// Takes over what the latest record says.
    pub(super) fn say(&mut self, finding: &Finding) {
        self.subject.clone_from(&finding.subject);
        self.detail.clone_from(&finding.detail);
        self.value = finding.value;
        self.threshold = finding.threshold.or(self.threshold);
        self.unknown = finding.unknown;
        self.event_time = finding.event_time;
    }
}

/// All that is saved; sorted, so that equal states give equal bytes.
#[derive(Serialize, Deserialize)]
struct Saved<C, L, B> {
    format: u16,
    clock: Time,
    conditions: C,
    latches: L,
    books: B,
}

impl AlertingMonitor {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let saved = Saved {
            format: FORMAT,
            clock: self.clock,
            conditions: &self.conditions,
            latches: &self.latches,
            books: &self.books,
        };
        postcard::to_allocvec(&saved).expect("the state holds nothing that postcard cannot write")
    }

    pub(super) fn put_back(&mut self, state: &[u8]) -> Result<(), StateError> {
        let (format, _) = postcard::take_from_bytes::<u16>(state).map_err(unreadable)?;
        if format != FORMAT {
            return Err(StateError(format!("it is of format {format}, this code reads {FORMAT}")));
        }
        type Books = BTreeMap<SmolStr, Book>;
        let saved: Saved<BTreeMap<String, Track>, BTreeMap<SmolStr, Latch>, Books> =
            postcard::from_bytes(state).map_err(unreadable)?;
        let mut back = Self::new(self.parameters.clone());
        (back.clock, back.latches) = (saved.clock, saved.latches);
        (back.lines, back.books) = (Self::count_lines(&saved.books), saved.books);
        for (fingerprint, track) in saved.conditions {
            if back.rule(&track.rule).is_none() {
                back.orphans.insert(fingerprint.clone());
            } else if !track.firing {
                back.pending.insert((track.due, fingerprint.clone()));
            }
            back.conditions.insert(fingerprint, track);
        }
        back.unshown = !back.in_latches().is_empty();
        *self = back;
        Ok(())
    }
}

fn unreadable(error: postcard::Error) -> StateError {
    StateError(error.to_string())
}
