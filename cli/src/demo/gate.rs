//! The order gate of the demo's desk: it obeys nobody, and it answers late.

use std::collections::BTreeMap;

use tapewatch_producers::{Body, Layout, Slice, SliceRecord};
use tapewatch_schemas::catalogue::CONTROL_REQUESTS;
use tapewatch_schemas::events::{Control, ControlRequest, RequestKind, TradingLevel};
use tapewatch_schemas::{Event, RecordId, Scope, Time};

/// Who acknowledges.
const WHO: &str = "gate";

/// Reads `control.v1` when a slice of the tape is over, hours after what stands there, and acknowledges with the next slice
/// what is still in force: so the time that there was for it has always passed.
pub(super) struct Gate {
    layout: Layout,
    /// Halts that it has read of and not acknowledged.
    unanswered: BTreeMap<Scope, RecordId>,
    /// The last number given, by partition.
    last: BTreeMap<i32, i64>,
}

impl Gate {
    /// One that has read nothing yet.
    pub(super) fn new(layout: Layout) -> Self {
        Self { layout, unanswered: BTreeMap::new(), last: BTreeMap::new() }
    }

    /// Takes what is in force for a scope.
    pub(super) fn hear(&mut self, control: &Control) {
        match control.halt.filter(|_| control.level > TradingLevel::Normal) {
            Some(halt) if control.acknowledged_by.is_none() => {
                self.unanswered.insert(control.scope.clone(), halt);
            }
            _ => {
                self.unanswered.remove(&control.scope);
            }
        }
    }

    /// Puts what it has to say in front of a slice that begins at an instant.
    pub(super) fn answer(&mut self, slice: &mut Slice, begins: Time) {
        let answers: Vec<SliceRecord> = std::mem::take(&mut self.unanswered)
            .into_iter()
            .map(|(scope, halt)| self.acknowledgement(scope, halt, begins))
            .collect();
        slice.records.splice(0..0, answers);
    }

    fn acknowledgement(&mut self, scope: Scope, halt: RecordId, at: Time) -> SliceRecord {
        let partition = self.layout.partition(CONTROL_REQUESTS, scope.as_str());
        let last = self.last.entry(partition).or_insert(-1);
        *last += 1;
        let request = ControlRequest {
            source: WHO.into(),
            sequence: *last,
            event_time: at,
            scope: scope.clone(),
            request: RequestKind::Acknowledge,
            halt: Some(halt),
            who: WHO.to_owned(),
            reason: "read at last".to_owned(),
            despite_breach: false,
        };
        SliceRecord {
            topic: CONTROL_REQUESTS,
            partition,
            key: scope.0,
            event_time: at,
            published: at,
            body: Body::Event(Box::new(Event::ControlRequest(request))),
        }
    }
}
