//! `tapewatch dlq export`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tapewatch_config::Settings;
use tapewatch_consumers::redrive::{Exported, Request, export};
use tapewatch_eventlog::Log;
use tapewatch_schemas::TopicName;
use tapewatch_schemas::codec::GUID_HEADER;

use super::filter::FilterArgs;
use super::{letters_of, redrive};
use crate::CliError;
use crate::decoded::{Decoder, is_text};
use crate::interrupt::Interrupt;

const EXAMPLES: &str = "\
Examples:
  tapewatch dlq export exec.reports.v1 --reason bad_json > bad.jsonl
  tapewatch dlq export exec.reports.v1 --reason bad_json |
    jq -c '.value = (.value_base64 | @base64d | fromjson | .currency = \"USD\")' | tapewatch dlq import - --why …

One JSON object a line, in the order in which `dlq redrive` would send them: which letter it is (topic, partition,
letter; of a record behind a range letter also behind, its offset where it is), why, where it was published, its
headers, its key, its bytes in base64, and beside them the event, where they are one. What was sent back before
is left out.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The topic, named as its source or with .dlq
    topic: String,
    #[command(flatten)]
    filter: FilterArgs,
}

pub(super) fn run(args: Args, log: &Arc<dyn Log>, settings: &Settings) -> Result<ExitCode, CliError> {
    let decoder = Decoder::new(settings)?;
    let (letters, _) = letters_of(log.as_ref(), &args.topic)?;
    let topic = TopicName::from(letters.strip_suffix(".dlq").unwrap_or(&letters));
    let request = Request { filter: args.filter.filter()?, ..redrive::everything(topic, settings) };
    let interrupt = Interrupt::listen()?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let outcome = export::<CliError>(log, &request, |shown| {
        writeln!(out, "{}", line(shown, &request.topic, &decoder))?;
        Ok(!interrupt.asked())
    })?;
    out.flush()?;
    if outcome.interrupted {
        return Err(CliError::Interrupted("not all dead letters were exported".into()));
    }
    for text in redrive::reasons(&outcome.left, &request) {
        // What is left out is told beside the lines, not among them.
        writeln!(io::stderr(), "{text}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn line(shown: &Exported<'_>, topic: &TopicName, decoder: &Decoder) -> Value {
    let Exported { back, behind, record } = shown;
    let headers: Vec<Value> = record.headers.iter().map(|(name, value)| header(name, value)).collect();
    let error = record.headers.get("tapewatch.error").map(String::from_utf8_lossy);
    let mut line = json!({
        "topic": topic.as_str(),
        "partition": back.letter.0,
        "letter": back.letter.1,
        "worker": back.worker,
        "task": back.task,
        "reason": back.reason.as_str(),
        "error": error,
        "attempts": back.attempts,
        "source": {
            "topic": back.source.topic.as_str(),
            "partition": back.source.partition,
            "offset": back.offset,
            "timestamp": back.timestamp.to_string(),
        },
        "headers": headers,
    });
    if let Some(offset) = behind {
        line["behind"] = (*offset).into();
    }
    put_key(&mut line, record.key);
    if let Some(value) = record.value {
        line["value_base64"] = BASE64_STANDARD.encode(value).into();
        if let Ok(event) = decoder.event(topic.as_str(), value, record.headers.get(GUID_HEADER)) {
            line["value"] = event;
        }
    }
    line
}

/// Puts a record's key into its object: as text, if it is one.
pub(super) fn put_key(object: &mut Value, key: Option<&[u8]>) {
    match key.map(|key| (key, std::str::from_utf8(key))) {
        None => {}
        Some((_, Ok(text))) => object["key"] = text.into(),
        Some((key, Err(_))) => object["key_base64"] = BASE64_STANDARD.encode(key).into(),
    }
}

/// A header as an object: its value as text, if it is one that can be shown.
pub(super) fn header(name: &str, value: &[u8]) -> Value {
    match std::str::from_utf8(value) {
        Ok(text) if is_text(text) => json!({"name": name, "value": text}),
        _ => json!({"name": name, "base64": BASE64_STANDARD.encode(value)}),
    }
}
