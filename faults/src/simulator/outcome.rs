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
    /// Tasks that moved from one process to another.
    pub moved: u64,
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
    /// What stands before open breakers, skipped by hand.
    pub skipped: u64,
    /// Dead letters sent back, or given up.
    pub returned: u64,
    /// Times that someone was cut off at it.
    pub cut_off: u64,
    /// Keys released by hand.
    pub released: u64,
    /// Records sent twice.
    pub duplicates: u64,
    /// Records that no schema fits.
    pub poison: u64,
    /// Bursts of those.
    pub bursts: u64,
    /// Late records.
    pub late: u64,
    /// Records of a time to come, which is there when they come back.
    pub early: u64,
}

/// How often a seed had something.
type Times = fn(&Tally) -> u64;

/// What is counted by seeds: whether they have it at all.
const KINDS: [(&str, Times); 6] = [
    ("crashes", |tally| tally.deaths),
    ("rebalances", |tally| tally.moved),
    ("torn commits", |tally| tally.unknown),
    ("duplicates", |tally| tally.duplicates),
    ("poison", |tally| tally.poison),
    ("redrives", |tally| tally.returned),
];

/// In how many seeds a kind of trouble occurred.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// What.
    pub kind: &'static str,
    /// Seeds that had it.
    pub seeds: u64,
    /// The least number of times that a seed had it; none before the first seed.
    pub least: Option<u64>,
    of: Times,
}

impl Spread {
    /// Every kind, before the first seed.
    pub fn each() -> [Self; KINDS.len()] {
        KINDS.map(|(kind, of)| Self { kind, seeds: 0, least: None, of })
    }

    /// Counts a seed.
    pub fn note(&mut self, seed: &Tally) {
        let times = (self.of)(seed);
        self.seeds += u64::from(times > 0);
        self.least = Some(self.least.map_or(times, |least| least.min(times)));
    }

    /// For a program to read.
    pub fn to_json(&self) -> Value {
        json!({ "kind": self.kind, "seeds": self.seeds, "least": self.least })
    }
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

each!(seeds compared records outputs joins moved deaths unknown aborted unread holds doubles jumps seeks resumed skipped returned cut_off released duplicates poison bursts late early);
