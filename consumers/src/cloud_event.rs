//! Headers that make an alert a CloudEvent (1.0, Kafka's binary mode): whoever routes events needs no schema.
//!
//! They say nothing that the body does not, so they are as deterministic as it is.

use bytes::Bytes;
use tapewatch_schemas::Event;
use tapewatch_schemas::events::AlertState;

/// The headers of an event; none but for an alert.
pub fn headers(event: &Event) -> Vec<(String, Bytes)> {
    let Event::Alert(alert) = event else { return Vec::new() };
    let made = &alert.provenance;
    let kind = match alert.state {
        AlertState::Firing => "tapewatch.alert.v1.firing",
        AlertState::Resolved => "tapewatch.alert.v1.resolved",
    };
    vec![
        text("ce_specversion", "1.0"),
        text("ce_id", alert.id),
        text("ce_type", kind),
        text("ce_source", format_args!("/tapewatch/{}/{}", made.worker, made.partition)),
        text("ce_subject", &alert.scope),
        text("ce_time", alert.event_time),
        // The binding's own name of `datacontenttype`; the prefixed one is for readers that look for that.
        text("content-type", AVRO),
        text("ce_datacontenttype", AVRO),
    ]
}

/// What the body is: Avro, in its single-object encoding.
const AVRO: &str = "application/avro";

fn text(name: &str, value: impl std::fmt::Display) -> (String, Bytes) {
    (name.to_owned(), Bytes::from(value.to_string()))
}
