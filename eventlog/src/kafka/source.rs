//! The partitions that are read: each has a queue of its own, so that batches are of one partition, a pause
//! is just not looking, and an end says whose it is (librdkafka's event for it, as this client gives it,
//! names no topic).

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tapewatch_schemas::Time;

use crate::{Batch, BatchBuilder, Headers, LogError, Polled, TopicPartition};

use super::rebalance::Context;
use super::settings::{ANSWER, Settings, patiently};

/// Wakes the reading thread when a queue is no longer empty.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_one();
    }

    /// Waits for the bell, at most this long.
    pub(super) fn wait(&self, wait: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) =
            self.heard.wait_timeout_while(rung, wait, |rung| !*rung).unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

/// One partition that is read.
struct Source {
    at: TopicPartition,
    queue: PartitionQueue<Context>,
    /// The next offset to deliver is this or later.
    next: i64,
    /// All below this is delivered once the present assignment has signalled an end: it was the end for
    /// committed readers before the assignment was made, or was signalled since and all was taken.
    floor: i64,
    /// An end that librdkafka signalled some time ago, and before it queued nothing that is not there.
    signalled: Option<i64>,
    /// An end was reached. It is told when its position is known: `floor` is not behind `next`.
    at_end: bool,
    /// The position that the end was told with, if nothing was delivered since.
    told: Option<i64>,
    paused: bool,
    /// Records and bytes of the last batch: the next is likely to need as much room.
    usual: (usize, usize),
}

impl Source {
    /// The next batch or end.
    fn next(
        &mut self,
        settings: &Settings,
        consumer: &BaseConsumer<Context>,
    ) -> Result<Option<Polled>, LogError> {
        if let Some(batch) = self.drain(settings, consumer)? {
            return Ok(Some(Polled::Batch(Arc::new(batch))));
        }
        // Nothing is queued: what was signalled before has all been taken.
        if let Some(signalled) = self.signalled.take() {
            self.floor = self.floor.max(signalled);
        }
        let news = self.told.is_none_or(|position| position < self.floor);
        if !(self.at_end && self.floor >= self.next && news) {
            return Ok(None);
        }
        self.told = Some(self.floor);
        Ok(Some(Polled::End { at: self.at.clone(), position: self.floor }))
    }

    /// Takes what the queue holds, up to a batch or the end behind one. None: the queue is empty.
    fn drain(
        &mut self,
        settings: &Settings,
        consumer: &BaseConsumer<Context>,
    ) -> Result<Option<Batch>, LogError> {
        let mut batch = None;
        loop {
            match self.queue.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => {
                    if message.offset() < self.next {
                        continue;
                    }
                    let (records, bytes) = self.usual;
                    let builder = batch
                        .get_or_insert_with(|| BatchBuilder::with_capacity(self.at.clone(), records, bytes));
                    append(builder, &message);
                    self.next = message.offset() + 1;
                    (self.at_end, self.told) = (false, None);
                    if builder.len() >= settings.batch_records || builder.bytes() >= settings.batch_bytes {
                        break;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.at_end = true;
                    // Records may be queued behind an end that was overtaken: only an empty queue says that
                    // what was signalled has been taken.
                    if batch.is_some() {
                        break;
                    }
                }
                Some(Err(error)) => {
                    if let Some(error) = failure(&self.at, self.next, &error, settings, consumer) {
                        return Err(error);
                    }
                }
            }
        }
        Ok(batch.map(|builder| {
            self.usual = (builder.len(), builder.bytes());
            builder.build()
        }))
    }
}

/// A consumer's assigned partitions.
pub(super) struct Sources {
    // Dropped before the consumer, which they keep alive.
    all: Vec<Source>,
    consumer: Arc<BaseConsumer<Context>>,
    bell: Arc<Bell>,
    settings: Arc<Settings>,
    /// Where the next look begins, so that no partition starves another.
    turn: usize,
}

impl Sources {
    pub(super) fn new(
        consumer: Arc<BaseConsumer<Context>>,
        bell: Arc<Bell>,
        settings: Arc<Settings>,
    ) -> Self {
        Self { all: Vec::new(), consumer, bell, settings, turn: 0 }
    }

    /// Reads these from there, beside the others.
    pub(super) fn assign(&mut self, starts: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        let before = self.all.len();
        for (at, offset) in starts {
            assert!(*offset >= 0, "{at}: an offset is never negative, this is {offset}");
            if let Some(source) = self.all.iter_mut().find(|source| source.at == *at) {
                source.next = *offset;
                continue;
            }
            self.all.push(Source {
                at: at.clone(),
                queue: self.queue(at)?,
                next: *offset,
                floor: 0,
                signalled: None,
                at_end: false,
                told: None,
                paused: false,
                usual: (0, 0),
            });
        }
        self.restart().inspect_err(|_| self.all.truncate(before))
    }

    /// No longer reads these.
    pub(super) fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        let before = self.all.len();
        self.all.retain(|source| !partitions.contains(&source.at));
        if self.all.len() == before { Ok(()) } else { self.restart() }
    }

    /// Forgets all, without a word to librdkafka.
    pub(super) fn clear(&mut self) {
        self.all.clear();
    }

    /// Stops, or goes on, looking at these. A queue that nobody looks at fills to its bound and is then
    /// not fetched for; nothing is thrown away.
    pub(super) fn pause(&mut self, partitions: &[TopicPartition], paused: bool) {
        for source in self.all.iter_mut().filter(|source| partitions.contains(&source.at)) {
            source.paused = paused;
        }
        self.bell.ring();
    }

    /// The next batch or end that is there already.
    pub(super) fn next(&mut self) -> Result<Option<Polled>, LogError> {
        let signalled = self.consumer.context().voice.take_ends();
        if !signalled.is_empty() {
            for source in &mut self.all {
                source.signalled = signalled
                    .get(&(source.at.topic.to_string(), source.at.partition))
                    .copied()
                    .or(source.signalled);
            }
        }
        let count = self.all.len();
        for index in (self.turn..count).chain(0..self.turn.min(count)) {
            let source = &mut self.all[index];
            if source.paused {
                continue;
            }
            if let Some(polled) = source.next(&self.settings, &self.consumer)? {
                self.turn = (index + 1) % count;
                return Ok(Some(polled));
            }
        }
        Ok(None)
    }

    fn queue(&self, at: &TopicPartition) -> Result<PartitionQueue<Context>, LogError> {
        let mut queue = self
            .consumer
            .split_partition_queue(at.topic.as_str(), at.partition)
            .ok_or_else(|| self.settings.failed(format!("reading {at}"), "librdkafka has no queue for it"))?;
        let bell = Arc::clone(&self.bell);
        queue.set_nonempty_callback(move || bell.ring());
        Ok(queue)
    }

    /// Tells librdkafka what is read now and from where. The eager protocol knows whole assignments only;
    /// what was fetched ahead is fetched again.
    fn restart(&mut self) -> Result<(), LogError> {
        self.look_for_ends()?;
        let mut list = TopicPartitionList::with_capacity(self.all.len());
        for Source { at, next, .. } in &self.all {
            list.add_partition_offset(at.topic.as_str(), at.partition, Offset::Offset(*next))
                .map_err(|error| self.settings.failed(format!("reading {at}"), error.to_string()))?;
        }
        self.consumer
            .assign(&list)
            .map_err(|error| self.settings.failed("assigning partitions", error.to_string()))
    }

    /// The error of the first topic that is not there, if one is missing.
    fn missing(&self) -> Option<LogError> {
        use RDKafkaErrorCode as Code;
        self.all.iter().find_map(|Source { at, .. }| {
            let metadata = self.consumer.fetch_metadata(Some(at.topic.as_str()), ANSWER).ok()?;
            let code = metadata.topics().first()?.error().map(Code::from)?;
            (code == Code::UnknownTopicOrPartition).then(|| LogError::NoTopic {
                topic: at.topic.to_string(),
                log: self.settings.address.clone(),
            })
        })
    }

    fn ends(&self, list: &TopicPartitionList) -> Result<TopicPartitionList, LogError> {
        let until = Instant::now() + ANSWER;
        loop {
            let error = match patiently(|| self.consumer.offsets_for_times(list.clone(), ANSWER)) {
                Ok(ends) => return Ok(ends),
                Err(error) => error,
            };
            if let Some(missing) = self.missing() {
                return Err(missing);
            }
            // Topics that have just been made are not known to every broker at once.
            let unknown = error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownPartition);
            if !unknown || Instant::now() > until {
                let voice = &self.consumer.context().voice;
                return Err(self.settings.error("asking where partitions end", &error, voice));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where the partitions end for a committed reader, before anything is fetched.
    fn look_for_ends(&mut self) -> Result<(), LogError> {
        if self.all.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(self.all.len());
        for Source { at, .. } in &self.all {
            list.add_partition_offset(at.topic.as_str(), at.partition, Offset::End)
                .map_err(|error| self.settings.failed(format!("reading {at}"), error.to_string()))?;
        }
        let ends = self.ends(&list)?;
        for source in &mut self.all {
            let found = ends.find_partition(source.at.topic.as_str(), source.at.partition);
            source.floor = match found.map(|found| found.offset()) {
                Some(Offset::Offset(end)) => end,
                _ => 0,
            };
            (source.signalled, source.at_end, source.told) = (None, false, None);
        }
        Ok(())
    }
}

fn append(builder: &mut BatchBuilder, message: &BorrowedMessage<'_>) {
    let timestamp = message.timestamp().to_millis().map_or(Time(0), Time::from_millis);
    builder.push(message.offset(), timestamp, message.key(), message.payload(), |arena| {
        let Some(headers) = message.headers() else { return };
        for header in headers.iter() {
            Headers::encode(arena, header.key, header.value.unwrap_or_default());
        }
    });
}

/// What a partition's error means; none if librdkafka goes on by itself.
fn failure(
    at: &TopicPartition,
    offset: i64,
    error: &KafkaError,
    settings: &Settings,
    consumer: &BaseConsumer<Context>,
) -> Option<LogError> {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code()? {
        Code::OffsetOutOfRange | Code::AutoOffsetReset => {
            let bounds = consumer.fetch_watermarks(at.topic.as_str(), at.partition, ANSWER);
            let (earliest, end) = bounds.unwrap_or((-1, -1));
            Some(LogError::OutOfRange { at: at.clone(), offset, earliest, end })
        }
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            Some(LogError::NoTopic { topic: at.topic.to_string(), log: settings.address.clone() })
        }
        code if is_passing(code) => {
            tracing::debug!(%at, %error, "reading again");
            None
        }
        _ => Some(settings.failed(format!("reading {at}"), error.to_string())),
    }
}

/// True for what librdkafka tries again by itself.
pub(super) fn is_passing(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    super::settings::is_silence(code)
        || matches!(
            code,
            Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::ReplicaNotAvailable
                | Code::KafkaStorageError
                | Code::OffsetNotAvailable
                | Code::WaitingForCoordinator
                | Code::CoordinatorLoadInProgress
                | Code::CoordinatorNotAvailable
                | Code::NotCoordinator
        )
}
