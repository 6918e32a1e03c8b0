//! Topics: what is there, and making what is not.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Polling, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::types::RDKafkaRespErr;
use tapewatch_schemas::TopicName;

use crate::{LogError, TopicInfo, TopicSpec};

use super::rebalance::Context;
use super::settings::{ANSWER, Settings};

/// How long new topics may take until every partition has a leader.
const LEADERS: Duration = Duration::from_secs(15);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Asks the brokers. Reads nothing and joins nothing.
pub(super) struct Topics {
    pub(super) settings: Arc<Settings>,
    pub(super) asker: BaseConsumer<Context>,
    /// One for each group that was asked about: a new client takes a tenth of a second to find the group's
    /// coordinator, and a worker asks once a task.
    group_askers: Mutex<HashMap<String, Arc<BaseConsumer<Context>>>>,
}

impl Topics {
    pub(super) fn new(settings: &Arc<Settings>) -> Result<Self, LogError> {
        let asker = settings.client(&settings.asking(), Context::default())?;
        Ok(Self { settings: Arc::clone(settings), asker, group_askers: Mutex::default() })
    }

    /// Asks about one group, and joins it as little.
    pub(super) fn group_asker(&self, group: &str) -> Result<Arc<BaseConsumer<Context>>, LogError> {
        let mut askers = self.group_askers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asker) = askers.get(group) {
            return Ok(Arc::clone(asker));
        }
        let asker = Arc::new(self.settings.client(&self.settings.asking_about(group), Context::default())?);
        askers.insert(group.to_owned(), Arc::clone(&asker));
        Ok(asker)
    }

    /// All topics but Kafka's own.
    pub(super) fn list(&self) -> Result<Vec<TopicInfo>, LogError> {
        let metadata = self.metadata(None, "listing topics")?;
        let mut topics: Vec<TopicInfo> = metadata
            .topics()
            .iter()
            .filter(|topic| !topic.name().starts_with("__"))
            .map(|topic| TopicInfo {
                name: TopicName::from(topic.name()),
                partitions: topic.partitions().len() as i32,
            })
            .collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// How many partitions a topic has.
    pub(super) fn partitions(&self, topic: &TopicName) -> Result<i32, LogError> {
        let doing = format!("asking about {topic}");
        let metadata = self.metadata(Some(topic.as_str()), &doing)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic.as_str());
        let Some(found) = found else { return Err(self.none(topic)) };
        match found.error().map(RDKafkaErrorCode::from) {
            None => Ok(found.partitions().len() as i32),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Err(self.none(topic)),
            Some(RDKafkaErrorCode::LeaderNotAvailable) if !found.partitions().is_empty() => {
                Ok(found.partitions().len() as i32)
            }
            Some(code) => Err(self.settings.failed(doing, code.to_string())),
        }
    }

    /// Makes those that are not there, and waits until they can be written to.
    pub(super) fn create(&self, specs: &[TopicSpec]) -> Result<(), LogError> {
        let metadata = self.metadata(None, "listing topics")?;
        let mut missing = Vec::new();
        for spec in specs {
            match metadata.topics().iter().find(|topic| topic.name() == spec.name.as_str()) {
                Some(found) => self.same_count(found, spec)?,
                None => missing.push(spec),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        self.create_all(&missing)?;
        self.wait_for_leaders(&missing)
    }

    /// The error of a topic that is not there.
    pub(super) fn none(&self, topic: &TopicName) -> LogError {
        LogError::NoTopic { topic: topic.to_string(), log: self.settings.address.clone() }
    }

    fn same_count(&self, found: &MetadataTopic, spec: &TopicSpec) -> Result<(), LogError> {
        let count = found.partitions().len();
        if count == spec.partitions as usize {
            return Ok(());
        }
        Err(self.settings.failed(
            format!("creating {}", spec.name),
            format!(
                "it is there with {count} partitions, {} are wanted: a key's partition would change, so tapewatch \
                 never alters the count",
                spec.partitions
            ),
        ))
    }

    fn create_all(&self, missing: &[&TopicSpec]) -> Result<(), LogError> {
        let settings: Vec<Vec<(&str, String)>> = missing.iter().map(|spec| topic_settings(spec)).collect();
        let new: Vec<NewTopic<'_>> = missing
            .iter()
            .zip(&settings)
            .map(|(spec, settings)| {
                let topic = NewTopic::new(
                    spec.name.as_str(),
                    spec.partitions,
                    TopicReplication::Fixed(spec.replication),
                );
                settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
            })
            .collect();
        let admin: AdminClient<Context> =
            self.settings.client(&self.settings.asking(), Context::default())?;
        let options = AdminOptions::new().request_timeout(Some(LEADERS)).operation_timeout(Some(LEADERS));
        let voice = &admin.inner().context().voice;
        let results = block_on(admin.create_topics(&new, &options))
            .map_err(|error| self.settings.error("creating topics", &error, voice))?;
        for result in results {
            match result {
                // Another process was quicker; the counts are compared below.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    let spec = missing.iter().find(|spec| spec.name.as_str() == topic);
                    let asked = spec.map_or_else(String::new, |spec| {
                        format!(" ({} partitions, {} copies)", spec.partitions, spec.replication)
                    });
                    return Err(self.settings.failed(format!("creating {topic}{asked}"), code.to_string()));
                }
            }
        }
        Ok(())
    }

    fn wait_for_leaders(&self, specs: &[&TopicSpec]) -> Result<(), LogError> {
        let until = Instant::now() + LEADERS;
        loop {
            let metadata = self.metadata(None, "listing topics")?;
            let mut waiting = None;
            for spec in specs {
                match metadata.topics().iter().find(|topic| topic.name() == spec.name.as_str()) {
                    Some(found) if is_led(found) => self.same_count(found, spec)?,
                    _ => waiting = Some(spec),
                }
            }
            let Some(spec) = waiting else { return Ok(()) };
            if Instant::now() > until {
                return Err(self.settings.failed(
                    format!("creating {}", spec.name),
                    format!("some of its partitions have no leader after {} s", LEADERS.as_secs()),
                ));
            }
            thread::sleep(LOOK);
        }
    }

    fn metadata(&self, topic: Option<&str>, doing: &str) -> Result<Metadata, LogError> {
        let answer = self.asker.fetch_metadata(topic, ANSWER);
        // Its own events are errors, which say why there was no answer.
        while self.asker.poll(Duration::ZERO).is_some() {}
        answer.map_err(|error| self.settings.error(doing, &error, &self.asker.context().voice))
    }
}

fn is_led(topic: &MetadataTopic) -> bool {
    let no_error = |error: Option<RDKafkaRespErr>| error.is_none();
    no_error(topic.error())
        && !topic.partitions().is_empty()
        && topic.partitions().iter().all(|partition| partition.leader() >= 0 && no_error(partition.error()))
}

fn topic_settings(spec: &TopicSpec) -> Vec<(&'static str, String)> {
    let kept = spec.retention.map_or(-1, |span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    vec![
        ("cleanup.policy", if spec.compacted { "compact" } else { "delete" }.to_owned()),
        ("retention.ms", kept.to_string()),
        ("retention.bytes", "-1".to_owned()),
        // Of three copies one may be away; of fewer none can, or a write would wait for ever.
        ("min.insync.replicas", if spec.replication >= 3 { "2" } else { "1" }.to_owned()),
        ("message.timestamp.type", "CreateTime".to_owned()),
    ]
}

/// Waits for librdkafka's answer on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Polling::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}
