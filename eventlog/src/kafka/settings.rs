//! librdkafka's properties: what we ship, then what the user gave, then what our guarantees rest on.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use crate::{GroupSpec, LogError, OpenOptions};

use super::context::Voice;

/// How long a question to a broker may take.
pub(super) const ANSWER: Duration = Duration::from_secs(5);
/// How long a broker keeps a transaction open that nobody ends. librdkafka's default, 60 s, would keep
/// readers of committed records waiting for a killed worker's.
const TRANSACTION: Duration = Duration::from_secs(10);
/// Bytes that are fetched ahead per partition. At 750 MB/s through one partition, five milliseconds
/// (`fetch.queue.backoff.ms`) drain 4 MB.
const PREFETCH_KIB: u64 = 8 * 1024;
/// Prefix of a user's properties that only consumers, or only producers, are given.
const CONSUMER: &str = "consumer.";
const PRODUCER: &str = "producer.";

/// What every client of one log is made from.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The log's address, for errors.
    pub(super) address: String,
    brokers: String,
    properties: BTreeMap<String, String>,
    /// Records in a batch, at most.
    pub(super) batch_records: usize,
    /// Bytes in a batch, at most, if it has more than one record.
    pub(super) batch_bytes: usize,
    /// Largest record: key, value and headers.
    pub(super) max_record_bytes: usize,
    queue_bytes: usize,
}

impl Settings {
    /// From `kafka:HOST:PORT,…`.
    pub(super) fn new(url: &str, options: &OpenOptions) -> Result<Self, LogError> {
        let address = |why: String| LogError::Address { url: url.to_owned(), why };
        let brokers = url.strip_prefix("kafka:").unwrap_or(url);
        for broker in brokers.split(',') {
            let port = broker.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
            if port.and_then(|port| port.parse::<u16>().ok()).is_none_or(|port| port == 0) {
                return Err(address(format!("`{broker}` is not HOST:PORT")));
            }
        }
        Ok(Self {
            address: url.to_owned(),
            brokers: brokers.to_owned(),
            properties: options.kafka.clone(),
            batch_records: options.batch_records.max(1),
            batch_bytes: options.batch_bytes.max(1),
            max_record_bytes: options.max_record_bytes,
            queue_bytes: options.queue_bytes.max(options.max_record_bytes + 4096),
        })
    }

    /// Of a client that only asks: metadata, bounds as an uncommitted reader sees them.
    pub(super) fn asking(&self) -> ClientConfig {
        let mut config = self.with_users(self.shipped(), CONSUMER);
        config.set("isolation.level", "read_uncommitted");
        config
    }

    /// Of a client that asks for a group's committed positions and never joins it.
    pub(super) fn asking_about(&self, group: &str) -> ClientConfig {
        let mut config = self.with_users(self.shipped(), CONSUMER);
        config
            .set("group.id", group)
            .set("isolation.level", "read_committed")
            // Positions are not told while a transaction on them is open, and a busy worker nearly always has one: it
            // takes many quick questions to meet the moment between two.
            .set("retry.backoff.ms", "5")
            .set("retry.backoff.max.ms", "10")
            .set("enable.auto.commit", "false");
        config
    }

    /// Of a reader outside any group.
    pub(super) fn reading(&self) -> ClientConfig {
        let mut config = self.shipped();
        // One more copy is cheap, one more round trip of the fetcher is not: ask often, and in bulk.
        config
            .set("fetch.wait.max.ms", "10")
            .set("fetch.queue.backoff.ms", "5")
            .set("queued.max.messages.kbytes", PREFETCH_KIB.to_string())
            .set("fetch.error.backoff.ms", "50")
            // They tell the position of an end, behind transaction markers.
            .set("statistics.interval.ms", "200");
        let mut config = self.with_users(config, CONSUMER);
        config
            // librdkafka assigns partitions only to clients that name a group; it is never joined.
            .set("group.id", "tapewatch.reader")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false");
        config
    }

    /// Of a group's member.
    pub(super) fn joining(&self, group: &GroupSpec) -> ClientConfig {
        let mut config = self.reading();
        let session = group.session.as_millis();
        config
            .set("group.id", &group.group)
            .set("group.instance.id", &group.instance)
            .set("group.protocol", "classic")
            // Cooperative-sticky may give one partition number of two topics to two members; range never
            // does, if the topics have equal counts.
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", session.to_string())
            .set("heartbeat.interval.ms", (session / 4).max(1).to_string())
            // A member whose own thread hangs is silent, however lively librdkafka's threads are.
            .set("max.poll.interval.ms", session.to_string());
        config
    }

    /// Of a producer without transactions.
    pub(super) fn publishing(&self) -> ClientConfig {
        let mut config = self.shipped();
        config.set("linger.ms", "5").set("message.timeout.ms", "30000");
        let mut config = self.with_users(config, PRODUCER);
        config
            .set("enable.idempotence", "true")
            .set("queue.buffering.max.kbytes", (self.queue_bytes / 1024).max(1).to_string())
            .set("queue.buffering.max.messages", "1000000");
        config
    }

    /// Of a transactional producer.
    pub(super) fn transacting(&self, id: &str) -> ClientConfig {
        let mut config = self.shipped();
        // All of a round is handed over at once: there is nothing to linger for.
        config.set("linger.ms", "0").set("retry.backoff.ms", "1").set("retry.backoff.max.ms", "100");
        let mut config = self.with_users(config, PRODUCER);
        let patience = TRANSACTION.as_millis().to_string();
        config
            .set("transactional.id", id)
            .set("enable.idempotence", "true")
            .set("transaction.timeout.ms", &patience)
            .set("message.timeout.ms", &patience)
            .set("queue.buffering.max.kbytes", "2097151")
            .set("queue.buffering.max.messages", "10000000");
        config
    }

    /// Makes a client.
    pub(super) fn client<C, T>(&self, config: &ClientConfig, context: C) -> Result<T, LogError>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C>,
    {
        config.create_with_context(context).map_err(|error| self.refused(&error))
    }

    /// What is wrong with the properties, as far as librdkafka says it.
    pub(super) fn refused(&self, error: &KafkaError) -> LogError {
        let words = match error {
            KafkaError::ClientConfig(_, words, key, value) => format!("{words} (`{key}` = `{value}`)"),
            KafkaError::ClientCreation(words) => words.clone(),
            other => other.to_string(),
        };
        let missing =
            ["OpenSSL not available", "libsasl2", "No provider for SASL", "not supported in this build"]
                .iter()
                .any(|sign| words.contains(sign));
        let oidc = words.contains("oidc") || words.contains("OIDC") || words.contains("libcurl");
        let feature = match (missing || oidc, oidc) {
            (true, true) => ". This build has no OIDC: build with `--features oidc`",
            (true, false) => {
                ". This build has no TLS, SCRAM or OAUTHBEARER: build with `--features tls` (SASL/PLAIN needs none)"
            }
            _ => "",
        };
        self.failed("setting up the connection", format!("{words}{feature}"))
    }

    /// A failure in our words.
    pub(super) fn failed(&self, doing: impl Into<String>, why: impl Into<String>) -> LogError {
        LogError::Backend { log: self.address.clone(), doing: doing.into(), why: why.into() }
    }

    /// A failure of librdkafka's: no answer is told apart from a refusal.
    pub(super) fn error(&self, doing: impl Into<String>, error: &KafkaError, voice: &Voice) -> LogError {
        let doing = doing.into();
        if error.rdkafka_error_code().is_some_and(is_silence) {
            let why = voice.last_reason().unwrap_or_else(|| error.to_string());
            let why = format!("{doing}: {why}. Does a broker run there, and may this machine reach it?");
            return LogError::Unreachable { log: self.address.clone(), why };
        }
        if error.rdkafka_error_code().is_some_and(is_moving) {
            // It was asked for as long as an answer may take, and may be asked again.
            return LogError::Unreachable { log: self.address.clone(), why: format!("{doing}: {error}") };
        }
        self.failed(doing, error.to_string())
    }

    /// A failure of one record, by its code: no answer is told apart from a refusal.
    pub(super) fn code(&self, doing: String, code: RDKafkaErrorCode, words: String) -> LogError {
        if is_silence(code) || is_moving(code) {
            return LogError::Unreachable { log: self.address.clone(), why: format!("{doing}: {words}") };
        }
        self.failed(doing, words)
    }

    fn shipped(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "tapewatch")
            // What Java's clients may write; librdkafka's own default is 1,000,000.
            .set("message.max.bytes", self.max_record_bytes.clamp(1000, 1_000_000_000).to_string())
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "2000")
            .set("log.connection.close", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    fn with_users(&self, mut config: ClientConfig, kind: &str) -> ClientConfig {
        for (key, value) in &self.properties {
            match key.strip_prefix(kind) {
                Some(own) => config.set(own, value),
                None if key.starts_with(CONSUMER) || key.starts_with(PRODUCER) => &mut config,
                None => config.set(key, value),
            };
        }
        config
    }
}

/// Asks again, for as long as an answer may take, while the answer is one that passes: a broker that has
/// just become a partition's leader may not know it yet.
pub(super) fn patiently<T>(mut ask: impl FnMut() -> KafkaResult<T>) -> KafkaResult<T> {
    let until = Instant::now() + ANSWER;
    loop {
        match ask() {
            Err(error) if error.rdkafka_error_code().is_some_and(is_settling) && Instant::now() < until => {
                thread::sleep(Duration::from_millis(20));
            }
            answer => return answer,
        }
    }
}

fn is_settling(code: RDKafkaErrorCode) -> bool {
    is_moving(code)
        || matches!(code, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::DestroyBroker)
}

/// True while a partition or a coordinator moves to another broker.
fn is_moving(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            // A new leader does not tell an end before it knows what was replicated.
            | Code::OffsetNotAvailable
            | Code::ReplicaNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
    )
}

/// True if the brokers did not answer, false if they answered with an error.
pub(super) fn is_silence(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::MessageTimedOut
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::NodeUpdate
            // The broker that was asked has left the cluster: librdkafka drops what waited for it.
            | Code::DestroyBroker
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &[(&str, &str)]) -> Settings {
        let kafka = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings::new("kafka:a:9092,b:9093", &OpenOptions { kafka, ..OpenOptions::default() })
            .expect("the address is good")
    }

    fn group() -> GroupSpec {
        GroupSpec {
            group: "g".into(),
            instance: "i".into(),
            topics: vec!["t".into()],
            session: Duration::from_secs(6),
        }
    }

    #[test]
    fn what_the_guarantees_rest_on_cannot_be_set() {
        let user = settings(&[
            ("isolation.level", "mine"),
            ("enable.idempotence", "false"),
            ("consumer.enable.auto.commit", "true"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("transactional.id", "mine"),
        ]);
        let joining = user.joining(&group());
        assert_eq!(joining.get("isolation.level"), Some("read_committed"));
        assert_eq!(user.asking().get("isolation.level"), Some("read_uncommitted"));
        assert_eq!(joining.get("enable.auto.commit"), Some("false"));
        assert_eq!(joining.get("partition.assignment.strategy"), Some("range"));
        assert_eq!(joining.get("heartbeat.interval.ms"), Some("1500"));
        assert_eq!(user.transacting("w.0").get("transactional.id"), Some("w.0"));
        assert_eq!(user.publishing().get("enable.idempotence"), Some("true"));
    }

    #[test]
    fn a_broker_that_leaves_the_cluster_is_silent_and_another_is_asked() {
        assert!(is_silence(RDKafkaErrorCode::DestroyBroker));
        let mut asked = 0;
        let answer = patiently(|| {
            asked += 1;
            if asked == 1 {
                Err(KafkaError::MetadataFetch(RDKafkaErrorCode::DestroyBroker))
            } else {
                Ok(asked)
            }
        });
        assert_eq!(answer.ok(), Some(2));
        let error = KafkaError::MetadataFetch(RDKafkaErrorCode::DestroyBroker);
        let told = settings(&[]).error("asking", &error, &Voice::default());
        assert!(matches!(told, LogError::Unreachable { .. }), "{told:?}");
    }

    #[test]
    fn what_moves_to_another_broker_may_be_asked_again_and_what_is_missing_is_an_error() {
        let told = |code| settings(&[]).error("asking", &KafkaError::MetadataFetch(code), &Voice::default());
        for code in [RDKafkaErrorCode::OffsetNotAvailable, RDKafkaErrorCode::NotLeaderForPartition] {
            assert!(is_settling(code));
            assert!(matches!(told(code), LogError::Unreachable { .. }), "{:?}", told(code));
        }
        let missing = told(RDKafkaErrorCode::UnknownTopicOrPartition);
        assert!(matches!(missing, LogError::Backend { .. }), "{missing:?}");
    }

    #[test]
    fn a_property_goes_to_both_kinds_of_client_or_to_the_one_it_names() {
        let user = settings(&[
            ("security.protocol", "ssl"),
            ("consumer.fetch.min.bytes", "7"),
            ("producer.linger.ms", "3"),
        ]);
        let (reading, publishing) = (user.reading(), user.publishing());
        for config in [&reading, &publishing, &user.asking()] {
            assert_eq!(config.get("security.protocol"), Some("ssl"));
            assert_eq!(config.get("bootstrap.servers"), Some("a:9092,b:9093"));
        }
        assert_eq!((reading.get("fetch.min.bytes"), publishing.get("fetch.min.bytes")), (Some("7"), None));
        assert_eq!((reading.get("linger.ms"), publishing.get("linger.ms")), (None, Some("3")));
    }
}
