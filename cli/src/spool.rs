//! Records that wait until all have been found good: in a temporary file, so that memory stays bounded.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use bytes::Bytes;

/// A record that is ready to be written, and the line it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) line: u64,
    pub(crate) partition: i32,
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
}

/// Takes records.
pub(crate) struct Spool {
    file: BufWriter<File>,
    count: u64,
}

/// Gives them back, in order.
pub(crate) struct Spooled {
    file: BufReader<File>,
    left: u64,
}

impl Spool {
    /// An empty one, in a file that has no name and goes with the process.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(tempfile::tempfile()?), count: 0 })
    }

    /// How many records it holds.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn push(&mut self, ready: &Ready) -> io::Result<()> {
        self.file.write_all(&ready.line.to_le_bytes())?;
        self.file.write_all(&ready.partition.to_le_bytes())?;
        for part in [&ready.key, &ready.value] {
            self.file.write_all(&(part.len() as u64).to_le_bytes())?;
            self.file.write_all(part)?;
        }
        self.count += 1;
        Ok(())
    }

    /// From the beginning.
    pub(crate) fn rewind(self) -> io::Result<Spooled> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(Spooled { file: BufReader::new(file), left: self.count })
    }
}

impl Spooled {
    /// The next record.
    pub(crate) fn next(&mut self) -> io::Result<Option<Ready>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let line = u64::from_le_bytes(self.array()?);
        let partition = i32::from_le_bytes(self.array()?);
        Ok(Some(Ready { line, partition, key: self.part()?, value: self.part()? }))
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn part(&mut self) -> io::Result<Bytes> {
        let mut part = vec![0; u64::from_le_bytes(self.array()?) as usize];
        self.file.read_exact(&mut part)?;
        Ok(part.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order() {
        let ready = |line: u64| Ready {
            line,
            partition: 3,
            key: Bytes::from_static(b"key"),
            value: Bytes::from(vec![7; line as usize]),
        };
        let mut spool = Spool::new().unwrap();
        for line in 0..3 {
            spool.push(&ready(line)).unwrap();
        }
        assert_eq!(spool.count(), 3);
        let mut back = spool.rewind().unwrap();
        for line in 0..3 {
            assert_eq!(back.next().unwrap(), Some(ready(line)));
        }
        assert_eq!(back.next().unwrap(), None);
    }
}
