//! Every schema that a release ever wrote, as it was.
//!
//! Readers find the schemas of older records here. The files never change; a test compares their hashes,
//! and checks that the current schemas read what the released ones wrote, and the other way round.

/// One released schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// The topic.
    pub topic: &'static str,
    /// The file in `schemas/released/`.
    pub file: &'static str,
    /// BLAKE3 of the file, in hex.
    pub blake3: &'static str,
    /// The file.
    pub text: &'static str,
}

/// All of them, the oldest first. None before the first release: until then the schemas are drafts.
pub const RELEASED: &[Released] = &[];
