//! The lines of an export.

use serde::{Deserialize, Serialize};
use tapewatch_schemas::{Time, WorkerName};

use super::checkpoint::Checkpoint;
use super::finding::Selection;

/// The format that this release writes.
const FORMAT: u32 = 1;
/// What the first line says it is.
const EXPORT: &str = "journal export";

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Line {
    /// A journal record.
    Record(Record),
    /// A signed checkpoint.
    Checkpoint(Checkpoint),
    /// What the file is.
    Head(Head),
}

/// A journal record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) worker: WorkerName,
    pub(crate) partition: i32,
    /// As the record says; none if it could not be read. For people, and to name what was changed.
    pub(crate) sequence: Option<i64>,
    /// Where the log has it, and since when. For people, and not checked: a record is hashed before the log says
    /// either, and nothing that replay makes rests on them. A copy of a log may have others.
    pub(crate) offset: i64,
    pub(crate) published: Time,
    /// Its bytes, hex.
    #[serde(rename = "record")]
    pub(crate) bytes: String,
}

/// What the file is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) tapewatch: String,
    pub(crate) format: u32,
    pub(crate) log: String,
    /// The journals of this worker alone; none if of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) worker: Option<String>,
    /// Of these partitions alone; empty if of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) partitions: Vec<i32>,
}

impl Head {
    /// Of an export of these journals of this log.
    pub(crate) fn of(log: &str, selection: &Selection) -> Self {
        let Selection { worker, partitions } = selection.clone();
        Self { tapewatch: EXPORT.to_owned(), format: FORMAT, log: log.to_owned(), worker, partitions }
    }

    /// Which journals it says are in the file.
    pub(crate) fn selection(self) -> Selection {
        Selection { worker: self.worker, partitions: self.partitions }
    }
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// What it is not.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let line: Self = serde_json::from_str(text).map_err(|_| {
            "it is no line of a journal's export: expected a record, a checkpoint or the head".to_owned()
        })?;
        match &line {
            Self::Head(head) if head.tapewatch != EXPORT => {
                Err(format!("it says that the file is a `{}`, expected `{EXPORT}`", head.tapewatch))
            }
            Self::Head(head) if head.format > FORMAT => {
                Err(format!("format {} is newer than this release reads ({FORMAT})", head.format))
            }
            _ => Ok(line),
        }
    }

    /// As it is written.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("a line is plain data")
    }
}

/// Bytes as hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).expect("a nibble is a hex digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Hex as bytes; none if it is not hex.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |digit: &u8| char::from(*digit).to_digit(16).map(|value| value as u8);
    text.as_bytes().chunks_exact(2).map(|pair| Some((nibble(&pair[0])? << 4) | nibble(&pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_hex() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&all)), Some(all));
        for wrong in ["a", "zz", "é"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for wrong in ["", "{}", "[1]", r#"{"tapewatch":"something else","format":1,"log":"x"}"#] {
            assert!(Line::read(wrong).is_err(), "{wrong}");
        }
        let newer = Line::Head(Head { format: 99, ..Head::of("x", &Selection::default()) }).text();
        assert!(Line::read(&newer).unwrap_err().contains("newer"));
        assert!(matches!(
            Line::read(&Line::Head(Head::of("x", &Selection::default())).text()),
            Ok(Line::Head(_))
        ));
    }
}
