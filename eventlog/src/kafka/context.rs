//! What librdkafka tells us from its threads: log lines, errors, statistics.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Deserialize;

/// A client's context: its log lines go to `tracing`, and the last reason for a failure is kept, for the
/// error that follows from it.
#[derive(Debug, Default)]
pub(super) struct Voice {
    reason: Mutex<Option<String>>,
    ends: Mutex<HashMap<(String, i32), i64>>,
}

impl Voice {
    /// Why a broker was last not reached, in librdkafka's words.
    pub(super) fn last_reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ends that librdkafka has signalled, by its last statistics, which are taken away.
    pub(super) fn take_ends(&self) -> HashMap<(String, i32), i64> {
        std::mem::take(&mut *self.ends.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep_reason(&self, words: &str) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(words.trim().to_owned());
    }

    pub(super) fn hear_log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        use RDKafkaLogLevel as Level;
        if matches!(facility, "FAIL" | "ERROR") {
            self.keep_reason(words);
        }
        match level {
            Level::Emerg | Level::Alert | Level::Critical | Level::Error => {
                tracing::warn!(target: "librdkafka", facility, "{words}");
            }
            Level::Warning | Level::Notice => tracing::info!(target: "librdkafka", facility, "{words}"),
            Level::Info | Level::Debug => tracing::debug!(target: "librdkafka", facility, "{words}"),
        }
    }

    pub(super) fn hear_error(&self, error: &KafkaError, words: &str) {
        // The end of a partition is told where it is read, and is no reason for anything.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        self.keep_reason(words);
        tracing::warn!(target: "librdkafka", %error, "{words}");
    }

    /// Keeps the ends that librdkafka's statistics tell. It signals an end without its offset, as this
    /// client passes it on; here it is, some time later.
    pub(super) fn hear_statistics(&self, statistics: &[u8]) {
        let statistics: Statistics = match serde_json::from_slice(statistics) {
            Ok(statistics) => statistics,
            Err(error) => {
                tracing::warn!(%error, "librdkafka's statistics cannot be read");
                return;
            }
        };
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for (topic, figures) in statistics.topics {
            for (partition, figures) in figures.partitions {
                if figures.eof_offset >= 0 {
                    ends.insert((topic.clone(), partition), figures.eof_offset);
                }
            }
        }
    }
}

/// What is read of librdkafka's statistics (its STATISTICS.md).
#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    topics: HashMap<String, TopicFigures>,
}

#[derive(Deserialize)]
struct TopicFigures {
    partitions: HashMap<i32, PartitionFigures>,
}

#[derive(Deserialize)]
struct PartitionFigures {
    eof_offset: i64,
}
