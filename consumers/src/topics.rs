//! The topics of a log: made if they are missing, checked before a worker starts and while it runs.

use std::collections::BTreeMap;

use tapewatch_config::Settings;
use tapewatch_eventlog::{Log, LogError, TopicInfo, TopicSpec};
use tapewatch_schemas::TopicName;
use tapewatch_schemas::catalogue::worker;

use crate::workers::topic_specs;

/// Why a log's topics cannot be worked with.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TopicsError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Topics have other partition counts than the settings say.
    #[error(
        "topics of {log} have another partition count than topics.partitions = {wanted} gives: {differing}. \
         Set topics.partitions to what is there (keys would change their partitions), or take a fresh log"
    )]
    Counts {
        /// The log's address.
        log: String,
        /// The setting.
        wanted: u32,
        /// Each topic with its count and the expected one.
        differing: String,
    },
    /// The inputs of a worker that must be cut alike are not.
    #[error(
        "{worker}: the inputs that are cut by portfolio must have the same number of partitions, on {log} \
         they have: {found}. One portfolio's events would be in different tasks: create the topics alike"
    )]
    Unequal {
        /// The worker.
        worker: String,
        /// The log's address.
        log: String,
        /// Each topic with its count.
        found: String,
    },
    /// A count changed under a running worker.
    #[error(
        "{topic}: its partition count changed from {before} to {now} while the worker was running. Keys have \
         changed their partitions: stop its producers, and carry on with a fresh log"
    )]
    Changed {
        /// The topic.
        topic: TopicName,
        /// Partitions when the worker started.
        before: i32,
        /// Partitions now; 0 if the topic is gone.
        now: i32,
    },
}

/// Partitions by topic.
pub type Counts = BTreeMap<TopicName, i32>;

/// Checks the topics that this release needs, and creates those that are missing if `create` is set.
///
/// # Errors
/// [`TopicsError`]; nothing was created if a topic that is there has another partition count.
pub fn prepare(settings: &Settings, log: &dyn Log, create: bool) -> Result<(), TopicsError> {
    let specs = topic_specs(settings);
    let there = counts(log)?;
    differing(&specs, &there, settings, log)?;
    let missing: Vec<TopicSpec> = specs.into_iter().filter(|spec| !there.contains_key(&spec.name)).collect();
    match missing.first() {
        None => Ok(()),
        Some(_) if create => {
            tracing::info!(
                log = log.address(),
                topics = missing.len(),
                "creating the topics that are missing"
            );
            Ok(log.create(&missing)?)
        }
        Some(first) => {
            let (topic, log) = (first.name.to_string(), log.address().to_owned());
            Err(LogError::NoTopic { topic, log }.into())
        }
    }
}

fn differing(
    specs: &[TopicSpec],
    there: &Counts,
    settings: &Settings,
    log: &dyn Log,
) -> Result<(), TopicsError> {
    let differing: Vec<String> = specs
        .iter()
        .filter_map(|spec| there.get(&spec.name).map(|found| (spec, *found)))
        .filter(|(spec, found)| spec.partitions != *found)
        .map(|(spec, found)| format!("{} has {found}, not {}", spec.name, spec.partitions))
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    let (log, differing) = (log.address().to_owned(), differing.join("; "));
    Err(TopicsError::Counts { log, wanted: settings.topics.partitions, differing })
}

/// The partition counts of everything that a worker reads and writes, its co-partitioned inputs checked.
///
/// # Errors
/// [`LogError::NoTopic`], or [`TopicsError::Unequal`].
///
/// # Panics
/// If the catalogue knows no such worker.
pub fn of_worker(name: &str, log: &dyn Log) -> Result<Counts, TopicsError> {
    let listed = worker(name).expect("the catalogue lists every worker");
    let all = counts(log)?;
    let mut found = Counts::new();
    let inputs = listed.own_inputs();
    let outputs = listed.outputs.iter().map(|topic| TopicName::from(*topic));
    for topic in inputs.iter().cloned().chain(listed.broadcast_inputs()).chain(outputs) {
        let Some(count) = all.get(&topic) else {
            let (topic, log) = (topic.to_string(), log.address().to_owned());
            return Err(LogError::NoTopic { topic, log }.into());
        };
        found.insert(topic, *count);
    }
    let own: Vec<(&str, i32)> = inputs.iter().map(|topic| (topic.as_str(), found[topic])).collect();
    if own.iter().any(|(_, count)| *count != own[0].1) {
        let shown: Vec<String> = own.iter().map(|(topic, count)| format!("{topic} {count}")).collect();
        let log = log.address().to_owned();
        return Err(TopicsError::Unequal { worker: name.to_owned(), log, found: shown.join(", ") });
    }
    Ok(found)
}

/// Checks that no count has changed.
///
/// # Errors
/// [`TopicsError::Changed`], or that the log does not answer.
pub fn unchanged(before: &Counts, log: &dyn Log) -> Result<(), TopicsError> {
    let all = counts(log)?;
    for (topic, count) in before {
        let now = all.get(topic).copied().unwrap_or(0);
        if now != *count {
            return Err(TopicsError::Changed { topic: topic.clone(), before: *count, now });
        }
    }
    Ok(())
}

fn counts(log: &dyn Log) -> Result<Counts, LogError> {
    Ok(log.topics()?.into_iter().map(|TopicInfo { name, partitions }| (name, partitions)).collect())
}

#[cfg(test)]
mod tests {
    use tapewatch_eventlog::{OpenOptions, open};
    use tapewatch_schemas::catalogue::{ACCOUNTS, EXEC_REPORTS, RISK};

    use super::*;

    fn settings(partitions: u32) -> Settings {
        let mut settings = Settings::defaults();
        settings.topics.partitions = partitions;
        settings
    }

    fn spec(name: &str, partitions: i32) -> TopicSpec {
        TopicSpec { name: name.into(), partitions, replication: 1, retention: None, compacted: false }
    }

    #[test]
    fn missing_topics_are_made_only_if_allowed() {
        let log = open("sqlite::memory:", &OpenOptions::default()).unwrap();
        let refused = prepare(&settings(3), &*log, false).unwrap_err();
        assert!(matches!(refused, TopicsError::Log(LogError::NoTopic { .. })), "{refused}");
        prepare(&settings(3), &*log, true).unwrap();
        prepare(&settings(3), &*log, false).unwrap();
        assert_eq!(of_worker(RISK, &*log).unwrap()[EXEC_REPORTS], 3);
    }

    #[test]
    fn another_count_is_an_error_that_names_the_topics() {
        let log = open("sqlite::memory:", &OpenOptions::default()).unwrap();
        prepare(&settings(3), &*log, true).unwrap();
        let text = prepare(&settings(4), &*log, true).unwrap_err().to_string();
        assert!(text.contains("accounts.v1 has 3, not 4"), "{text}");
        assert!(text.contains("topics.partitions = 4"), "{text}");
    }

    #[test]
    fn inputs_that_are_cut_differently_are_an_error() {
        let log = open("sqlite::memory:", &OpenOptions::default()).unwrap();
        log.create(&[spec(ACCOUNTS, 2)]).unwrap();
        let others: Vec<TopicSpec> =
            topic_specs(&settings(3)).into_iter().filter(|spec| spec.name.as_str() != ACCOUNTS).collect();
        log.create(&others).unwrap();
        let text = of_worker(RISK, &*log).unwrap_err().to_string();
        assert!(text.contains("accounts.v1 2") && text.contains("exec.reports.v1 3"), "{text}");
    }

    #[test]
    fn a_count_that_changes_is_an_error() {
        let log = open("sqlite::memory:", &OpenOptions::default()).unwrap();
        prepare(&settings(3), &*log, true).unwrap();
        let mut before = of_worker(RISK, &*log).unwrap();
        unchanged(&before, &*log).unwrap();
        before.insert(EXEC_REPORTS.into(), 2);
        let text = unchanged(&before, &*log).unwrap_err().to_string();
        assert!(text.contains("exec.reports.v1") && text.contains("from 2 to 3"), "{text}");
    }
}
