//! The workers: each is a plan made of the settings, the catalogue and a monitor.

mod alerting;
mod firm_risk;
mod risk;

use std::collections::BTreeMap;
use std::sync::Arc;

use tapewatch_config::{Clock, Partitioner as Spread, Settings, Start};
use tapewatch_eventlog::registry::Registry;
use tapewatch_eventlog::{Log, LogError, TopicPartition, TopicSpec};
use tapewatch_schemas::catalogue::{self, Worker as Listed, journal_topic};
use tapewatch_schemas::codec::SchemaText;
use tapewatch_schemas::journal::Epoch;
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Checks, Codec, Time, TopicName};

use crate::breaker::BreakerParameters;
use crate::core::{Blueprint, MonitorFactory};
use crate::hold::HoldParameters;
use crate::inspect::Inspector;
use crate::letters::Letters;
use crate::numerics;
use crate::outbox::Routing;
use crate::plan::{RuntimeParameters, StartAt, WorkerPlan, group_of};
use crate::registry;

/// The code version: a digest of the sources that outputs depend on.
pub const CODE_VERSION: &str = env!("TAPEWATCH_CODE_VERSION");

/// Every worker of this release, in pipeline order.
pub const NAMES: [&str; 3] = [catalogue::RISK, catalogue::FIRM_RISK, catalogue::ALERTING];

/// The workers that the settings have work for, in pipeline order: without a scope above the portfolio there is nothing
/// to roll up.
pub fn wanted(settings: &Settings) -> impl Iterator<Item = &'static str> {
    let rolls_up = !settings.firm.scopes.is_empty();
    NAMES.into_iter().filter(move |name| rolls_up || *name != catalogue::FIRM_RISK)
}

/// The workers that the settings have work for, and those that have written a journal on this log.
///
/// # Errors
/// The log's.
pub fn at_work(settings: &Settings, log: &dyn Log) -> Result<Vec<&'static str>, LogError> {
    let topics = log.topics()?;
    let mut names = Vec::new();
    for name in NAMES {
        let journal = journal_topic(name);
        let tasks = topics.iter().find(|topic| topic.name == journal).map_or(0, |topic| topic.partitions);
        let mut works = wanted(settings).any(|wanted| wanted == name);
        for task in 0..tasks {
            works = works || log.bounds(&TopicPartition::new(journal.clone(), task))?.end > 0;
        }
        if works {
            names.push(name);
        }
    }
    Ok(names)
}

/// The topics that this release needs, as the settings want them.
pub fn topic_specs(settings: &Settings) -> Vec<TopicSpec> {
    let specs = catalogue::plan(settings.topics.partitions, settings.topics.retention).into_iter();
    specs
        .map(|topic| TopicSpec {
            name: topic.name,
            partitions: topic.partitions as i32,
            replication: settings.log.kafka.replication as i32,
            retention: topic.retention,
            compacted: topic.compacted,
        })
        .collect()
}

/// The plan of a worker on a log.
///
/// # Errors
/// If the log does not answer, or lacks a topic.
///
/// # Panics
/// If the name is not one of [`NAMES`].
pub fn plan(name: &str, settings: &Settings, log: &dyn Log, instance: &str) -> Result<WorkerPlan, LogError> {
    let listed = catalogue::worker(name).expect("the catalogue lists every worker");
    let (monitor, upstream): (MonitorFactory, Vec<String>) = match name {
        catalogue::RISK => (risk::factory(settings), Vec::new()),
        catalogue::FIRM_RISK => (firm_risk::factory(settings), vec![catalogue::RISK.to_owned()]),
        catalogue::ALERTING => {
            (alerting::factory(settings), [catalogue::RISK, catalogue::FIRM_RISK].map(str::to_owned).to_vec())
        }
        other => unreachable!("`{other}` is in the catalogue but is no worker of this release"),
    };
    let (codec, registry) = writing_codec(settings, listed.outputs)?;
    let codec = Arc::new(codec);
    let partitions = partitions(log)?;
    let epoch = epoch(settings, &codec);
    let breaker = breaker(settings);
    let blueprint = Blueprint {
        worker: name.into(),
        configuration: settings.version().short(),
        code: CODE_VERSION.to_owned(),
        codec: Arc::clone(&codec),
        routing: Arc::new(routing(settings, listed, &partitions)),
        breaker: breaker.clone(),
        hold: hold(settings, listed),
        heartbeat_every: Some(settings.runtime.heartbeat_every),
        progress: progress(listed),
        spread: spread(listed),
        monitor,
    };
    let inspector = Inspector {
        worker: name.into(),
        codec,
        registry,
        checks: Checks { partitioner: partitioner(settings), max_skew: settings.runtime.max_skew },
        partitions,
        upstream,
    };
    let group = group_of(name);
    let letters = Letters {
        worker: name.into(),
        group: group.clone(),
        breaker,
        max_bytes: settings.dead_letters.max_bytes as usize,
    };
    Ok(WorkerPlan {
        worker: name.into(),
        group,
        instance: instance.to_owned(),
        own: listed.own_inputs(),
        broadcast: listed.broadcast_inputs(),
        optional: [catalogue::HEARTBEATS, catalogue::SYSTEM_HEALTH, catalogue::CONTROL_REQUESTS]
            .map(TopicName::from)
            .to_vec(),
        blueprint,
        inspector,
        letters,
        epoch,
        configuration: settings.canonical(),
        runtime: runtime(settings),
    })
}

/// The plan of a worker for a replay, which writes nothing: not even a schema to a registry.
///
/// # Errors
/// As [`plan`].
pub fn replay_plan(name: &str, settings: &Settings, log: &dyn Log) -> Result<WorkerPlan, LogError> {
    let mut settings = settings.clone();
    settings.registry.register = false;
    plan(name, &settings, log, "replay")
}

/// The codec that knows the settings' schemas beside our own.
///
/// # Errors
/// Every schema that cannot be used, with its file.
pub fn codec(settings: &Settings) -> Result<Codec, String> {
    let texts: Vec<SchemaText> = settings
        .topics
        .schemas
        .iter()
        .map(|file| SchemaText { name: file.name.clone(), text: file.text.clone() })
        .collect();
    Codec::new(&texts).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// The codec for a program that writes `topics`: it frames them as the settings' registry, if they name one, wants
/// it. With the connection, for whoever reads what others wrote.
///
/// # Errors
/// Every schema that cannot be used; a registry that does not answer or refuses our schemas.
pub fn writing_codec(
    settings: &Settings,
    topics: &[&str],
) -> Result<(Codec, Option<Arc<Registry>>), LogError> {
    let mut codec = codec(settings).map_err(|why| LogError::Backend {
        log: settings.log.url.clone(),
        doing: "reading the schemas of topics.schemas_dir".to_owned(),
        why,
    })?;
    let registry = registry::connect(settings)?;
    if let Some(registry) = registry.as_ref().filter(|_| !topics.is_empty()) {
        registry::frame(settings, registry, &mut codec, topics)?;
    }
    Ok((codec, registry))
}

/// The stable name of this process's instance of a worker.
pub fn instance(settings: &Settings, worker: &str) -> String {
    settings.runtime.instance.clone().unwrap_or_else(|| {
        let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
        let host: String = host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        format!("{}.{worker}", if host.is_empty() { "local" } else { &host })
    })
}

fn partitions(log: &dyn Log) -> Result<BTreeMap<TopicName, u32>, LogError> {
    Ok(log.topics()?.into_iter().map(|topic| (topic.name, topic.partitions as u32)).collect())
}

fn routing(settings: &Settings, listed: &Listed, partitions: &BTreeMap<TopicName, u32>) -> Routing {
    let of = |topic: &&str| (TopicName::from(*topic), partitions.get(*topic).copied().unwrap_or(1));
    Routing { partitioner: partitioner(settings), partitions: listed.outputs.iter().map(of).collect() }
}

/// The outputs that a task writes to its own partition number: those that are keyed like its inputs.
fn progress(listed: &Listed) -> Vec<TopicName> {
    let own = |topic: &&&str| {
        listed.name == catalogue::RISK && matches!(**topic, catalogue::RISK_METRICS | catalogue::HOLDINGS)
    };
    listed.outputs.iter().filter(own).map(|topic| TopicName::from(*topic)).collect()
}

/// The outputs that other workers read and of which a task may write to any partition: health is keyed by component, and
/// what is of many portfolios by its own scope.
fn spread(listed: &Listed) -> Vec<TopicName> {
    let any = |topic: &&&str| match **topic {
        catalogue::SYSTEM_HEALTH => true,
        catalogue::RISK_METRICS => listed.name == catalogue::FIRM_RISK,
        _ => false,
    };
    listed.outputs.iter().filter(any).map(|topic| TopicName::from(*topic)).collect()
}

fn epoch(settings: &Settings, codec: &Codec) -> Epoch {
    let hex = |print: [u8; 8]| format!("{:016x}", u64::from_be_bytes(print));
    Epoch {
        code: CODE_VERSION.to_owned(),
        configuration: settings.version().to_string(),
        schemas: codec.fingerprints().map(|(topic, print)| (topic.to_owned(), hex(print))).collect(),
        numerics: numerics::fingerprint(),
    }
}

/// How the settings spread keys.
pub fn partitioner(settings: &Settings) -> Partitioner {
    match settings.topics.partitioner {
        Spread::Murmur2 => Partitioner::Murmur2,
        Spread::Crc32 => Partitioner::Crc32,
        Spread::Unchecked => Partitioner::Unchecked,
    }
}

fn hold(settings: &Settings, listed: &Listed) -> HoldParameters {
    let topics = listed.inputs.iter().filter(|topic| settings.dead_letters.holds(topic));
    HoldParameters {
        topics: topics.map(|topic| TopicName::from(*topic)).collect(),
        most: settings.dead_letters.max_held_keys as usize,
    }
}

fn breaker(settings: &Settings) -> BreakerParameters {
    let breaker = &settings.breaker;
    BreakerParameters {
        window: breaker.window,
        minimum_calls: breaker.minimum_calls,
        failure_rate: breaker.failure_rate,
        wait: breaker.wait,
        permitted: breaker.permitted,
        probe_limit: breaker.probe_limit,
    }
}

fn runtime(settings: &Settings) -> RuntimeParameters {
    let runtime = &settings.runtime;
    RuntimeParameters {
        tape_clock: runtime.clock == Clock::Tape,
        max_records: runtime.max_records as usize,
        max_bytes: runtime.max_bytes as usize,
        linger: runtime.linger,
        linger_max: runtime.linger_max,
        max_wait: runtime.max_wait,
        max_idle: runtime.max_idle,
        max_carry: runtime.max_carry,
        start: match runtime.start {
            Start::Earliest => StartAt::Earliest,
            Start::Latest => StartAt::Latest,
            Start::At(micros) => StartAt::Time(Time(micros)),
        },
        snapshot_rounds: u32::try_from(runtime.snapshot_rounds).unwrap_or(u32::MAX),
        snapshot_every: runtime.snapshot_every,
        anchor_every: runtime.anchor_every,
        session: runtime.session,
        // A lane's records are about 256 B; all lanes of a task together stay within the bound.
        lane_records: (runtime.fetch_bytes / 256 / 16).clamp(1_000, 100_000) as usize,
        admin: Some(runtime.admin.clone()),
    }
}
