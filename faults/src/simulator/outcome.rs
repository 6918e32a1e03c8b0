//! What came of a seed.

use serde_json::{Value, json};
use tapewatch_schemas::Digest;

use super::finding::Finding;

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Over everything that happened, and every byte on the log at the end.
    pub digest: Digest,
    /// What must not be. Empty if all is well.
    pub findings: Vec<Finding>,
    /// What was done to the workers.
    pub tally: Tally,
    /// What happened, line by line, if it was asked for.
    pub lines: Vec<String>,
}

/// What was done to the workers, and what they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Simulations.
    pub seeds: u64,
    /// Of these, compared with a run without faults.
    pub compared: u64,
    /// Input records.
    pub records: u64,
    /// Outputs of all workers.
    pub outputs: u64,
    /// Memberships that began.
    pub joins: u64,
    /// Processes killed, by hand or between the write of a byte and its answer.
    pub deaths: u64,
    /// Commits whose outcome was unknown.
    pub unknown: u64,
    /// Commits that were aborted.
    pub aborted: u64,
    /// Reads that failed.
    pub unread: u64,
    /// Processes held, some longer than their session.
    pub holds: u64,
    /// Processes that did not know that they were replaced.
    pub doubles: u64,
    /// Clocks set.
    pub jumps: u64,
    /// Positions moved by hand.
    pub seeks: u64,
    /// Breakers closed by hand.
    pub resumed: u64,
    /// Records sent twice.
    pub duplicates: u64,
    /// Records that no schema fits.
    pub poison: u64,
    /// Bursts of those.
    pub bursts: u64,
    /// Late records.
    pub late: u64,
}

macro_rules! each {
    ($($name:ident)*) => {
        impl Tally {
            /// Adds another's figures.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// For a program to read.
            pub fn to_json(&self) -> Value {
                json!({ $(stringify!($name): self.$name),* })
            }
        }
    };
}

each!(seeds compared records outputs joins deaths unknown aborted unread holds doubles jumps seeks resumed duplicates poison bursts late);
