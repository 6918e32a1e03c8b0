//! Outputs as they stand in the log, read along with the reruns that make them again.
//!
//! A task writes its steps in order, so in each output partition its records rise by step and index. Each
//! partition is read once for all tasks that are verified together, forward; what is held is a digest of each
//! record between the task that is furthest and the one that is furthest behind.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{Batch, Log, LogError, OutRecord, Polled, Reader, RecordRef, TopicPartition};
use tapewatch_schemas::Digest;
use tapewatch_schemas::catalogue::{HEARTBEATS, WORKERS};

use crate::outbox::{DETECTED, FROM};

/// So many of one partition are held before its reading pauses, unless a task waits for one.
const HIGH: usize = 2_000;

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
    /// By task.
    held: BTreeMap<i32, VecDeque<Stored>>,
    count: usize,
    earliest: i64,
    read_to: i64,
    end: i64,
    paused: bool,
    /// The tasks of which a record was compared.
    begun: BTreeSet<i32>,
}

/// Outputs of a worker's tasks.
pub(super) struct Outputs {
    log: Arc<dyn Log>,
    reader: Box<dyn Reader>,
    worker: String,
    /// How many tasks the worker has.
    tasks: i32,
    /// Of the tasks that are looked at: steps before this are not.
    floors: BTreeMap<i32, i64>,
    lanes: BTreeMap<TopicPartition, Lane>,
    /// Records in topics of workers alone that no worker wrote, with the task that tells of them.
    foreign: Vec<(i32, String)>,
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
    /// Opens the partitions that a worker writes, up to their ends as they are now, for these of its tasks.
    pub(super) fn open(
        log: &Arc<dyn Log>,
        worker: &str,
        (of, tasks): (&[i32], i32),
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
        let (worker, log) = (worker.to_owned(), Arc::clone(log));
        let floors = of.iter().map(|task| (*task, 0)).collect();
        Ok(Self { log, reader, worker, tasks, floors, lanes, foreign: Vec::new() })
    }

    /// Outputs of a task's earlier steps are passed over from now on.
    pub(super) fn begin_at(&mut self, task: i32, step: i64) {
        self.floors.insert(task, step);
    }

    fn floor(&self, task: i32) -> i64 {
        self.floors.get(&task).copied().unwrap_or(0)
    }

    /// Compares an output with the one in the log. Gives what stands before it without a reason, too.
    pub(super) fn compare(
        &mut self,
        task: i32,
        output: &OutRecord,
    ) -> Result<(Compared, Vec<String>), LogError> {
        let mut extra = Vec::new();
        let at = &output.target;
        let Some(place) = place_of(output) else {
            return Ok((Compared::Differs(format!("{at}: an output does not say where it is from")), extra));
        };
        let floor = self.floor(task);
        loop {
            self.fill(at, task, 1)?;
            let lane = self.lanes.entry(at.clone()).or_default();
            let Some(found) = lane.first(task) else {
                return Ok((missing(lane, task, at, place), extra));
            };
            if found.place == place {
                let same = found.digest == digest_of(output);
                let offset = found.offset;
                lane.pop(task);
                lane.begun.insert(task);
                let compared =
                    if same { Compared::Same } else { Compared::Differs(changed(at, offset, place)) };
                return Ok((compared, extra));
            }
            if found.place > place {
                // It may be a stray that stands too early: then the one behind it is ours, or before it.
                self.fill(at, task, 2)?;
                let lane = self.lanes.entry(at.clone()).or_default();
                let behind = lane.held.get(&task).and_then(|held| held.get(1));
                if behind.is_none_or(|next| next.place > place) {
                    return Ok((missing(lane, task, at, place), extra));
                }
            }
            let lane = self.lanes.entry(at.clone()).or_default();
            let Some(found) = lane.pop(task) else { continue };
            if found.place.0 >= floor {
                extra.push(unaccounted(at, &found));
            }
        }
    }

    /// True if an output of this step of a task stands in a partition and was not asked for yet. Steps must
    /// not be asked for again once a later one was.
    pub(super) fn stands(&mut self, task: i32, at: &TopicPartition, step: i64) -> Result<bool, LogError> {
        loop {
            self.fill(at, task, 1)?;
            let Some(lane) = self.lanes.get_mut(at) else { return Ok(false) };
            match lane.first(task).map(|found| found.place.0) {
                None => return Ok(false),
                Some(found) if found > step => return Ok(false),
                Some(found) => {
                    lane.pop(task);
                    if found == step {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// What is left of a task once its journal has ended: nobody accounts for it. At most `most` are told.
    pub(super) fn leftovers(&mut self, task: i32, most: usize) -> Result<Vec<String>, LogError> {
        let floor = self.floor(task);
        let targets: Vec<TopicPartition> = self.lanes.keys().cloned().collect();
        let mut left = Vec::new();
        for at in targets {
            while left.len() < most {
                self.fill(&at, task, 1)?;
                let lane = self.lanes.get_mut(&at).expect("its keys were just listed");
                let Some(found) = lane.pop(task) else { break };
                if found.place.0 >= floor {
                    left.push(unaccounted(&at, &found));
                }
            }
        }
        let own = |(of, _): &mut (i32, String)| *of == task;
        left.extend(self.foreign.extract_if(.., own).map(|(_, what)| what));
        Ok(left)
    }

    /// True if an output of a task of this step or a later one is in the log.
    pub(super) fn reach(&mut self, task: i32, step: i64) -> Result<bool, LogError> {
        let targets: Vec<TopicPartition> = self.lanes.keys().cloned().collect();
        for at in targets {
            self.fill(&at, task, 1)?;
            if self.lanes[&at].first(task).is_some_and(|found| found.place.0 >= step) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads until `count` of a task's records of a partition are held, or it is read to its end.
    fn fill(&mut self, at: &TopicPartition, task: i32, count: usize) -> Result<(), LogError> {
        let mut heard = Instant::now();
        loop {
            let Some(lane) = self.lanes.get_mut(at) else { return Ok(()) };
            let held = lane.held.get(&task).map_or(0, VecDeque::len);
            if held >= count || lane.read_to >= lane.end {
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
            match written_by(&record) {
                Some((worker, task, place)) if worker == self.worker && (0..self.tasks).contains(&task) => {
                    if self.floors.contains_key(&task) {
                        let (offset, digest) = (record.offset, stored_digest(&record));
                        lane.held.entry(task).or_default().push_back(Stored { place, offset, digest });
                        lane.count += 1;
                    }
                }
                Some((worker, ..)) if worker != self.worker && is_listed(worker) => {}
                None if at.topic.as_str() == HEARTBEATS => {}
                _ => {
                    let tells = at.partition.rem_euclid(self.tasks);
                    let told = self.foreign.iter().filter(|(task, _)| *task == tells).count();
                    if self.floors.contains_key(&tells) && told < 10 {
                        let what = format!("{at} offset {}: no worker wrote it", record.offset);
                        self.foreign.push((tells, what));
                    }
                }
            }
        }
        if let Some(last) = batch.len().checked_sub(1) {
            lane.read_to = batch.record(last).offset + 1;
        }
        if lane.count > HIGH && !lane.paused {
            lane.paused = true;
            self.reader.pause(std::slice::from_ref(at))?;
        }
        Ok(())
    }
}

impl Lane {
    fn first(&self, task: i32) -> Option<&Stored> {
        self.held.get(&task)?.front()
    }

    fn pop(&mut self, task: i32) -> Option<Stored> {
        let found = self.held.get_mut(&task)?.pop_front()?;
        self.count -= 1;
        Some(found)
    }
}

fn is_listed(worker: &str) -> bool {
    WORKERS.iter().any(|listed| listed.name == worker)
}

fn missing(lane: &Lane, task: i32, at: &TopicPartition, (step, index): Place) -> Compared {
    if lane.earliest > 0 && !lane.begun.contains(&task) {
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
pub(in crate::replay) fn written_by<'a>(record: &RecordRef<'a>) -> Option<(&'a str, i32, Place)> {
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
