//! Lines of a file or of standard input, each with its number, none longer than a bound.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The longest line, bytes.
pub(crate) const MAX_LINE: usize = 8 << 20;

/// Lines and where they come from.
pub(crate) struct Lines {
    name: String,
    source: Box<dyn BufRead>,
    number: u64,
    line: Vec<u8>,
}

/// What came next.
pub(crate) enum Line<'a> {
    /// A line without its end.
    Text(&'a [u8]),
    /// A line over [`MAX_LINE`]; it was passed over.
    TooLong,
}

impl Lines {
    /// Opens a file, or standard input for `-`.
    pub(crate) fn open(file: &Path) -> io::Result<Self> {
        let (name, source): (String, Box<dyn BufRead>) = if file == Path::new("-") {
            ("standard input".into(), Box::new(BufReader::new(io::stdin())))
        } else {
            // A folder opens, and fails at the first line.
            let opened = File::open(file)?;
            if opened.metadata()?.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            (PathBuf::from(file).display().to_string(), Box::new(BufReader::with_capacity(1 << 16, opened)))
        };
        Ok(Self { name, source, number: 0, line: Vec::new() })
    }

    /// The file's name for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The next line that is not blank, with its number.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        loop {
            self.line.clear();
            let limit = MAX_LINE as u64 + 1;
            if self.source.by_ref().take(limit).read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.line.last() != Some(&b'\n') && self.line.len() > MAX_LINE {
                self.pass_over()?;
                return Ok(Some((self.number, Line::TooLong)));
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        Ok(Some((self.number, Line::Text(self.line.trim_ascii()))))
    }

    fn pass_over(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.source.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(buffer.len(), |end| end + 1);
            self.source.consume(length);
            if end.is_some() || length == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_are_passed_and_counted_and_long_ones_named() {
        let mut text = b"one\n\n  \r\ntwo\r\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', MAX_LINE + 10));
        text.extend(b"\nlast");
        let source = Box::new(io::Cursor::new(text));
        let mut lines = Lines { name: "t".into(), source, number: 0, line: Vec::new() };
        let mut seen = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            seen.push(match line {
                Line::Text(text) => format!("{number} {}", String::from_utf8_lossy(text)),
                Line::TooLong => format!("{number} too long"),
            });
        }
        assert_eq!(seen, ["1 one", "4 two", "5 too long", "6 last"]);
    }
}
