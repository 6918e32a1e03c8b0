//! The reference file of prices: what the return history of symbols begins with.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::error::Origin;
use crate::section::Section;
use crate::value::spelled;

/// So many faults of a file are listed.
const LISTED: usize = 20;

/// Prices of symbols at the same instants.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices {
    /// BLAKE3 of the file.
    pub hash: [u8; 32],
    /// Microseconds since 1970, UTC; rising.
    pub instants: Vec<i64>,
    /// Each symbol's price at each instant, if there is one.
    pub columns: Vec<Column>,
}

/// A symbol, and its price at each instant.
type Column = (String, Vec<Option<f64>>);

/// Reads the file that the section's `key` names, of at most so many symbols, with lines an interval apart; nothing if it
/// names none. The bytes are hashed into the configuration version.
pub(crate) fn read_file(
    section: &mut Section<'_>,
    key: &'static str,
    most: u32,
    interval: Duration,
) -> Option<Prices> {
    let written = section.optional::<String>(key)?;
    let path = section.resolve(&written);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let problem = format!("{} cannot be read: {error}", path.display());
            section.fail(key, &problem, "a CSV file: a header `time,SYMBOL,…`, and a line for each instant");
            return None;
        }
    };
    let hash = blake3::hash(text.as_bytes());
    section.context().references.borrow_mut().insert(section.path_of(key), hash.to_hex().to_string());
    let mut file = File { section, key, name: path.display().to_string().into(), faults: 0 };
    let (instants, columns) = file.read(&text, most, interval);
    file.conclude();
    Some(Prices { hash: *hash.as_bytes(), instants, columns })
}

/// A file that is being read: what is wrong is noted with its line, and reading goes on.
struct File<'s, 'a> {
    section: &'s Section<'a>,
    key: &'static str,
    name: Arc<str>,
    faults: usize,
}

impl File<'_, '_> {
    fn read(&mut self, text: &str, most: u32, interval: Duration) -> (Vec<i64>, Vec<Column>) {
        // Clocks that are put forward make a day shorter, and weekends make it longer; but a return of a minute is none of a
        // day.
        let least = i64::try_from(interval.as_micros() / 2).unwrap_or(i64::MAX);
        // Spreadsheets write a mark of the byte order.
        let mut lines = (1..).zip(text.trim_start_matches('\u{feff}').lines());
        let header = lines.next().map_or("", |(_, line)| line);
        let names = self.header(header, most);
        let mut columns: Vec<_> = names.into_iter().map(|name| (name, Vec::new())).collect();
        let mut instants = Vec::new();
        for (line, row) in lines.filter(|(_, row)| !row.trim().is_empty()) {
            let cells: Vec<&str> = row.split(',').map(str::trim).collect();
            if cells.len() != columns.len() + 1 {
                let problem = format!("{} cells", cells.len());
                let expected = format!("{}, as the header has", columns.len() + 1);
                self.fault(line, "", problem, expected);
                continue;
            }
            match instant(cells[0]) {
                Some(at) if instants.last().is_some_and(|last| *last >= at) => {
                    let problem = format!("{:?} is not later than the line before", cells[0]);
                    self.fault(line, ".time", problem, "rising times".into());
                }
                Some(at) => {
                    if instants.last().is_some_and(|last: &i64| at.saturating_sub(*last) < least) {
                        let problem =
                            format!("{:?} is less than half an interval after the line before", cells[0]);
                        let expected =
                            format!("lines {} apart, which is risk.history.interval", spelled(interval));
                        self.fault(line, ".time", problem, expected);
                    }
                    instants.push(at);
                }
                None => {
                    let expected =
                        "a day such as 2026-05-29, or a time with an offset such as 2026-05-29T16:00:00Z";
                    self.fault(line, ".time", format!("{:?} does not fit", cells[0]), expected.into());
                }
            }
            for ((name, prices), cell) in columns.iter_mut().zip(&cells[1..]) {
                let price = cell.parse().ok().filter(|price: &f64| price.is_finite());
                if price.is_none() && !cell.is_empty() {
                    let expected = "a number, or nothing where there is no price";
                    self.fault(line, &format!(".{name}"), format!("{cell:?} does not fit"), expected.into());
                }
                prices.push(price);
            }
        }
        (instants, columns)
    }

    fn header(&mut self, line: &str, most: u32) -> Vec<String> {
        let names: Vec<String> = line.split(',').skip(1).map(|name| name.trim().to_owned()).collect();
        let expected = "a header: time, and then a symbol for each column";
        if names.is_empty() || names.iter().any(String::is_empty) {
            self.fault(1, "", "a column without a symbol".into(), expected.into());
        }
        if names.len() > most as usize {
            let problem = format!("{} symbols", names.len());
            self.fault(1, "", problem, format!("at most {most}, which is risk.history.symbols"));
        }
        let mut first = BTreeMap::new();
        for (at, name) in names.iter().enumerate() {
            if let Some(earlier) = first.insert(name, at) {
                let problem = format!("`{name}` is there already, in column {}", earlier + 2);
                self.fault(1, "", problem, "each symbol once".into());
            }
        }
        names
    }

    fn fault(&mut self, line: usize, field: &str, problem: String, expected: String) {
        self.faults += 1;
        if self.faults <= LISTED {
            let path = format!("{}{field}", self.section.path_of(self.key));
            self.section.push(path, &Origin::File { name: self.name.clone(), line }, problem, expected);
        }
    }

    fn conclude(&self) {
        if self.faults > LISTED {
            let problem = format!("{} more faults in {}", self.faults - LISTED, self.name);
            self.section.fail(self.key, &problem, "a file without");
        }
    }
}

/// Microseconds since 1970. A day alone is known at its end.
fn instant(text: &str) -> Option<i64> {
    let day = Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    let at = match day {
        Some(day) => day.next_day()?.midnight().assume_utc(),
        None => OffsetDateTime::parse(text, &Rfc3339).ok()?,
    };
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1000)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_known_at_its_end() {
        assert_eq!(instant("1970-01-01"), Some(86_400_000_000));
        assert_eq!(instant("1970-01-01T01:00:00+01:00"), Some(0));
        for bad in ["", "1970-13-01", "01.02.2026", "1970-01-01T00:00:00", "now"] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }
}
