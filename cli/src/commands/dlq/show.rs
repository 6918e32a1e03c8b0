use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use tapewatch_eventlog::dead_letter::{Letter, RangeBody};
use tapewatch_eventlog::{Log, RecordRef, TopicPartition};
use tapewatch_schemas::{DecodeError, Time};

use super::letters_of;
use crate::decoded::{Decoder, shown};
use crate::interrupt::Interrupt;
use crate::scan::{self, Span};
use crate::{CliError, Context, hex_dump};

/// Bytes that are dumped before and after the place where decoding ended.
const AROUND: usize = 512;

/// Runs of offsets that are listed of one reason.
const RUNS: usize = 100;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The topic, named as its source or with .dlq
    topic: String,
    /// The partition
    partition: i32,
    /// The dead letter's own offset, as `dlq list` shows it
    offset: i64,
    /// Dump all of the value's bytes, decoded or not
    #[arg(long)]
    all: bool,
}

pub(super) fn run(
    args: &Args,
    log: &dyn Log,
    context: &Context,
    decoder: Decoder,
) -> Result<ExitCode, CliError> {
    let (topic, partitions) = letters_of(log, &args.topic)?;
    if !(0..partitions).contains(&args.partition) {
        let (partition, last) = (args.partition, partitions - 1);
        return Err(CliError::Input(format!("{topic} has no partition {partition}: they are 0 to {last}")));
    }
    let at = TopicPartition::new(topic, args.partition);
    let bounds = log.bounds(&at)?;
    let nothing = || {
        let (offset, earliest, end) = (args.offset, bounds.earliest, bounds.end);
        CliError::Input(format!(
            "{at} has no record at offset {offset}: it holds offsets {earliest} to below {end}"
        ))
    };
    if !(bounds.earliest..bounds.end).contains(&args.offset) {
        return Err(nothing());
    }
    let span = Span { at: at.clone(), from: args.offset, to: args.offset + 1 };
    let mut found = false;
    scan::read(log, &[span], &Interrupt::listen()?, |record| {
        found = true;
        let mut show = Show { out: io::stdout().lock(), context, decoder: &decoder, all: args.all };
        show.record(record)?;
        Ok(ControlFlow::Break(()))
    })?;
    if found { Ok(ExitCode::SUCCESS) } else { Err(nothing()) }
}

struct Show<'a, W> {
    out: W,
    context: &'a Context,
    decoder: &'a Decoder,
    all: bool,
}

impl<W: Write> Show<'_, W> {
    fn record(&mut self, record: &RecordRef<'_>) -> Result<(), CliError> {
        let letter = Letter::read(record);
        self.title(&format!("{}/{} offset {}", record.topic, record.partition, record.offset))?;
        match &letter {
            Some(letter) => self.why(letter)?,
            None => writeln!(self.out, "  its headers are not those of a tapewatch dead letter")?,
        }
        self.title("headers")?;
        for (name, value) in record.headers.iter() {
            writeln!(self.out, "  {name}: {}", shown(value))?;
        }
        self.title("key")?;
        writeln!(self.out, "  {}", record.key.map_or_else(|| "none".to_owned(), shown))?;
        let Some(value) = record.value else {
            self.title("value")?;
            return Ok(writeln!(self.out, "  none")?);
        };
        match &letter {
            Some(letter) if letter.range => self.range(value),
            Some(letter) => self.value(letter.source.topic.as_str(), value, letter.cut.as_ref()),
            None => self.value(record.topic.as_str().trim_end_matches(".dlq"), value, None),
        }
    }

    fn title(&mut self, text: &str) -> Result<(), CliError> {
        Ok(writeln!(self.out, "{}", self.context.paint.bold(text))?)
    }

    fn why(&mut self, letter: &Letter) -> Result<(), CliError> {
        let Letter { worker, reason, attempts, error, source, offset, timestamp, .. } = letter;
        writeln!(self.out, "  {reason}: {error}")?;
        writeln!(self.out, "  refused by {worker}, attempts {attempts}")?;
        let kind = if letter.range { "stands for a range from" } else { "comes from" };
        writeln!(self.out, "  {kind} {source} offset {offset}, published {timestamp}")?;
        Ok(())
    }

    /// The value, decoded as far as that goes.
    fn value(&mut self, topic: &str, value: &[u8], cut: Option<&(usize, String)>) -> Result<(), CliError> {
        let size = value.len();
        match cut {
            Some((whole, digest)) => {
                self.title(&format!("value: the first {size} of {whole} bytes, BLAKE3 of all {digest}"))?;
            }
            None => self.title(&format!("value: {size} bytes"))?,
        }
        let ended = match self.decoder.event(topic, value) {
            Ok(event) => {
                let text = serde_json::to_string_pretty(&event).map_err(io::Error::from)?;
                writeln!(self.out, "{text}")?;
                None
            }
            Err(error) => {
                writeln!(self.out, "  {error}")?;
                let fields =
                    if let DecodeError::BadJson { fields } = &error { fields.as_slice() } else { &[] };
                for field in fields {
                    writeln!(self.out, "  {field}")?;
                }
                Some(position(&error))
            }
        };
        // A text is read as a text, unless its bytes are asked for.
        if value.starts_with(b"{")
            && !self.all
            && let Ok(text) = std::str::from_utf8(value)
            && ended.is_some()
        {
            return Ok(writeln!(self.out, "{text}")?);
        }
        let (from, to) = match ended {
            _ if self.all => (0, size),
            None => return Ok(()),
            Some(at) => (at.unwrap_or(0).saturating_sub(AROUND), at.unwrap_or(0).saturating_add(AROUND)),
        };
        hex_dump::write(&mut self.out, value, from, to, ended.flatten())?;
        if to < size {
            writeln!(self.out, "  … to byte {size}: see them with --all")?;
        }
        Ok(())
    }

    fn range(&mut self, value: &[u8]) -> Result<(), CliError> {
        let body = match RangeBody::read(value) {
            Ok(body) => body,
            Err(problem) => {
                self.title(&format!("value: this is no range letter: {problem}"))?;
                return Ok(hex_dump::write(&mut self.out, value, 0, value.len(), None)?);
            }
        };
        self.title(&format!("{} records, whose bytes are still in the source", body.count))?;
        for entry in &body.reasons {
            writeln!(self.out, "  {}: {} records, at offsets", entry.reason, entry.count)?;
            for run in entry.runs.iter().take(RUNS) {
                if run.first == run.last {
                    writeln!(self.out, "    {}", run.first)?;
                } else {
                    writeln!(self.out, "    {} to {}", run.first, run.last)?;
                }
            }
            if entry.runs.len() > RUNS {
                let more = entry.runs.len() - RUNS;
                writeln!(self.out, "    and {more} more runs: see them with `tapewatch tail … --json`")?;
            }
        }
        writeln!(self.out, "  BLAKE3 over them: {}", body.digest)?;
        let published = Time(body.first_timestamp);
        self.title(&format!("the first of them, at offset {}, published {published}", body.first_offset))?;
        let key = body.first_key.as_deref().and_then(unhex);
        writeln!(self.out, "  key: {}", key.map_or_else(|| "none".into(), |key| shown(&key)))?;
        match body.first_value.as_deref().and_then(unhex) {
            Some(value) => self.value(&body.topic, &value, None),
            None => Ok(writeln!(self.out, "  value: none")?),
        }
    }
}

/// Where decoding ended, if the error says.
fn position(error: &DecodeError) -> Option<usize> {
    match error {
        DecodeError::Truncated { position, .. }
        | DecodeError::TrailingBytes { position, .. }
        | DecodeError::BadValue { position, .. } => Some(*position),
        _ => None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks_exact(2);
    if !digits.remainder().is_empty() {
        return None;
    }
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_both_ways() {
        assert_eq!(unhex(&crate::decoded::hex(&[0, 255, 16])), Some(vec![0, 255, 16]));
        assert_eq!((unhex("0"), unhex("zz")), (None, None));
    }
}
