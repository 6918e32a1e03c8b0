//! Rebalances are recorded when librdkafka tells of them, and answered later by the worker's own thread:
//! it finishes or aborts its round before it gives a partition up.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use super::context::Voice;

/// What happened to the membership.
pub(super) enum Rebalance {
    /// These partitions are ours; with the proof of it.
    Assigned(Vec<(String, i32)>, Option<Arc<ConsumerGroupMetadata>>),
    /// All our partitions are to be given up.
    Revoked,
    /// All our partitions were taken away.
    Lost,
}

impl fmt::Debug for Rebalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assigned(partitions, _) => f.debug_tuple("Assigned").field(partitions).finish(),
            Self::Revoked => f.write_str("Revoked"),
            Self::Lost => f.write_str("Lost"),
        }
    }
}

/// A consumer's context.
#[derive(Debug, Default)]
pub(super) struct Context {
    pub(super) voice: Voice,
    rebalances: Mutex<VecDeque<Rebalance>>,
    closing: AtomicBool,
}

impl Context {
    /// The oldest rebalance that nobody has seen yet.
    pub(super) fn next_rebalance(&self) -> Option<Rebalance> {
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// From now on revocations are granted at once: nobody will be there to answer them.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        self.voice.hear_log(level, facility, words);
    }

    fn error(&self, error: KafkaError, words: &str) {
        self.voice.hear_error(&error, words);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.voice.hear_statistics(statistics);
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if self.closing.load(Ordering::SeqCst) {
            if let Err(error) = consumer.unassign() {
                tracing::warn!(%error, "could not give up partitions while leaving");
            }
            return;
        }
        let rebalance = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let partitions =
                list.elements().iter().map(|at| (at.topic().to_owned(), at.partition())).collect();
            let proof = consumer.group_metadata().map(Arc::new);
            // A membership that was lost meanwhile proves nothing.
            Rebalance::Assigned(partitions, proof.filter(|_| !consumer.assignment_lost()))
        } else if consumer.assignment_lost() {
            Rebalance::Lost
        } else {
            Rebalance::Revoked
        };
        tracing::debug!(?rebalance, "rebalance");
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).push_back(rebalance);
    }
}
