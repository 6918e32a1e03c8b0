//! `[topics]`: how topics are cut and how long they are kept.

use std::time::Duration;

use serde::Serialize;

use crate::schemas::{self, SchemaFile};
use crate::section::Section;
use crate::value::choice;

choice! {
    /// How producers of the co-partitioned topics spread keys.
    Partitioner {
        /// Java's default.
        #[default]
        Murmur2 = "murmur2",
        /// librdkafka's `consistent`.
        Crc32 = "crc32",
        /// Any partition is accepted.
        Unchecked = "unchecked",
    }
}

/// Topics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Topics {
    /// Partitions of the co-partitioned topics, and so the number of tasks.
    pub partitions: u32,
    /// Which partition a key belongs to.
    pub partitioner: Partitioner,
    /// How long records are kept where the catalogue does not say.
    #[serde(skip)]
    pub retention: Duration,
    /// Schemas of writers that are not among the released ones. The hash of what they hold stands for them in
    /// the configuration version.
    #[serde(skip)]
    pub schemas: Vec<SchemaFile>,
}

impl Topics {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self {
            partitions: section.get_if(
                "partitions",
                |n| (1..=10_000).contains(n),
                "a whole number from 1 to 10000",
            ),
            partitioner: section.get("partitioner"),
            retention: section.get_if(
                "retention",
                |span| *span >= Duration::from_secs(3600),
                "a duration of at least \"1h\"",
            ),
            schemas: schemas::read_folder(section, "schemas_dir"),
        }
    }
}
