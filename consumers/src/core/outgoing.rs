//! What a step made becomes records: identified, addressed, encoded.

use std::fmt::Write as _;

use bytes::Bytes;
use tapewatch_eventlog::OutRecord;
use tapewatch_monitors::Output;
use tapewatch_schemas::RecordId;
use tapewatch_schemas::events::{Cause, Provenance};

use super::Core;
use crate::cloud_event;
use crate::outbox::{FROM, Outbox, TRACEPARENT};

impl Core {
    /// Encodes and addresses what the step made, and takes the step.
    pub(super) fn publish(&mut self, cause: &Cause, traceparent: Option<&[u8]>, outbox: &mut Outbox) {
        let step = self.state.step;
        self.state.step += 1;
        if self.outputs.is_empty() {
            return;
        }
        let mut outputs = std::mem::take(&mut self.outputs);
        let cause = cause.to_string();
        for (index, output) in outputs.drain(..).enumerate() {
            let record = self.record(output, step, index as u32, &cause, traceparent);
            outbox.push(self.state.clock, record, &self.blueprint.codec);
        }
        self.outputs = outputs;
    }

    fn record(
        &mut self,
        output: Output,
        step: u64,
        index: u32,
        cause: &str,
        traceparent: Option<&[u8]>,
    ) -> OutRecord {
        let Output { mut event, ages } = output;
        let worker = self.blueprint.worker.clone();
        let partition = self.state.partition;
        let from = format!("{worker}/{partition}/{step}/{index}");
        let mut id = RecordId::of_step(worker.as_str(), partition, step, index);
        if let Some(derived) = event.derived() {
            // An alert's id is the monitor's own: it says which alert it is, not which step made it.
            if *derived.id == RecordId::default() {
                *derived.id = id;
            }
            id = *derived.id;
            *derived.provenance = Provenance {
                worker,
                partition,
                step: step as i64,
                index: index as i32,
                cause: cause.to_owned(),
                configuration: self.blueprint.configuration.clone(),
                code: self.blueprint.code.clone(),
                freshest_age: ages.freshest,
                stalest_age: ages.stalest,
            };
        }
        let key = event.key().to_owned();
        let target = self.blueprint.routing.target(event.topic(), key.as_bytes());
        self.state.last_written.insert((target.topic.clone(), target.partition), step as i64);
        let mut value = Vec::with_capacity(256);
        self.blueprint.codec.encode(&event, &mut value).expect("our own events fit their own schemas");
        let mut headers = vec![
            (FROM.to_owned(), Bytes::from(from)),
            (TRACEPARENT.to_owned(), Bytes::from(trace(cause, id, traceparent))),
        ];
        headers.extend(cloud_event::headers(&event));
        let key = Some(Bytes::from(key.into_bytes()));
        OutRecord { target, timestamp: None, key, value: Some(Bytes::from(value)), headers }
    }
}
/// A W3C traceparent: the cause's trace if it has one, else one made of the cause's name.
fn trace(cause: &str, id: RecordId, of_cause: Option<&[u8]>) -> String {
    let inherited = of_cause
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .and_then(|text| text.split('-').nth(1))
        .filter(|trace| trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit()));
    let mut text = String::with_capacity(55);
    text.push_str("00-");
    match inherited {
        Some(trace) => text.push_str(trace),
        None => hex(&mut text, &blake3::hash(cause.as_bytes()).as_bytes()[..16]),
    }
    text.push('-');
    hex(&mut text, &id.0.as_bytes()[8..]);
    text.push_str("-01");
    text
}

fn hex(into: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(into, "{byte:02x}").expect("writing to a string does not fail");
    }
}
