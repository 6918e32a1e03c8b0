//! `replay --verify`: rebuilds a worker's outputs from its journal and compares every byte with the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use tapewatch_eventlog::{Log, LogError, OutRecord, RecordRef, TopicPartition};
use tapewatch_schemas::catalogue::{anchors_topic, journal_topic, state_topic};
use tapewatch_schemas::journal::{JournalError, JournalRecord};
use tapewatch_schemas::{Digest, Time, TopicName};

use crate::feed::Feed;
use crate::outbox::FROM;
use crate::plan::WorkerPlan;
use crate::rerun::{Rerun, RerunError};
use crate::restore::digest_of;
use crate::scan::Scanner;
use crate::snapshot::{Collector, Manifest, SavedTask};

/// Which part of a journal to verify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Begin at the last anchor whose clock is at or before this.
    pub from: Option<Time>,
    /// End with the last round that began at or before this, by the task's clock.
    pub to: Option<Time>,
}

/// What was found about one task.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The worker.
    pub worker: String,
    /// The task.
    pub partition: i32,
    /// Journal records that were run again.
    pub records: u64,
    /// Input records that were run again.
    pub inputs: u64,
    /// Outputs that are byte for byte what is in the log.
    pub outputs: u64,
    /// Snapshots and anchors whose state is the one that was reached.
    pub states: u64,
    /// What differs, the first first.
    pub differs: Vec<Finding>,
    /// What could not be verified, and why.
    pub unverifiable: Vec<String>,
}

/// One difference, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The journal record's sequence number; none where it is not about one.
    pub sequence: Option<i64>,
    /// What is not as it was, with topic, partition and offset where there is one.
    pub what: String,
}

/// Verifies tasks of one worker.
pub struct Verifier<'a> {
    plan: &'a WorkerPlan,
    scanner: Scanner,
    feed: Feed,
    range: Range,
}

/// An output as it stands in the log.
struct Stored {
    target: TopicPartition,
    offset: i64,
    digest: Digest,
}

impl<'a> Verifier<'a> {
    /// A verifier that reads a log and never writes to it.
    pub fn new(plan: &'a WorkerPlan, log: Arc<dyn Log>, range: Range) -> Result<Self, LogError> {
        let scanner = Scanner::new(Arc::clone(&log))?;
        let feed = Feed::new(log, plan.inspector.clone())?;
        Ok(Self { plan, scanner, feed, range })
    }

    /// Verifies the task `partition`. `progress` is told after every journal record how many of how many
    /// are done.
    pub fn verify(&mut self, partition: i32, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, LogError> {
        let worker = self.plan.worker.to_string();
        let mut report = Report { worker, partition, ..Report::default() };
        let anchors = self.states(anchors_topic(self.plan.worker.as_str()), partition, &mut report)?;
        let snapshots = self.states(state_topic(self.plan.worker.as_str()), partition, &mut report)?;
        let journal = self.journal(partition, &mut report)?;
        let Some((mut rerun, skip)) = self.begin(partition, &anchors, &mut report) else {
            return Ok(report);
        };
        let mut stored = self.outputs(partition)?;
        let total = journal.len().saturating_sub(skip) as u64;
        let own = self.plan.epoch.digest();
        let before: i64 = journal.iter().take(skip).map(|record| record.steps).sum();
        if skip > 0 {
            stored.retain(|(step, _), _| *step >= before);
        }
        let mut complete = true;
        for record in &journal[skip.min(journal.len())..] {
            if let (Some(to), Some(core)) = (self.range.to, rerun.core())
                && core.clock() > to
            {
                complete = false;
                break;
            }
            if record.epoch != own {
                report.unverifiable.push(self.other_epoch(record, &journal));
                complete = false;
                break;
            }
            match rerun.run(record, &mut self.feed, true) {
                Ok(outputs) => {
                    let first = record.first_step;
                    report.outputs +=
                        compare(&outputs, first, record.sequence, &mut stored, &mut report.differs);
                }
                Err(RerunError::Feed(why)) => {
                    report.unverifiable.push(format!("from sequence {}: {why}", record.sequence));
                    complete = false;
                    break;
                }
                Err(RerunError::Differs(why)) => {
                    report.differs.push(Finding { sequence: Some(record.sequence), what: why.to_string() });
                    complete = false;
                    break;
                }
            }
            report.records += 1;
            report.inputs += record.inputs.iter().map(|range| range.count as u64).sum::<u64>();
            check_states(&anchors, "anchor", &rerun, record, &mut report);
            check_states(&snapshots, "snapshot", &rerun, record, &mut report);
            progress(report.records, total);
        }
        if complete {
            for (_, left) in stored {
                report.differs.push(Finding {
                    sequence: None,
                    what: format!(
                        "{} offset {}: no journal record accounts for it",
                        left.target, left.offset
                    ),
                });
            }
        }
        Ok(report)
    }

    fn other_epoch(&self, record: &JournalRecord, journal: &[JournalRecord]) -> String {
        let opened = journal.iter().rev().find_map(|earlier| {
            earlier
                .opens
                .as_ref()
                .filter(|_| earlier.sequence <= record.sequence && earlier.epoch == record.epoch)
        });
        let own = &self.plan.epoch;
        match opened {
            Some(epoch) if epoch.code != own.code => format!(
                "from sequence {}: written by code version {}, this is {}: replay it with that version",
                record.sequence, epoch.code, own.code
            ),
            Some(epoch) if epoch.configuration != own.configuration => format!(
                "from sequence {}: written under configuration {}, this is {}: replay it with that configuration",
                record.sequence, epoch.configuration, own.configuration
            ),
            Some(_) => format!("from sequence {}: written with other schemas or numerics", record.sequence),
            None => format!("from sequence {}: written in an epoch that no record opens", record.sequence),
        }
    }

    fn journal(&mut self, partition: i32, report: &mut Report) -> Result<Vec<JournalRecord>, LogError> {
        let at = TopicPartition::new(journal_topic(self.plan.worker.as_str()), partition);
        let mut journal: Vec<JournalRecord> = Vec::new();
        let mut broken = false;
        let differs = &mut report.differs;
        self.scanner.scan::<LogError>(&at, 0, |record| {
            match JournalRecord::open(record.value.unwrap_or_default()) {
                Ok(opened) if !broken => journal.push(opened),
                Ok(_) => {}
                Err(why) => {
                    broken = true;
                    differs.push(journal_finding(&at, record.offset, journal.last(), &why));
                }
            }
            Ok(())
        })?;
        Ok(journal)
    }

    fn states(
        &mut self,
        topic: TopicName,
        partition: i32,
        report: &mut Report,
    ) -> Result<Collector, LogError> {
        let at = TopicPartition::new(topic, partition);
        let mut states = Collector::default();
        self.scanner.scan::<LogError>(&at, 0, |record| {
            let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
            if let Err(why) = states.add(key, value) {
                let what = format!("{at} offset {}: {why}", record.offset);
                report.differs.push(Finding { sequence: None, what });
            }
            Ok(())
        })?;
        Ok(states)
    }

    /// Where to begin: before the first record, or at an anchor. Gives how many records stand before it.
    fn begin(&self, partition: i32, anchors: &Collector, report: &mut Report) -> Option<(Rerun, usize)> {
        let blueprint = self.plan.blueprint.clone();
        let Some(from) = self.range.from else {
            return Some((Rerun::from_genesis(blueprint, partition), 0));
        };
        let own = self.plan.epoch.digest().to_string();
        let usable = |manifest: &Manifest| manifest.clock <= from.micros() && manifest.epoch == own;
        let Some((prefix, manifest)) = anchors.manifests().rev().find(|(_, manifest)| usable(manifest))
        else {
            return Some((Rerun::from_genesis(blueprint, partition), 0));
        };
        let state = anchors.state(prefix, manifest).and_then(|bytes| SavedTask::decode(&bytes));
        let rerun = state.map_err(|why| why.to_string()).and_then(|saved| {
            let hash = digest_of(&manifest.hash)?;
            Rerun::from_saved(blueprint, &saved, manifest.sequence, hash).map_err(|why| why.to_string())
        });
        match rerun {
            Ok(rerun) => Some((rerun, usize::try_from(manifest.sequence + 1).unwrap_or(0))),
            Err(why) => {
                let what = format!("the anchor after sequence {} cannot be used: {why}", manifest.sequence);
                report.differs.push(Finding { sequence: Some(manifest.sequence), what });
                None
            }
        }
    }

    /// Every output of the task in the log, by step and index.
    fn outputs(&mut self, partition: i32) -> Result<BTreeMap<(i64, i64), Stored>, LogError> {
        let mut stored = BTreeMap::new();
        let prefix = format!("{}/{partition}/", self.plan.worker);
        for (topic, partitions) in &self.plan.blueprint.routing.partitions {
            for number in 0..*partitions {
                let at = TopicPartition::new(topic.clone(), number as i32);
                self.scanner.scan::<LogError>(&at, 0, |record| {
                    if let Some(place) = place(record, &prefix) {
                        let digest = stored_digest(record);
                        stored.insert(place, Stored { target: at.clone(), offset: record.offset, digest });
                    }
                    Ok(())
                })?;
            }
        }
        Ok(stored)
    }
}

fn journal_finding(
    at: &TopicPartition,
    offset: i64,
    last: Option<&JournalRecord>,
    why: &JournalError,
) -> Finding {
    let sequence = last.map_or(0, |record| record.sequence + 1);
    Finding { sequence: Some(sequence), what: format!("{at} offset {offset}: journal record: {why}") }
}

/// Step and index of a record of this task.
fn place(record: &RecordRef<'_>, prefix: &str) -> Option<(i64, i64)> {
    let from = std::str::from_utf8(record.headers.get(FROM)?).ok()?;
    let (step, index) = from.strip_prefix(prefix)?.split_once('/')?;
    Some((step.parse().ok()?, index.parse().ok()?))
}

fn stored_digest(record: &RecordRef<'_>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    fold(&mut hasher, record.key, record.value);
    record.headers.iter().for_each(|(name, value)| fold(&mut hasher, Some(name.as_bytes()), Some(value)));
    hasher.finalize().into()
}

fn expected_digest(record: &OutRecord) -> Digest {
    let mut hasher = blake3::Hasher::new();
    fold(&mut hasher, record.key.as_deref(), record.value.as_deref());
    record.headers.iter().for_each(|(name, value)| fold(&mut hasher, Some(name.as_bytes()), Some(value)));
    hasher.finalize().into()
}

fn fold(hasher: &mut blake3::Hasher, a: Option<&[u8]>, b: Option<&[u8]>) {
    for part in [a, b] {
        hasher.update(&part.map_or(u64::MAX, |bytes| bytes.len() as u64).to_le_bytes());
        hasher.update(part.unwrap_or_default());
    }
}

/// Compares a round's outputs with those in the log, and takes them off the list. Gives how many agree.
fn compare(
    outputs: &[OutRecord],
    first_step: i64,
    sequence: i64,
    stored: &mut BTreeMap<(i64, i64), Stored>,
    differs: &mut Vec<Finding>,
) -> u64 {
    let mut agree = 0;
    for output in outputs {
        let from = output.headers.iter().find(|(name, _)| name == FROM).map(|(_, value)| value);
        let place = from.and_then(|value| {
            let mut parts = std::str::from_utf8(value).ok()?.rsplitn(3, '/');
            let index: i64 = parts.next()?.parse().ok()?;
            Some((parts.next()?.parse::<i64>().ok()?, index))
        });
        let place = place.unwrap_or((first_step, 0));
        match stored.remove(&place) {
            Some(found) if found.target == output.target && found.digest == expected_digest(output) => {
                agree += 1
            }
            Some(found) => differs.push(Finding {
                sequence: Some(sequence),
                what: format!(
                    "{} offset {}: the output of step {} index {} is not what the journal gives",
                    found.target, found.offset, place.0, place.1
                ),
            }),
            None => differs.push(Finding {
                sequence: Some(sequence),
                what: format!(
                    "{}: the output of step {} index {} is missing",
                    output.target, place.0, place.1
                ),
            }),
        }
    }
    agree
}

/// Compares the states that stand after this record with the one that was reached.
fn check_states(states: &Collector, kind: &str, rerun: &Rerun, record: &JournalRecord, report: &mut Report) {
    for (prefix, manifest) in states.manifests().filter(|(_, manifest)| manifest.sequence == record.sequence)
    {
        let expected = rerun.save().map(|saved| saved.encode());
        let problem = match states.state(prefix, manifest) {
            Err(why) => Some(why.to_string()),
            Ok(_) if manifest.hash != record.hash.to_string() => Some(format!(
                "its manifest names journal hash {}, the record has {}",
                manifest.hash, record.hash
            )),
            Ok(bytes) if Some(&bytes) != expected.as_ref() => {
                Some("its state is not the one that the journal gives".to_owned())
            }
            Ok(_) => None,
        };
        match problem {
            None => report.states += 1,
            Some(why) => {
                let what = format!("the {kind} after it: {why}");
                report.differs.push(Finding { sequence: Some(record.sequence), what });
            }
        }
    }
}
