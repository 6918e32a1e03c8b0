//! One task's outputs as they stand in the log, read along with the rerun that makes them again.
//!
//! A task writes its steps in order, so in each output partition its records rise by step and index. Each
//! partition is read once, forward, with a bounded number of digests held.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{Batch, Log, LogError, OutRecord, Polled, Reader, RecordRef, TopicPartition};
use tapewatch_schemas::Digest;
use tapewatch_schemas::catalogue::{HEARTBEATS, WORKERS};

use crate::outbox::{DETECTED, FROM};

/// So many of one partition are held before its reading pauses.
const HIGH: usize = 20_000;

/// Step and index.
pub(super) type Place = (i64, i64);

/// An output as it stands in the log: 56 bytes.
struct Stored {
    place: Place,
    offset: i64,
    digest: Digest,
}

#[derive(Default)]
struct Lane {
    held: VecDeque<Stored>,
    earliest: i64,
    read_to: i64,
    end: i64,
    paused: bool,
    /// True once one of the task's records was compared.
    begun: bool,
}

/// Outputs of one task.
pub(super) struct Outputs {
    log: Arc<dyn Log>,
    reader: Box<dyn Reader>,
    worker: String,
    partition: i32,
    tasks: i32,
    lanes: BTreeMap<TopicPartition, Lane>,
    /// Earlier steps are not looked at.
    floor: i64,
    /// Records in topics of workers alone that no worker wrote.
    foreign: Vec<String>,
}

/// How an output compares.
pub(super) enum Compared {
    /// Byte for byte.
    Same,
    /// Not what it was.
    Differs(String),
    /// The log no longer reaches so far back.
    Gone(TopicPartition),
}

impl Outputs {
    /// Opens the partitions that a worker writes, up to their ends as they are now.
    pub(super) fn open(
        log: &Arc<dyn Log>,
        worker: &str,
        partition: i32,
        tasks: i32,
        targets: impl Iterator<Item = TopicPartition>,
    ) -> Result<Self, LogError> {
        let mut reader = log.reader()?;
        let mut lanes = BTreeMap::new();
        for at in targets {
            let bounds = log.bounds(&at)?;
            reader.assign(&[(at.clone(), bounds.earliest)])?;
            let (earliest, end) = (bounds.earliest, bounds.end);
            lanes.insert(at, Lane { earliest, read_to: earliest, end, ..Lane::default() });
        }
        let worker = worker.to_owned();
        let log = Arc::clone(log);
        Ok(Self { log, reader, worker, partition, tasks, lanes, floor: 0, foreign: Vec::new() })
    }

    /// Outputs of earlier steps are passed over from now on.
    pub(super) fn begin_at(&mut self, step: i64) {
        self.floor = step;
    }

    /// Compares an output with the one in the log. Gives what stands before it without a reason, too.
    pub(super) fn compare(&mut self, output: &OutRecord) -> Result<(Compared, Vec<String>), LogError> {
        let mut extra = Vec::new();
        let at = &output.target;
        let Some(place) = place_of(output) else {
            return Ok((Compared::Differs(format!("{at}: an output does not say where it is from")), extra));
        };
        loop {
            self.fill(at, 2)?;
            let lane = self.lanes.entry(at.clone()).or_default();
            let Some(found) = lane.held.front() else {
                return Ok((missing(lane, at, place), extra));
            };
            let stray = lane.held.get(1).is_some_and(|next| next.place <= place);
            if found.place == place {
                let same = found.digest == digest_of(output);
                let offset = found.offset;
                lane.held.pop_front();
                lane.begun = true;
                let compared =
                    if same { Compared::Same } else { Compared::Differs(changed(at, offset, place)) };
                return Ok((compared, extra));
            }
            if found.place > place && !stray {
                return Ok((missing(lane, at, place), extra));
            }
            if found.place.0 >= self.floor {
                extra.push(unaccounted(at, found));
            }
            lane.held.pop_front();
        }
    }

    /// What is left once the journal has ended: nobody accounts for it. At most `most` are told.
    pub(super) fn leftovers(&mut self, most: usize) -> Result<Vec<String>, LogError> {
        let targets: Vec<TopicPartition> = self.lanes.keys().cloned().collect();
        let mut left = Vec::new();
        for at in targets {
            while left.len() < most {
                self.fill(&at, 1)?;
                let lane = self.lanes.get_mut(&at).expect("its keys were just listed");
                let Some(found) = lane.held.pop_front() else { break };
                if found.place.0 >= self.floor {
                    left.push(unaccounted(&at, &found));
                }
            }
        }
        left.append(&mut self.foreign);
        Ok(left)
    }

    /// True if an output of this step or a later one is in the log.
    pub(super) fn reach(&mut self, step: i64) -> Result<bool, LogError> {
        let targets: Vec<TopicPartition> = self.lanes.keys().cloned().collect();
        for at in targets {
            self.fill(&at, 1)?;
            if self.lanes[&at].held.front().is_some_and(|found| found.place.0 >= step) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads until `count` of the task's records of a partition are held, or it is read to its end.
    fn fill(&mut self, at: &TopicPartition, count: usize) -> Result<(), LogError> {
        let mut heard = Instant::now();
        loop {
            let Some(lane) = self.lanes.get_mut(at) else { return Ok(()) };
            if lane.held.len() >= count || lane.read_to >= lane.end {
                return Ok(());
            }
            if std::mem::take(&mut lane.paused) {
                self.reader.resume(std::slice::from_ref(at))?;
            }
            match self.reader.poll(Duration::from_millis(20))? {
                Polled::Batch(batch) => {
                    self.hold(&batch)?;
                    heard = Instant::now();
                }
                Polled::End { at, position } => {
                    if let Some(lane) = self.lanes.get_mut(&at) {
                        lane.read_to = lane.read_to.max(position);
                    }
                }
                _ if heard.elapsed() > Duration::from_secs(30) => {
                    return Err(LogError::Backend {
                        log: self.log.address().to_owned(),
                        doing: format!("reading {at}"),
                        why: "nothing came for 30 s".into(),
                    });
                }
                _ => {}
            }
        }
    }

    fn hold(&mut self, batch: &Batch) -> Result<(), LogError> {
        let at = batch.source();
        let Some(lane) = self.lanes.get_mut(at) else { return Ok(()) };
        for record in batch.iter() {
            if record.offset >= lane.end {
                break;
            }
            match origin(&record) {
                Some((worker, task, place)) if worker == self.worker && task == self.partition => {
                    lane.held.push_back(Stored {
                        place,
                        offset: record.offset,
                        digest: stored_digest(&record),
                    });
                }
                Some((worker, task, _)) if known(worker, task, &self.worker, self.tasks) => {}
                None if at.topic.as_str() == HEARTBEATS => {}
                _ if at.partition.rem_euclid(self.tasks) == self.partition && self.foreign.len() < 10 => {
                    self.foreign.push(format!("{at} offset {}: no worker wrote it", record.offset));
                }
                _ => {}
            }
        }
        if let Some(last) = batch.len().checked_sub(1) {
            lane.read_to = batch.record(last).offset + 1;
        }
        if lane.held.len() > HIGH && !lane.paused {
            lane.paused = true;
            self.reader.pause(std::slice::from_ref(at))?;
        }
        Ok(())
    }
}

fn known(worker: &str, task: i32, own: &str, tasks: i32) -> bool {
    if worker == own {
        (0..tasks).contains(&task)
    } else {
        WORKERS.iter().any(|listed| listed.name == worker)
    }
}

fn missing(lane: &Lane, at: &TopicPartition, (step, index): Place) -> Compared {
    if lane.earliest > 0 && !lane.begun {
        return Compared::Gone(at.clone());
    }
    Compared::Differs(format!("{at}: the output of step {step} index {index} is missing"))
}

fn changed(at: &TopicPartition, offset: i64, (step, index): Place) -> String {
    format!("{at} offset {offset}: the output of step {step} index {index} is not what the journal gives")
}

fn unaccounted(at: &TopicPartition, stored: &Stored) -> String {
    let (step, index) = stored.place;
    format!("{at} offset {}: no journal record accounts for it (step {step} index {index})", stored.offset)
}

/// Worker, task, and place of a record that a worker wrote.
fn origin<'a>(record: &RecordRef<'a>) -> Option<(&'a str, i32, Place)> {
    read(std::str::from_utf8(record.headers.get(FROM)?).ok()?)
}

fn read(from: &str) -> Option<(&str, i32, Place)> {
    let mut parts = from.split('/');
    let worker = parts.next()?;
    let task = parts.next()?.parse().ok()?;
    let place = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some((worker, task, place))
}

fn place_of(output: &OutRecord) -> Option<Place> {
    let (_, value) = output.headers.iter().find(|(name, _)| name == FROM)?;
    read(std::str::from_utf8(value).ok()?).map(|(_, _, place)| place)
}

fn stored_digest(record: &RecordRef<'_>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    fold(&mut hasher, record.key, record.value);
    // The wall's time is no part of what a replay gives again.
    let deterministic = record.headers.iter().filter(|(name, _)| *name != DETECTED);
    deterministic.for_each(|(name, value)| fold(&mut hasher, Some(name.as_bytes()), Some(value)));
    hasher.finalize().into()
}

fn digest_of(record: &OutRecord) -> Digest {
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
