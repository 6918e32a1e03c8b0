//! A writer of rounds: two transactional producers in turn.
//!
//! A transaction begun right after another of the same id meets the broker still writing the first one's
//! markers, and waits. With two ids in turn it does not; still no transaction begins on one before the
//! outcome of the other's is known, for commits are synchronous here.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer, PurgeConfig};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::{CommitError, Committed, Fence, LogError, Round, Writer};

use super::deliveries::{Deliveries, record};
use super::member::Proof;
use super::outcome::{Outcome, is_replaced};
use super::settings::{ANSWER, Settings};
use super::targets::Targets;
use super::topics::Topics;

/// How long the broker may take over a step of a transaction: as long as it keeps a transaction open.
const STEP: Duration = Duration::from_secs(10);
/// How long librdkafka may take over a step beyond that before it is given up.
const GRACE: Duration = Duration::from_secs(2);
/// How long to wait for the end of what a former writer of the id left open.
const TAKEOVER: Duration = Duration::from_secs(30);
/// How often delivery reports are looked for. librdkafka's own wait is in steps of 100 ms; a wait of the
/// client in steps of less than a millisecond is none, and takes a whole processor.
const GLANCE: Duration = Duration::from_micros(100);

/// Writes rounds, each in one transaction.
pub(super) struct KafkaWriter {
    id: String,
    settings: Arc<Settings>,
    targets: Targets,
    /// None before the first use and after a failure that a producer does not survive.
    producers: Option<[Arc<BaseProducer<Deliveries>>; 2]>,
    turn: usize,
    /// Another has our id: never again.
    fenced: Option<LogError>,
}

impl KafkaWriter {
    pub(super) fn new(topics: &Arc<Topics>, id: &str) -> Result<Self, LogError> {
        let mut writer = Self {
            id: id.to_owned(),
            settings: Arc::clone(&topics.settings),
            targets: Targets::new(Arc::clone(topics)),
            producers: None,
            turn: 0,
            fenced: None,
        };
        writer.initialise()?;
        Ok(writer)
    }

    /// Makes both producers anew. The broker aborts, or ends, what they or an earlier writer left open.
    fn initialise(&mut self) -> Result<(), LogError> {
        self.retire();
        let make = |number: usize| {
            let id = format!("{}.{number}", self.id);
            let producer: BaseProducer<Deliveries> =
                self.settings.client(&self.settings.transacting(&id), Deliveries::default())?;
            // With a connection up, the coordinator is found at once, and not at a second try 500 ms later.
            if producer.client().fetch_cluster_id(ANSWER).is_none() {
                let voice = &producer.context().voice;
                let why = voice.last_reason().unwrap_or_else(|| "no broker answers".to_owned());
                return Err(LogError::Unreachable { log: self.settings.address.clone(), why });
            }
            producer.init_transactions(TAKEOVER).map_err(|error| {
                let voice = &producer.context().voice;
                self.settings.error(format!("taking over the transactional id {id}"), &error, voice)
            })?;
            Ok(Arc::new(producer))
        };
        self.producers = Some([make(0)?, make(1)?]);
        Ok(())
    }

    /// Lets the producers go, on a thread of their own: librdkafka's farewell waits for its threads, and may
    /// wait long for brokers that are away.
    fn retire(&mut self) {
        if let Some(producers) = self.producers.take() {
            thread::spawn(move || drop(producers));
        }
    }

    /// Refuses what can never be written, before anything begins. What the broker is to check.
    fn check<'a>(
        &mut self,
        round: &Round,
        fence: Option<&'a Fence>,
    ) -> Result<Option<&'a Arc<ConsumerGroupMetadata>>, CommitError> {
        for record in &round.records {
            self.targets.check(record).map_err(|error| match error {
                LogError::Unreachable { .. } => CommitError::Aborted(error),
                _ => CommitError::Refused(error),
            })?;
        }
        let failed = |why: String| self.settings.failed(format!("writing a round of {}", self.id), why);
        let fence = match fence {
            None if round.offsets.is_empty() => return Ok(None),
            Some(fence) if !round.offsets.is_empty() => fence,
            _ => {
                let why = "positions need a fence, and only positions prove one";
                return Err(CommitError::Refused(failed(why.to_owned())));
            }
        };
        let Some(proof) = fence.token.downcast_ref::<Proof>() else {
            return Err(CommitError::Refused(failed("the fence is of another kind of log".to_owned())));
        };
        for (at, offset) in &round.offsets {
            if *offset < 0 {
                return Err(CommitError::Refused(failed(format!("{at}: {offset} is no position"))));
            }
            if !proof.covers(at) {
                let why = format!("{at} is not this member's in {}", fence.group);
                return Err(CommitError::Fenced(failed(why)));
            }
        }
        Ok(Some(&proof.metadata))
    }
}

impl Writer for KafkaWriter {
    fn commit(&mut self, round: &Round, fence: Option<&Fence>) -> Result<Committed, CommitError> {
        if let Some(error) = &self.fenced {
            return Err(CommitError::Fenced(error.clone()));
        }
        let proof = self.check(round, fence)?;
        if round.records.is_empty() && round.offsets.is_empty() {
            return Ok(Committed::default());
        }
        if self.producers.is_none() {
            self.initialise().map_err(CommitError::Aborted)?;
        }
        let producers = self.producers.as_ref().expect("made above");
        let producer = &producers[self.turn];
        self.turn = 1 - self.turn;
        let transaction = Transaction { producer, id: &self.id, settings: &self.settings };
        transaction.run(round, proof).map_err(|failed| {
            if !failed.usable {
                self.retire();
            }
            if failed.replaced {
                self.fenced = Some(failed.why.clone());
            }
            failed.outcome.error(failed.why)
        })
    }

    fn recover(&mut self) -> Result<(), CommitError> {
        if let Some(error) = &self.fenced {
            return Err(CommitError::Fenced(error.clone()));
        }
        self.initialise().map_err(CommitError::Unknown)
    }
}

/// One transaction of one producer.
struct Transaction<'a> {
    producer: &'a Arc<BaseProducer<Deliveries>>,
    id: &'a str,
    settings: &'a Settings,
}

/// A transaction that did not succeed.
struct Failed {
    outcome: Outcome,
    why: LogError,
    /// True if the producer can be used again.
    usable: bool,
    /// True if another producer has our id, false if it is the membership that is no longer ours.
    replaced: bool,
}

impl Transaction<'_> {
    fn run(&self, round: &Round, proof: Option<&Arc<ConsumerGroupMetadata>>) -> Result<Committed, Failed> {
        if let Err(error) = self.producer.begin_transaction() {
            // Nothing has begun, so there is nothing that could have been written.
            let (outcome, why) =
                (Outcome::of(&error).definite(), self.why("beginning a transaction", &error));
            return Err(Failed { outcome, why, usable: false, replaced: is_replaced(&error) });
        }
        let offsets = self.send(round)?;
        if let Some(proof) = proof {
            self.send_positions(round, proof)?;
        }
        self.end()?;
        Ok(Committed { offsets })
    }

    /// Hands the records over and waits until every one is acknowledged. Their offsets.
    fn send(&self, round: &Round) -> Result<Vec<i64>, Failed> {
        let deliveries = self.producer.context();
        deliveries.begin(round.records.len());
        for (number, out) in round.records.iter().enumerate() {
            let mut waiting = record(out, number);
            while let Err((error, back)) = self.producer.send(waiting) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(self.abort_for(&error, "writing a round"));
                }
                self.glance();
                waiting = back;
            }
        }
        let until = Instant::now() + STEP;
        while self.producer.in_flight_count() > 0 && Instant::now() < until && !deliveries.has_failed() {
            self.glance();
        }
        let report = deliveries.take();
        if let Some(failure) = report.first {
            let (doing, all) = (format!("writing to {}", failure.at), round.records.len());
            let words = format!("{} ({} of {all} records)", failure.code, report.failed);
            let why = self.settings.code(doing, failure.code, words);
            return Err(self.abort(Outcome::of_code(failure.code), why));
        }
        if report.offsets.iter().any(|offset| *offset < 0) {
            let why = self.unanswered("acknowledging the records of a round");
            return Err(self.abort(Outcome::Abort, why));
        }
        Ok(report.offsets)
    }

    /// Takes the delivery reports that are there, and lets a moment pass if there are none.
    fn glance(&self) {
        let before = self.producer.in_flight_count();
        self.producer.poll(Duration::ZERO);
        if self.producer.in_flight_count() == before {
            thread::sleep(GLANCE);
        }
    }

    /// Sends the group's positions. An empty list would succeed without asking the broker, and fence
    /// nothing.
    ///
    /// librdkafka does not keep to its own bound where the group's coordinator has left the cluster: it waits,
    /// perhaps for ever, for some connection to come or go. So it is asked on a thread of its own, which is left
    /// behind if it does not come back, with the producer; whoever takes the id over makes both void.
    fn send_positions(&self, round: &Round, proof: &Arc<ConsumerGroupMetadata>) -> Result<(), Failed> {
        let mut list = TopicPartitionList::with_capacity(round.offsets.len());
        for (at, offset) in &round.offsets {
            assert!(*offset >= 0, "{at}: checked before the transaction began");
            list.add_partition_offset(at.topic.as_str(), at.partition, Offset::Offset(*offset))
                .expect("it is no negative offset");
        }
        assert!(list.count() > 0, "an empty list of positions fences nothing");
        let doing = "sending the group's positions";
        let (answer, answered) = sync_channel(1);
        let (producer, proof) = (Arc::clone(self.producer), Arc::clone(proof));
        thread::spawn(move || {
            // Nobody listens any more if it took too long.
            let _ = answer.send(producer.send_offsets_to_transaction(&list, &proof, STEP));
        });
        let Ok(result) = answered.recv_timeout(STEP + GRACE) else {
            // Without the word to commit nothing of it can be committed.
            let why = self.unanswered(doing);
            return Err(Failed { outcome: Outcome::Abort, why, usable: false, replaced: false });
        };
        result.map_err(|error| self.abort_for(&error, doing))
    }

    fn end(&self) -> Result<(), Failed> {
        let Err(error) = self.producer.commit_transaction(STEP) else { return Ok(()) };
        let doing = "committing a transaction";
        let demands_abort = matches!(&error, KafkaError::Transaction(error) if error.txn_requires_abort() && !error.is_fatal());
        Err(match Outcome::of(&error) {
            Outcome::Fenced => self.abort_for(&error, doing),
            _ if demands_abort => self.abort_for(&error, doing),
            // The word to commit may have arrived, whatever came back.
            _ => {
                let why = self.why(doing, &error);
                Failed { outcome: Outcome::Silent, why, usable: false, replaced: false }
            }
        })
    }

    /// Ends a transaction that was not told to commit, or not to any effect: without that word nothing of
    /// it can be committed, so the outcome is definite.
    fn abort_for(&self, error: &KafkaError, doing: &str) -> Failed {
        let failed = self.abort(Outcome::of(error).definite(), self.why(doing, error));
        Failed { replaced: failed.replaced || is_replaced(error), ..failed }
    }

    fn abort(&self, outcome: Outcome, why: LogError) -> Failed {
        if outcome == Outcome::Broken {
            return Failed { outcome, why, usable: false, replaced: false };
        }
        // librdkafka waits for the delivery reports of what it throws away, and they are ours to collect.
        self.producer.purge(PurgeConfig::default().queue());
        let until = Instant::now() + STEP;
        while self.producer.in_flight_count() > 0 && Instant::now() < until {
            self.glance();
        }
        let Err(error) = self.producer.abort_transaction(STEP) else {
            return Failed { outcome, why, usable: true, replaced: false };
        };
        if is_replaced(&error) {
            // What failed before, failed because of this.
            let why = self.why("writing a round", &error);
            return Failed { outcome: Outcome::Fenced, why, usable: false, replaced: true };
        }
        // The broker aborts it in time, or when this id is taken over: nothing of it can be committed.
        tracing::warn!(id = self.id, %error, "a transaction could not be aborted, its id is taken over anew");
        Failed { outcome, why, usable: false, replaced: false }
    }

    fn why(&self, doing: &str, error: &KafkaError) -> LogError {
        let doing = format!("{doing} for {}", self.id);
        self.settings.error(doing, error, &self.producer.context().voice)
    }

    fn unanswered(&self, doing: &str) -> LogError {
        let reason = self.producer.context().voice.last_reason();
        let why = reason.unwrap_or_else(|| format!("nothing came back within {} s", STEP.as_secs()));
        LogError::Unreachable { log: self.settings.address.clone(), why: format!("{doing}: {why}") }
    }
}
