//! A dead letter for programs.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tapewatch_eventlog::RecordRef;
use tapewatch_eventlog::dead_letter::{Letter, RangeBody};
use tapewatch_schemas::DecodeError;
use tapewatch_schemas::codec::GUID_HEADER;

use super::Reading;
use crate::commands::dlq::export::{header, put_key};
use crate::decoded::{Decoder, Undecoded};

/// The letter as one object: where it is, what it says, its headers, its key, its bytes in base64, and beside them the
/// event, or why it is none and what of it could be read.
pub(super) fn object(record: &RecordRef<'_>, decoder: &Decoder) -> Value {
    let letter = Letter::read(record);
    let mut object = json!({
        "topic": record.topic.as_str(),
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp.to_string(),
        "letter": letter.as_ref().map(said),
        "headers": record.headers.iter().map(|(name, value)| header(name, value)).collect::<Vec<_>>(),
    });
    put_key(&mut object, record.key);
    let Some(value) = record.value else { return object };
    object["value_base64"] = BASE64_STANDARD.encode(value).into();
    if letter.as_ref().is_some_and(|letter| letter.range) {
        match RangeBody::read(value) {
            Ok(body) => object["range"] = json!(body),
            Err(why) => object["undecoded"] = format!("this is no range letter: {why}").into(),
        }
        return object;
    }
    let topic = letter.as_ref().map_or_else(
        || record.topic.as_str().trim_end_matches(".dlq"),
        |letter| letter.source.topic.as_str(),
    );
    match Reading::of(decoder, topic, value, record.headers.get(GUID_HEADER)) {
        Reading::Event(event) => object["value"] = event,
        Reading::Undecoded { why, part, other } => {
            object["undecoded"] = why.to_string().into();
            if let Undecoded::Value(DecodeError::BadJson { fields }) = &why {
                object["problems"] = fields.iter().map(ToString::to_string).collect();
            }
            if let Some(part) = part {
                object["read"] = part.fields;
                object["read_to"] = part.position.into();
            }
            if let Some((topic, event)) = other {
                object["event_of"] = json!({"topic": topic, "value": event});
            }
        }
    }
    object
}

/// What its headers say.
fn said(letter: &Letter) -> Value {
    let Letter { worker, task, own, reason, attempts, error, source, offset, timestamp, cut, range, .. } =
        letter;
    let mut said = json!({
        "kind": if *range { "range" } else { "record" },
        "worker": worker,
        "task": task,
        "own": own,
        "reason": reason.as_str(),
        "attempts": attempts,
        "error": error,
        "source": {
            "topic": source.topic.as_str(),
            "partition": source.partition,
            "offset": offset,
            "timestamp": timestamp.to_string(),
        },
    });
    if letter.redriven.is_some() {
        let (at, offset) = letter.input();
        said["redriven"] = json!({"topic": at.topic.as_str(), "partition": at.partition, "offset": offset});
    }
    if let Some((bytes, digest)) = cut {
        said["cut"] = json!({"bytes": bytes, "digest": digest});
    }
    said
}
