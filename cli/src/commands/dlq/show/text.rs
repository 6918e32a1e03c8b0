//! A dead letter for people.

use std::io::{self, Write};

use serde_json::Value;
use tapewatch_consumers::count::counted;
use tapewatch_eventlog::RecordRef;
use tapewatch_eventlog::dead_letter::{Letter, RangeBody};
use tapewatch_schemas::codec::{GUID_HEADER, Partial};
use tapewatch_schemas::{DecodeError, Time};

use super::Reading;
use crate::decoded::{Decoder, Undecoded, is_text, shown};
use crate::{CliError, Context, hex_dump};

/// Bytes that are dumped after the place where decoding ended.
const DUMPED: usize = 512;

/// Runs of offsets that are listed of one reason.
const RUNS: usize = 100;

/// Shows a letter.
pub(super) struct Show<'a, W> {
    pub(super) out: W,
    pub(super) context: &'a Context,
    pub(super) decoder: &'a Decoder,
    /// All bytes of the value, decoded or not.
    pub(super) all: bool,
}

impl<W: Write> Show<'_, W> {
    /// Why, its headers, its key, and its value as far as that goes.
    pub(super) fn record(&mut self, record: &RecordRef<'_>) -> Result<(), CliError> {
        let letter = Letter::read(record);
        self.title(&format!("{}/{} offset {}", record.topic, record.partition, record.offset))?;
        match &letter {
            Some(letter) => self.why(letter)?,
            None => writeln!(self.out, "  its headers are not those of a tapewatch dead letter")?,
        }
        self.title("headers")?;
        for (name, value) in record.headers.iter() {
            writeln!(self.out, "  {name}: {}", lines(value))?;
        }
        self.title("key")?;
        writeln!(self.out, "  {}", record.key.map_or_else(|| "none".to_owned(), shown))?;
        let Some(value) = record.value else {
            self.title("value")?;
            return Ok(writeln!(self.out, "  none")?);
        };
        let header = record.headers.get(GUID_HEADER);
        match &letter {
            Some(letter) if letter.range => self.range(value),
            Some(letter) => self.value(letter.source.topic.as_str(), value, header, letter.cut.as_ref()),
            None => self.value(record.topic.as_str().trim_end_matches(".dlq"), value, header, None),
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

    /// The value, decoded as far as that goes, then the rest in hex.
    fn value(
        &mut self,
        topic: &str,
        value: &[u8],
        header: Option<&[u8]>,
        cut: Option<&(usize, String)>,
    ) -> Result<(), CliError> {
        let size = value.len();
        match cut {
            Some((whole, digest)) => {
                self.title(&format!("value: the first {size} of {whole} bytes, BLAKE3 of all {digest}"))?;
            }
            None => self.title(&format!("value: {}", counted(size as u64, "byte")))?,
        }
        let (why, part) = match Reading::of(self.decoder, topic, value, header) {
            Reading::Event(event) => {
                self.json(&event)?;
                return if self.all { self.dump(value, 0, None) } else { Ok(()) };
            }
            Reading::Undecoded { why, part, other } => {
                writeln!(self.out, "  {why}")?;
                if let Some((topic, event)) = other {
                    writeln!(self.out, "  as an event of {topic} it is")?;
                    self.json(&event)?;
                    return if self.all { self.dump(value, 0, None) } else { Ok(()) };
                }
                (why, part)
            }
        };
        if let Undecoded::Value(DecodeError::BadJson { fields }) = &why {
            for field in fields {
                writeln!(self.out, "  {field}")?;
            }
            // A text is read as a text, unless its bytes are asked for.
            if !self.all
                && let Ok(text) = std::str::from_utf8(value)
            {
                return Ok(writeln!(self.out, "{text}")?);
            }
        }
        let mark = if let Undecoded::Value(error) = &why { error.position() } else { None };
        let mut read = 0;
        if let Some(Partial { fields, position }) = part.filter(Partial::has_fields) {
            writeln!(self.out, "  read up to byte {position}:")?;
            self.json(&fields)?;
            if !self.all {
                writeln!(self.out, "  the rest, from byte {position}:")?;
                read = position;
            }
        }
        self.dump(value, read, mark)
    }

    fn json(&mut self, value: &Value) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        Ok(writeln!(self.out, "{text}")?)
    }

    /// The bytes from `from` on, as many as are shown.
    fn dump(&mut self, value: &[u8], from: usize, mark: Option<usize>) -> Result<(), CliError> {
        let size = value.len();
        let to = if self.all { size } else { from.saturating_add(DUMPED) };
        hex_dump::write(&mut self.out, value, from, to, mark)?;
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
        let records = counted(body.count, "record");
        self.title(&format!("{records}, whose bytes are still in the source"))?;
        for entry in &body.reasons {
            writeln!(self.out, "  {}: {}, at offsets", entry.reason, counted(entry.count, "record"))?;
            for run in entry.runs.iter().take(RUNS) {
                if run.first == run.last {
                    writeln!(self.out, "    {}", run.first)?;
                } else {
                    writeln!(self.out, "    {} to {}", run.first, run.last)?;
                }
            }
            if entry.runs.len() > RUNS {
                let more = counted((entry.runs.len() - RUNS) as u64, "more run");
                writeln!(self.out, "    and {more}: see them with --json")?;
            }
        }
        writeln!(self.out, "  BLAKE3 over them: {}", body.digest)?;
        let published = Time(body.first_timestamp);
        self.title(&format!("the first of them, at offset {}, published {published}", body.first_offset))?;
        let key = body.first_key.as_deref().and_then(unhex);
        writeln!(self.out, "  key: {}", key.map_or_else(|| "none".into(), |key| shown(&key)))?;
        match body.first_value.as_deref().and_then(unhex) {
            Some(value) => self.value(&body.topic, &value, None, None),
            None => Ok(writeln!(self.out, "  value: none")?),
        }
    }
}

/// A header's value; the lines of a text after the first stand below it.
fn lines(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if is_text(text) => text.lines().map(str::trim).collect::<Vec<_>>().join("\n    "),
        _ => shown(value),
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
