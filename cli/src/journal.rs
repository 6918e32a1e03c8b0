//! Journals outside the log: exported to a file, signed, and checked from that file alone.
//!
//! # The file
//! JSON lines. A record of a journal, its bytes as they stand in the log, in hex:
//! `{"worker":…,"partition":…,"sequence":…,"offset":…,"published":…,"record":…}`. A signed checkpoint:
//! `{"checkpoint":{"worker":…,"time":…,"heads":[{"partition":…,"sequence":…,"hash":…},…]},"key":…,"signature":…}`,
//! where the signature (ed25519) is over [`checkpoint::PREFIX`] and the statement as compact JSON in that
//! field order. And first, for people, `{"tapewatch":"journal export","format":1,"log":…}`, of an export in
//! part also which `worker` and `partitions` were exported: others are not missing. Lines may be appended; their order matters among the records of one partition only.

pub(crate) mod chain;
pub(crate) mod checkpoint;
pub(crate) mod finding;
pub(crate) mod key;
pub(crate) mod line;
