//! The tape: real bars from a file, put in order, with a count of what had to be put right.

mod parse;

use std::fmt;
use std::io;
use std::path::Path;

use tapewatch_schemas::Time;

pub use parse::{BadLine, Problem};

/// The span of a bar, microseconds: 15 minutes.
pub const BAR: i64 = 15 * 60 * 1_000_000;

/// The tape that is built in: see `producers/tape/README.md` for where it comes from.
const BUILT_IN: &[u8] = include_bytes!("../../tape/btcusd_15m.csv");

/// One bar: `open` at `start`, `close` just before the next boundary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// When it begins: a 15-minute boundary, UTC.
    pub start: Time,
    /// First price, currency per unit.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Traded value, in the currency.
    pub volume: f64,
}

/// Bars in order of time, each boundary at most once.
#[derive(Clone, Debug, PartialEq)]
pub struct Tape {
    bars: Vec<Bar>,
    report: TapeReport,
}

/// What reading the file met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TapeReport {
    /// Lines with a bar on them, good or bad.
    pub lines: usize,
    /// Bars that stood behind a later one and were moved.
    pub moved: usize,
    /// Bars of a boundary that was there already: the one with the larger volume was kept.
    pub merged: usize,
    /// Bars that begin off a boundary: snapshots of a bar that was not over.
    pub dropped: usize,
    /// Bars without volume; kept.
    pub without_volume: usize,
    /// Holes between neighbouring bars.
    pub gaps: usize,
    /// The longest hole between the end of a bar and the start of the next, microseconds.
    pub longest_gap: i64,
    /// Lines that are no bar. None of them is used.
    pub bad: Vec<BadLine>,
}

impl fmt::Display for TapeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.lines - self.bad.len() - self.merged - self.dropped;
        write!(
            f,
            "{kept} bars of {} lines: {} moved into their place in time, {} merged with a bar of the same time, \
             {} dropped as partial, {} bad; {} without volume; {} gaps, the longest {} h {} min",
            self.lines,
            self.moved,
            self.merged,
            self.dropped,
            self.bad.len(),
            self.without_volume,
            self.gaps,
            self.longest_gap / 3_600_000_000,
            self.longest_gap / 60_000_000 % 60
        )
    }
}

/// Why there is no tape.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The file cannot be read.
    #[error("the tape {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The first line names a column that is not there.
    #[error(
        "the tape has no column `{column}`: its first line must name Datetime,Open,High,Low,Close,Volume"
    )]
    NoColumn {
        /// The column that is missing.
        column: &'static str,
    },
    /// No line is a bar.
    #[error("the tape holds no bars ({bad} bad lines{first})")]
    Empty {
        /// Lines that were refused.
        bad: usize,
        /// The first of them, if there is one.
        first: String,
    },
}

impl Tape {
    /// The built-in tape.
    ///
    /// # Errors
    /// None in a released build: the file is part of the program and its test reads it.
    pub fn built_in() -> Result<Self, TapeError> {
        Self::parse(BUILT_IN)
    }

    /// Reads a file of the same form: `Datetime,Open,High,Low,Close[,…],Volume`, times in RFC 3339 or with
    /// a space for the `T`, any offset.
    pub fn read(path: &Path) -> Result<Self, TapeError> {
        let bytes = std::fs::read(path)
            .map_err(|source| TapeError::Unreadable { path: path.display().to_string(), source })?;
        Self::parse(&bytes)
    }

    /// Parses the text of a tape.
    pub fn parse(bytes: &[u8]) -> Result<Self, TapeError> {
        let parse::Lines { bars, bad } = parse::lines(bytes)?;
        let lines = bars.len() + bad.len();
        let tape = put_in_order(bars, TapeReport { lines, bad, ..TapeReport::default() });
        if tape.bars.is_empty() {
            let bad = &tape.report.bad;
            let first = bad.first().map_or_else(String::new, |line| format!(", the first: {line}"));
            return Err(TapeError::Empty { bad: bad.len(), first });
        }
        Ok(tape)
    }

    /// The bars, in order of time.
    pub fn bars(&self) -> &[Bar] {
        &self.bars
    }

    /// What reading met.
    pub fn report(&self) -> &TapeReport {
        &self.report
    }
}

/// Sorts by time, stable; merges equal boundaries; drops what is off a boundary; counts each.
fn put_in_order(mut bars: Vec<Bar>, mut report: TapeReport) -> Tape {
    let mut latest = Time::MIN;
    for bar in &bars {
        report.moved += usize::from(bar.start < latest);
        latest = latest.max(bar.start);
    }
    bars.sort_by_key(|bar| bar.start);
    let mut kept: Vec<Bar> = Vec::with_capacity(bars.len());
    for bar in bars {
        if bar.start.micros().rem_euclid(BAR) != 0 {
            report.dropped += 1;
            continue;
        }
        match kept.last_mut() {
            Some(last) if last.start == bar.start => {
                report.merged += 1;
                if bar.volume > last.volume {
                    *last = bar;
                }
            }
            _ => kept.push(bar),
        }
    }
    report.without_volume = kept.iter().filter(|bar| bar.volume == 0.0).count();
    for pair in kept.windows(2) {
        let hole = pair[1].start.since(pair[0].start) - BAR;
        report.gaps += usize::from(hole > 0);
        report.longest_gap = report.longest_gap.max(hole);
    }
    Tape { bars: kept, report }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Datetime,Open,High,Low,Close,Adj Close,Volume\n";

    #[test]
    fn the_real_tape_is_put_in_order() {
        let tape = Tape::built_in().unwrap();
        let report = tape.report();
        assert_eq!(report.lines, 8721);
        assert_eq!(report.bad, []);
        // The second download begins 32 bars before the first one ends.
        assert_eq!((report.moved, report.merged, report.dropped), (32, 32, 3));
        assert_eq!(tape.bars().len(), 8721 - 32 - 3);
        assert_eq!(report.longest_gap, 55 * 3_600_000_000 + 30 * 60_000_000);
        assert_eq!(
            report.to_string(),
            "8686 bars of 8721 lines: 32 moved into their place in time, 32 merged with a bar of the same time, \
             3 dropped as partial, 0 bad; 2079 without volume; 9 gaps, the longest 55 h 30 min"
        );
        assert!(tape.bars().windows(2).all(|pair| pair[0].start < pair[1].start));
        assert!(tape.bars().iter().all(|bar| bar.low <= bar.open.min(bar.close)
            && bar.high >= bar.open.max(bar.close)
            && bar.low > 0.0));
        assert_eq!(tape.bars()[0].start, Time::parse("2021-09-27T13:45:00Z").unwrap());
    }

    #[test]
    fn bad_lines_are_collected_with_line_and_field() {
        let text = format!(
            "{HEAD}2021-09-27 14:45:00+01:00,2,3,1,2,2,5\n\
             nonsense,2,3,1,2,2,5\n\
             2021-09-27 15:00:00+01:00,2,x,1,2,2,5\n\
             2021-09-27 15:15:00+01:00,2,3\n\
             2021-09-27 15:15:00+01:00,2,3,2.5,2,2,5\n"
        );
        let tape = Tape::parse(text.as_bytes()).unwrap();
        assert_eq!(tape.bars().len(), 1);
        let bad: Vec<_> = tape.report().bad.iter().map(|line| (line.line, line.field)).collect();
        assert_eq!(bad, [(3, "Datetime"), (4, "High"), (5, "Low"), (6, "Low")]);
    }

    #[test]
    fn equal_boundaries_keep_the_larger_volume() {
        let text =
            format!("{HEAD}2021-09-27 14:45:00+01:00,2,3,1,2,2,5\n2021-09-27 13:45:00+00:00,2,3,1,2.5,2,6\n");
        let tape = Tape::parse(text.as_bytes()).unwrap();
        assert_eq!((tape.bars().len(), tape.report().merged, tape.bars()[0].close), (1, 1, 2.5));
    }

    #[test]
    fn no_bars_and_no_columns_are_errors() {
        assert!(matches!(Tape::parse(HEAD.as_bytes()), Err(TapeError::Empty { bad: 0, .. })));
        assert!(matches!(Tape::parse(b"Datetime,Open\n"), Err(TapeError::NoColumn { column: "High" })));
        let error = Tape::read(Path::new("/nowhere/tape.csv")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/tape.csv"));
    }
}
