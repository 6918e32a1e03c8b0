//! Tables of numbers: CSV files with a line of names on top.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The largest file that is read.
const LARGEST: u64 = 256 << 20;

/// What is wrong with a file; every message names it, and the line and column where there is one.
#[derive(Debug, thiserror::Error)]
pub(super) enum TableError {
    #[error("{file}: {why}")]
    File { file: String, why: String },
    #[error("{file}:{line}: {why}")]
    Line { file: String, line: usize, why: String },
    #[error("{file}:1: there is no column `{name}`{near}; the first line names {header}")]
    NoColumn { file: String, name: String, near: String, header: String },
    #[error(
        "{file}:{line}: column `{column}`: expected a finite number such as -0.25 or 1e-3, found `{found}`"
    )]
    Cell { file: String, line: usize, column: String, found: String },
}

/// A file that was read whole.
#[derive(Debug)]
pub(super) struct Table {
    file: String,
    header: Vec<String>,
    /// Each with its line.
    rows: Vec<(usize, Vec<String>)>,
}

impl Table {
    fn read(path: &Path) -> Result<Self, TableError> {
        Self::parse(path.display().to_string(), text(path)?.trim_start_matches('\u{feff}'))
    }

    fn parse(file: String, text: &str) -> Result<Self, TableError> {
        let mut header: Option<Vec<String>> = None;
        let mut rows = Vec::new();
        for (place, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            let line = place + 1;
            let wrong = |why: String| TableError::Line { file: file.clone(), line, why };
            let cells = split(text).ok_or_else(|| wrong("a quotation mark is not closed".into()))?;
            match &header {
                None if cells.iter().all(|cell| cell.parse::<f64>().is_ok()) => {
                    let why = "the first line must name the columns, and there are numbers in it";
                    return Err(wrong(why.into()));
                }
                None => {
                    if let Some(twice) =
                        cells.iter().enumerate().find(|(at, name)| cells[..*at].contains(name))
                    {
                        return Err(wrong(format!("two columns are named `{}`", twice.1)));
                    }
                    header = Some(cells);
                }
                Some(names) if names.len() != cells.len() => {
                    let (want, have) = (names.len(), cells.len());
                    return Err(wrong(format!("expected {want} cells as in the first line, found {have}")));
                }
                Some(_) => rows.push((line, cells)),
            }
        }
        match header {
            Some(header) => Ok(Self { file, header, rows }),
            None => {
                Err(TableError::File { file, why: "is empty; expected a line of names, then numbers".into() })
            }
        }
    }

    /// The numbers of a column.
    pub(super) fn column(&self, name: &str) -> Result<Vec<f64>, TableError> {
        let Some(at) = self.header.iter().position(|column| column == name) else {
            let near = crate::topic_name::nearest(name, self.header.iter().map(String::as_str));
            return Err(TableError::NoColumn {
                file: self.file.clone(),
                name: name.into(),
                near: near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default(),
                header: self.header.join(", "),
            });
        };
        self.rows.iter().map(|(line, cells)| self.number(*line, at, &cells[at])).collect()
    }

    /// The numbers of a row (counted from 0, below the names), without the first column, which names the row.
    pub(super) fn row(&self, row: usize) -> Result<Vec<f64>, TableError> {
        let Some((line, cells)) = self.rows.get(row) else {
            let why = format!("row {row} is wanted, counted from 0; there are {}", self.rows.len());
            return Err(TableError::File { file: self.file.clone(), why });
        };
        cells.iter().enumerate().skip(1).map(|(at, cell)| self.number(*line, at, cell)).collect()
    }

    /// Every row: where it stands, and its cells by the names of their columns.
    pub(super) fn records(&self) -> impl Iterator<Item = (String, impl Iterator<Item = (&str, &str)>)> {
        self.rows.iter().map(|(line, cells)| {
            let named = self.header.iter().zip(cells).map(|(name, cell)| (name.as_str(), cell.as_str()));
            (format!("{}:{line}", self.file), named)
        })
    }

    fn number(&self, line: usize, at: usize, cell: &str) -> Result<f64, TableError> {
        cell.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| TableError::Cell {
            file: self.file.clone(),
            line,
            column: self.header[at].clone(),
            found: cell.into(),
        })
    }
}

/// The text of a file, within the bound.
pub(super) fn text(path: &Path) -> Result<String, TableError> {
    let wrong = |why: String| TableError::File { file: path.display().to_string(), why };
    let unread = |error: io::Error| wrong(format!("cannot be read: {error}"));
    let size = fs::metadata(path).map_err(unread)?.len();
    if size > LARGEST {
        return Err(wrong(format!("{size} bytes; {LARGEST} at most are read: take a part of it")));
    }
    fs::read_to_string(path).map_err(unread)
}

/// The cells of a line, trimmed, quotation marks taken off; none if one is not closed.
fn split(line: &str) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    let (mut cell, mut quoted, mut letters) = (String::new(), false, line.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            other => cell.push(other),
        }
    }
    cells.push(cell.trim().to_owned());
    (!quoted).then_some(cells)
}

/// The files of a folder, each read once.
#[derive(Debug)]
pub(super) struct Tables {
    folder: PathBuf,
    read: RefCell<BTreeMap<String, Rc<Table>>>,
}

impl Tables {
    /// Of a folder; files are named by their paths in it.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, read: RefCell::default() }
    }

    /// One of them.
    pub(super) fn get(&self, name: &str) -> Result<Rc<Table>, TableError> {
        if let Some(table) = self.read.borrow().get(name) {
            return Ok(Rc::clone(table));
        }
        let table = Rc::new(Table::read(&self.folder.join(name))?);
        self.read.borrow_mut().insert(name.into(), Rc::clone(&table));
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Table, TableError> {
        Table::parse("f.csv".into(), text)
    }

    #[test]
    fn cells_may_be_quoted_and_lines_blank() {
        let table = parse("day, \"close, adjusted\"\r\n\r\n\"a \"\"b\"\"\", 1.5\r\nc,\"-2e-3\"\n\n").unwrap();
        assert_eq!(table.column("close, adjusted").unwrap(), [1.5, -2e-3]);
        assert_eq!(table.row(1).unwrap(), [-2e-3]);
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_column() {
        let said = |text: &str| parse(text).and_then(|t| t.column("close")).unwrap_err().to_string();
        assert_eq!(
            said("day,close\na,1\nb,n/a\n"),
            "f.csv:3: column `close`: expected a finite number such as -0.25 or 1e-3, found `n/a`"
        );
        assert!(said("day,close\na,inf\n").contains("found `inf`"));
        assert!(said("day,close\na,NaN\n").contains("f.csv:2"));
        assert_eq!(said("day,close\na,1,2\n"), "f.csv:2: expected 2 cells as in the first line, found 3");
        assert_eq!(
            said("day,clos\n"),
            "f.csv:1: there is no column `close` (did you mean `clos`?); the first line names day, clos"
        );
        assert!(said("1,2\n").contains("must name the columns"));
        assert!(said("a,a\n").contains("two columns are named `a`"));
        assert!(said("a,\"b\n").contains("f.csv:1: a quotation mark is not closed"));
        assert!(said("\n").contains("is empty"));
        assert!(parse("a,b\nx,1\n").unwrap().row(1).unwrap_err().to_string().contains("there are 1"));
    }
}
