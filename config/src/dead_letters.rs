//! `[dead_letters]`: what becomes of records that cannot be used.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::section::Section;
use crate::value::{Size, choice};

/// The topics whose keys can be held: those that are cut by key, so that one task sees all of a key. Not
/// books, each of which is whole, nor requests of control: nothing may keep a halt from being read.
pub const HOLDABLE: [&str; 5] =
    ["accounts.v1", "exec.reports.v1", "positions.v1", "risk.metrics.v1", "system.health.v1"];
/// The same, as the name of a variable can say them.
const VARIABLES: [&str; 5] =
    ["accounts_v1", "exec_reports_v1", "positions_v1", "risk_metrics_v1", "system_health_v1"];

choice! {
    /// What happens after a dead letter.
    OnDeadLetter {
        /// The partition moves on.
        #[default]
        Continue = "continue",
        /// It moves on, and later records of the key are dead letters too, until all of them came back.
        HoldKey = "hold_key",
    }
}

/// Dead letters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeadLetters {
    /// What happens, where nothing else is said.
    pub on_dead_letter: OnDeadLetter,
    /// What happens, by topic.
    pub topics: BTreeMap<String, OnDeadLetter>,
    /// The most keys that a task holds; then it takes nothing more of the topics that hold keys until one is
    /// released.
    pub max_held_keys: u32,
    /// Largest record, bytes, that is kept whole; of a larger one its position, digest and head are kept.
    pub max_bytes: u64,
}

impl DeadLetters {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let max_bytes = section.get_if(
            "max_bytes",
            |size: &Size| (1 << 10..=64 << 20).contains(&size.0),
            "a size from \"1KiB\" to \"64MiB\"",
        );
        Self {
            on_dead_letter: section.get("on_dead_letter"),
            topics: section.group("topics", |topics| {
                let read = |(name, variable): (&'static str, &'static str)| {
                    let written = topics.optional(name);
                    Some((name.to_owned(), topics.optional(variable).or(written)?))
                };
                HOLDABLE.into_iter().zip(VARIABLES).filter_map(read).collect()
            }),
            max_held_keys: section.get_if(
                "max_held_keys",
                |n| (1..=1_000_000).contains(n),
                "a whole number from 1 to 1000000",
            ),
            max_bytes: max_bytes.0,
        }
    }

    /// True if a key of this topic is held behind its dead letters.
    pub fn holds(&self, topic: &str) -> bool {
        let said = self.topics.get(topic).copied().unwrap_or(self.on_dead_letter);
        said == OnDeadLetter::HoldKey && HOLDABLE.contains(&topic)
    }
}
