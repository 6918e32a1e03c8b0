//! Other systems that do the same job as a worker, started beside the harness and told its terms.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use tapewatch_eventlog::{TopicPartition, TopicSpec};
use tapewatch_schemas::catalogue as c;

use crate::Failure;
use crate::programs::Program;
use crate::readings::cpu_seconds_of;
use crate::stage::Stage;

/// How long a peer may commit nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it commits: Kafka Streams' default under `exactly_once_v2`.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// The measures that peers know; limits on others are not theirs.
const MEASURES: [&str; 6] = ["var_95", "var_99", "es_95", "es_99", "gross_exposure", "position"];

/// A peer's name and how it is started: `NAME=PROGRAM ARGUMENT …`, parted by blanks.
#[derive(Clone, Debug)]
pub struct Peer {
    /// What the report calls it.
    pub name: String,
    command: Vec<String>,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("a peer is NAME=PROGRAM ARGUMENT …")?;
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if name.is_empty() || command.is_empty() {
            return Err("a peer has a name and a program".into());
        }
        Ok(Self { name: name.to_owned(), command })
    }
}

impl Peer {
    /// Starts it on the stage's brokers, with the stage's terms as the last argument, as JSON.
    pub fn start(&self, stage: &Stage, job: &str) -> Result<Running, Failure> {
        let brokers = stage.settings.log.url.strip_prefix("kafka:").ok_or("peers need Kafka")?;
        let id = format!("peer-{}", self.name);
        let topic = |what: &str| format!("peer.{}.{what}", self.name);
        let (figures, alerts) = (topic("figures"), topic("alerts"));
        for name in [&figures, &alerts] {
            stage.log.create(&[TopicSpec {
                name: name.as_str().into(),
                partitions: stage.settings.topics.partitions as i32,
                replication: stage.settings.log.kafka.replication as i32,
                retention: None,
                compacted: false,
            }])?;
        }
        let mut terms = terms(stage);
        terms["job"] = json!(job);
        terms["brokers"] = json!(brokers);
        terms["id"] = json!(id);
        terms["figures"] = json!(figures);
        terms["alerts"] = json!(alerts);
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).arg(terms.to_string());
        let program = Program::spawn(&self.name, command)?;
        // What a transaction that is open has yet to commit is not waited for.
        let group = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", id)
            .set("isolation.level", "read_uncommitted")
            .create()?;
        Ok(Running { program, group, figures, alerts })
    }
}

/// What a peer is told of the settings: what the worker is told, too.
fn terms(stage: &Stage) -> Value {
    let risk = &stage.settings.risk;
    let limits: Vec<Value> = risk
        .limits
        .iter()
        .filter(|limit| MEASURES.contains(&limit.measure.as_str()))
        .map(|l| json!({"name": l.name, "measure": l.measure, "hard": l.hard, "hysteresis": l.hysteresis}))
        .collect();
    let hex =
        |topic: &str| stage.codec.fingerprint(topic).map(|bytes| bytes.map(|b| format!("{b:02x}")).concat());
    let fingerprints: BTreeMap<&str, Option<String>> =
        [c::EXEC_REPORTS, c::MARKET_DATA, c::RISK_METRICS, c::ALERTS]
            .into_iter()
            .map(|t| (t, hex(t)))
            .collect();
    json!({
        "fingerprints": fingerprints,
        "schemas": Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/avsc"),
        "window": risk.var.window,
        "minimum": risk.var.minimum,
        "publish_every_us": risk.publish_every.as_micros() as u64,
        "commit_every_ms": COMMIT_EVERY.as_millis() as u64,
        "limits": limits,
    })
}

/// A peer at work.
pub struct Running {
    program: Program,
    /// Asks for its group's positions; no member of it.
    group: BaseConsumer,
    /// Where it publishes risk figures.
    pub figures: String,
    /// Where it publishes alerts.
    pub alerts: String,
}

impl Running {
    /// CPU seconds of its process so far, user and system, all threads.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds_of(self.program.id())
    }

    /// Records that it has committed after `starts`, in partitions without transactions' markers.
    fn taken(&self, starts: &[(TopicPartition, i64)]) -> Result<u64, Failure> {
        let mut list = TopicPartitionList::new();
        for (at, _) in starts {
            list.add_partition(at.topic.as_str(), at.partition);
        }
        let committed = self.group.committed_offsets(list, Duration::from_secs(10))?;
        let mut taken = 0;
        for (at, start) in starts {
            let found = committed.find_partition(at.topic.as_str(), at.partition);
            if let Some(Offset::Offset(offset)) = found.map(|place| place.offset()) {
                taken += u64::try_from(offset - start).unwrap_or(0);
            }
        }
        Ok(taken)
    }

    /// Waits until it has committed so many records after `starts`; how many they were then.
    ///
    /// # Errors
    /// If it ended by itself, or committed nothing for a minute.
    pub fn wait(&mut self, starts: &[(TopicPartition, i64)], records: u64) -> Result<u64, Failure> {
        let (mut before, mut since) = (0, Instant::now());
        loop {
            let taken = self.taken(starts)?;
            if taken >= records {
                return Ok(taken);
            }
            if taken > before {
                (before, since) = (taken, Instant::now());
            }
            self.program.check()?;
            if since.elapsed() > PATIENCE {
                return Err(
                    format!("a peer committed nothing for {PATIENCE:?}, after {taken} records").into()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM, and waits for its end.
    pub fn stop(self) -> Result<(), Failure> {
        self.program.stop()
    }
}
