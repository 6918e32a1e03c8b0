//! The lines of a tape.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Bar, TapeError};
use tapewatch_schemas::Time;

/// A line that is no bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1, the heading included.
    pub line: usize,
    /// The column at fault.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The line ends before it.
    #[error("the line ends before it")]
    Missing,
    /// It is no time.
    #[error("`{0}` is not a time: write 2021-09-27 14:45:00+01:00")]
    NotATime(String),
    /// It is no number that can be used.
    #[error("`{0}` is not a positive finite number")]
    NotANumber(String),
    /// It contradicts the bar's other prices.
    #[error("{0} contradicts the bar's open or close")]
    Contradiction(String),
    /// It is not text.
    #[error("the line is not UTF-8")]
    NotText,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, {}: {}", self.line, self.field, self.problem)
    }
}

/// What the lines hold, in the file's order.
pub(super) struct Lines {
    pub(super) bars: Vec<Bar>,
    pub(super) bad: Vec<BadLine>,
}

const COLUMNS: [&str; 6] = ["Datetime", "Open", "High", "Low", "Close", "Volume"];

pub(super) fn lines(bytes: &[u8]) -> Result<Lines, TapeError> {
    let mut rows = bytes.split(|byte| *byte == b'\n').map(|row| row.strip_suffix(b"\r").unwrap_or(row));
    let heading = rows.next().unwrap_or_default();
    let names: Vec<&[u8]> = heading.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        *place =
            names.iter().position(|name| *name == column.as_bytes()).ok_or(TapeError::NoColumn { column })?;
    }
    let mut lines = Lines { bars: Vec::new(), bad: Vec::new() };
    for (index, row) in rows.enumerate().filter(|(_, row)| !row.trim_ascii().is_empty()) {
        match bar(row, &places) {
            Ok(bar) => lines.bars.push(bar),
            Err((field, problem)) => lines.bad.push(BadLine { line: index + 2, field, problem }),
        }
    }
    Ok(lines)
}

type Fault = (&'static str, Problem);

fn bar(row: &[u8], places: &[usize; COLUMNS.len()]) -> Result<Bar, Fault> {
    let row = std::str::from_utf8(row).map_err(|_| (COLUMNS[0], Problem::NotText))?;
    let fields: Vec<&str> = row.split(',').map(str::trim).collect();
    let field =
        |column: usize| fields.get(places[column]).copied().ok_or((COLUMNS[column], Problem::Missing));
    let number = |column: usize, least: f64| {
        let text = field(column)?;
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() && value >= least => Ok(value),
            _ => Err((COLUMNS[column], Problem::NotANumber(text.to_owned()))),
        }
    };
    let start = field(0)?;
    let start = time(start).ok_or_else(|| (COLUMNS[0], Problem::NotATime(start.to_owned())))?;
    let least = f64::MIN_POSITIVE;
    let bar = Bar {
        start,
        open: number(1, least)?,
        high: number(2, least)?,
        low: number(3, least)?,
        close: number(4, least)?,
        volume: number(5, 0.0)?,
    };
    if bar.high < bar.open.max(bar.close) {
        return Err((COLUMNS[2], Problem::Contradiction(bar.high.to_string())));
    }
    if bar.low > bar.open.min(bar.close) {
        return Err((COLUMNS[3], Problem::Contradiction(bar.low.to_string())));
    }
    Ok(bar)
}

/// RFC 3339, with a space allowed for the `T`.
fn time(text: &str) -> Option<Time> {
    let at = OffsetDateTime::parse(&text.replacen(' ', "T", 1), &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1000)).ok().map(Time)
}
