//! Bytes as a table: offset, hex, text.

use std::io::{self, Write};

/// Bytes in a row.
const ROW: usize = 16;

/// Writes the bytes from `from` to `to`; the row that holds `mark` is marked with `>`.
pub(crate) fn write(
    out: &mut impl Write,
    bytes: &[u8],
    from: usize,
    to: usize,
    mark: Option<usize>,
) -> io::Result<()> {
    let first = from / ROW * ROW;
    for start in (first..to.min(bytes.len())).step_by(ROW) {
        let row = &bytes[start..(start + ROW).min(bytes.len())];
        let marked = mark.is_some_and(|at| (start..start + ROW).contains(&at));
        let hex = row.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        let text: String = row
            .iter()
            .map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' })
            .collect();
        let sign = if marked { '>' } else { ' ' };
        writeln!(out, "{sign} {start:08x}  {hex:<47}  |{text}|")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_hold_sixteen_bytes_and_the_mark_shows() {
        let bytes: Vec<u8> = (b'a'..=b'z').collect();
        let mut out = Vec::new();
        super::write(&mut out, &bytes, 0, 26, Some(17)).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].starts_with("  00000000  61 62") && lines[0].ends_with("|abcdefghijklmnop|"),
            "{text}"
        );
        assert!(lines[1].starts_with("> 00000010  71 72") && lines[1].ends_with("|qrstuvwxyz|"), "{text}");
        assert_eq!(lines[0].find('|'), lines[1].find('|'));
    }
}
