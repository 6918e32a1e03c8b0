//! What happened, line by line, as a digest: two runs of a seed must agree in it.

use std::fmt;

use tapewatch_schemas::Digest;

/// The lines so far.
#[derive(Debug, Default)]
pub(super) struct Trace {
    hasher: blake3::Hasher,
    /// The lines themselves, where someone wants to read them.
    pub(super) lines: Option<Vec<String>>,
}

impl Trace {
    /// One that keeps the lines, too.
    pub(super) fn kept() -> Self {
        Self { lines: Some(Vec::new()), ..Self::default() }
    }

    /// Adds a line.
    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) {
        let line = line.to_string();
        self.bytes(line.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    /// Adds bytes that nobody reads.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }

    /// Over all of it.
    pub(super) fn digest(&self) -> Digest {
        self.hasher.finalize().into()
    }
}
