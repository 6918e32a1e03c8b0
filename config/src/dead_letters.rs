//! `[dead_letters]`: what becomes of records that cannot be used.

use serde::Serialize;

use crate::section::Section;
use crate::value::{Size, choice};

choice! {
    /// What happens to a partition after a dead letter.
    OnDeadLetter {
        /// It moves on.
        #[default]
        Continue = "continue",
    }
}

/// Dead letters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeadLetters {
    /// What happens to the partition.
    pub on_dead_letter: OnDeadLetter,
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
            on_dead_letter: section.get_if(
                "on_dead_letter",
                |_| true,
                "\"continue\" (\"hold_key\" comes in a later release)",
            ),
            max_bytes: max_bytes.0,
        }
    }
}
