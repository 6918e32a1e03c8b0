//! The verification of one task, from its first journal record (or an anchor) to its last.

use std::collections::BTreeMap;
use std::sync::Arc;

use tapewatch_eventlog::{Log, LogError, OutRecord, TopicPartition};
use tapewatch_schemas::catalogue::{anchors_topic, is_redrive, state_topic};
use tapewatch_schemas::journal::{Epoch, JournalRecord};
use tapewatch_schemas::{Digest, TopicName};

use super::journal::{Entry, Journals};
use super::letters::LetterBook;
use super::outputs::{Compared, Outputs};
use super::states::{Kind, States};
use super::{Gap, MOST_FINDINGS, Range, Report};
use crate::audit::partitions;
use crate::feed::Feed;
use crate::plan::WorkerPlan;
use crate::rerun::{Rerun, RerunError};
use crate::scan::Scanner;
use crate::snapshot::Manifest;

/// What the tasks that are verified together share: each topic is read once for all of them.
pub(super) struct Shared<'a> {
    pub(super) plan: &'a WorkerPlan,
    pub(super) range: Range,
    /// How many tasks the worker has.
    tasks: i32,
    log: Arc<dyn Log>,
    scanner: Scanner,
    pub(super) feed: Feed,
    outputs: Outputs,
    pub(super) journals: Journals,
}

impl<'a> Shared<'a> {
    /// Opens everything for these tasks. What the journals must account for is looked at before their ends
    /// are, by [`Run::begin`].
    pub(super) fn open(
        plan: &'a WorkerPlan,
        log: &Arc<dyn Log>,
        range: Range,
        (of, tasks): (&[i32], i32),
    ) -> Result<Self, LogError> {
        let worker = plan.worker.as_str();
        let targets = plan.blueprint.routing.partitions.iter().flat_map(|(topic, count)| {
            (0..*count as i32).map(|number| TopicPartition::new(topic.clone(), number))
        });
        let shared = if of.len() > 1 { plan.broadcast.clone() } else { Vec::new() };
        Ok(Self {
            plan,
            range,
            tasks,
            scanner: Scanner::new(Arc::clone(log))?,
            feed: Feed::shared(Arc::clone(log), plan.inspector.clone(), shared)?,
            outputs: Outputs::open(log, worker, (of, tasks), targets)?,
            journals: Journals::new(log, worker)?,
            log: Arc::clone(log),
        })
    }
}

/// One task being verified.
pub(super) struct Run {
    partition: i32,
    anchors: States,
    snapshots: States,
    letters: LetterBook,
    /// The task, while its rounds are run again; none while a foreign epoch is passed over.
    rerun: Option<Rerun>,
    /// The link that the next record must have: sequence number and hash of the one before.
    link: Option<(i64, Digest)>,
    /// Where each input stood when the rerun began.
    started: BTreeMap<TopicPartition, i64>,
    epochs: BTreeMap<Digest, Epoch>,
    foreign: Option<Foreign>,
    gone: Vec<TopicPartition>,
    report: Report,
}

/// A run of records that cannot be verified here.
struct Foreign {
    first: i64,
    last: i64,
    why: String,
}

impl Run {
    /// Opens a task.
    pub(super) fn begin(shared: &mut Shared<'_>, partition: i32) -> Result<Self, LogError> {
        let (plan, tasks) = (shared.plan, shared.tasks);
        let worker = plan.worker.as_str();
        let at = |topic| TopicPartition::new(topic, partition);
        let anchors = States::of(&mut shared.scanner, at(anchors_topic(worker)), Kind::Anchor)?;
        let snapshots = States::of(&mut shared.scanner, at(state_topic(worker)), Kind::Snapshot)?;
        // Letters that are nobody's are told once, not again with what comes back.
        let tells = |topic: &TopicName| !is_redrive(topic.as_str());
        let mut sources: Vec<_> = plan.own.iter().map(|topic| (at(topic.clone()), tells(topic))).collect();
        for topic in &plan.broadcast {
            let place = |number: i32| {
                let own = number.rem_euclid(tasks) == partition;
                (TopicPartition::new(topic.clone(), number), own && tells(topic))
            };
            sources.extend((0..partitions(&shared.log, topic)?).map(place));
        }
        let letters = LetterBook::of(&mut shared.scanner, (worker, partition), sources.into_iter())?;
        shared.journals.open(partition, 0)?;
        let report = Report { worker: plan.worker.clone(), partition, ..Report::default() };
        let mut run = Self {
            partition,
            anchors,
            snapshots,
            letters,
            rerun: None,
            link: None,
            started: BTreeMap::new(),
            epochs: BTreeMap::new(),
            foreign: None,
            gone: Vec::new(),
            report,
        };
        run.note_unreadable();
        run.choose_start(shared)?;
        Ok(run)
    }

    /// The inputs that all tasks read.
    pub(super) fn shared_inputs(&self, plan: &WorkerPlan) -> Vec<TopicPartition> {
        let lanes = self.rerun.iter().flat_map(|rerun| rerun.lanes().keys());
        lanes.filter(|at| plan.broadcast.contains(&at.topic)).cloned().collect()
    }

    /// How far the task has read this input; none while it is not run again.
    pub(super) fn position(&self, at: &TopicPartition) -> Option<i64> {
        Some(self.rerun.as_ref()?.lanes().get(at)?.0)
    }

    /// How far the task has read the inputs that all tasks read: the least goes on first.
    pub(super) fn progress(&self, plan: &WorkerPlan) -> i64 {
        let Some(rerun) = &self.rerun else { return i64::MIN };
        let shared = rerun.lanes().iter().filter(|(at, _)| plan.broadcast.contains(&at.topic));
        shared.map(|(_, (position, _))| *position).sum()
    }

    fn note_unreadable(&mut self) {
        let states = [&mut self.anchors, &mut self.snapshots];
        let unreadable: Vec<String> =
            states.into_iter().flat_map(|states| std::mem::take(&mut states.unreadable)).collect();
        let letters = std::mem::take(&mut self.letters.problems);
        unreadable.into_iter().chain(letters).for_each(|what| self.report.differ(None, what));
    }

    /// Before the first record, or at the last anchor that `--from` allows.
    fn choose_start(&mut self, shared: &mut Shared<'_>) -> Result<(), LogError> {
        let own = shared.plan.epoch.digest().to_string();
        let anchor = shared.range.from.and_then(|from| {
            self.anchors.last(|manifest| manifest.clock <= from.micros() && manifest.epoch == own).cloned()
        });
        match anchor {
            Some(manifest) => {
                shared.journals.open(self.partition, manifest.journal_offset)?;
                self.load(shared, &manifest)?;
                if self.rerun.is_some() {
                    self.link = None;
                }
            }
            None if shared.journals.earliest(self.partition) == 0 => {
                let blueprint = shared.plan.blueprint.clone();
                self.start(shared, Rerun::from_genesis(blueprint, self.partition));
            }
            None => {}
        }
        Ok(())
    }

    fn load(&mut self, shared: &mut Shared<'_>, manifest: &Manifest) -> Result<(), LogError> {
        let blueprint = shared.plan.blueprint.clone();
        let loaded = self.anchors.load(&mut shared.scanner, manifest)?.and_then(|(saved, hash)| {
            Rerun::from_saved(blueprint, &saved, manifest.sequence, hash).map_err(|why| why.to_string())
        });
        match loaded {
            Ok(rerun) => self.start(shared, rerun),
            Err(why) => {
                let what = format!("the anchor after it cannot be used: {why}");
                self.report.differ(manifest.sequence, what);
            }
        }
        Ok(())
    }

    fn start(&mut self, shared: &mut Shared<'_>, rerun: Rerun) {
        shared.outputs.begin_at(self.partition, rerun.core().map_or(0, |core| core.step() as i64));
        let positions = rerun.lanes().iter().map(|(at, (position, _))| (at.clone(), *position));
        self.started = positions.collect();
        self.rerun = Some(rerun);
    }

    /// Takes one journal record; or, at the end, looks at what is left then. False once it is done.
    pub(super) fn step(&mut self, shared: &mut Shared<'_>) -> Result<bool, LogError> {
        if let Some(entry) = shared.journals.next(self.partition)? {
            let goes_on = self.take(shared, entry)?;
            if !goes_on {
                self.note_foreign();
            }
            return Ok(goes_on);
        }
        if self.expects_more(shared)? && shared.journals.refresh(self.partition)? {
            return Ok(true);
        }
        self.finish(shared)?;
        Ok(false)
    }

    /// What was found.
    pub(super) fn into_report(self) -> Report {
        self.report
    }

    /// True if something in the log is newer than the journal was when its end was looked at.
    fn expects_more(&self, shared: &mut Shared<'_>) -> Result<bool, LogError> {
        let Some(rerun) = &self.rerun else { return Ok(false) };
        let (sequence, step) = (rerun.sequence, rerun.core().map_or(0, |core| core.step() as i64));
        let states = [&self.anchors, &self.snapshots];
        Ok(states.into_iter().any(|s| s.beyond(sequence).next().is_some())
            || shared.outputs.reach(self.partition, step)?)
    }

    /// Takes one journal record. False if there is no going on.
    fn take(&mut self, shared: &mut Shared<'_>, entry: Entry) -> Result<bool, LogError> {
        let Entry { offset, record: opened, .. } = entry;
        let at = shared.journals.at(self.partition);
        let record = match opened {
            Ok(record) => record,
            Err(why) => {
                let sequence = self.link.map(|(last, _)| last + 1);
                self.report.differ(sequence, format!("{at} offset {offset}: journal record: {why}"));
                return Ok(false);
            }
        };
        if let Some(fault) = self.broken_link(shared, &record) {
            self.report.differ(record.sequence, format!("{at} offset {offset}: {fault}"));
            return Ok(false);
        }
        self.link = Some((record.sequence, record.hash));
        if let Some(epoch) = &record.opens {
            self.epochs.insert(record.epoch, epoch.clone());
        }
        if self.rerun.as_ref().is_some_and(|rerun| record.sequence < rerun.sequence) {
            return Ok(true);
        }
        if record.epoch != shared.plan.epoch.digest() || self.rerun.is_none() {
            self.pass_over(shared, &record)?;
            return Ok(true);
        }
        let (to, rerun) = (shared.range.to, self.rerun.as_ref());
        if let (Some(to), Some(core)) = (to, rerun.and_then(Rerun::core))
            && core.clock() > to
        {
            return Ok(false);
        }
        self.run_again(shared, &record)
    }

    /// Sequence numbers rise by one and each record names the hash of the one before.
    fn broken_link(&self, shared: &Shared<'_>, record: &JournalRecord) -> Option<String> {
        let Some((last, hash)) = self.link else {
            let whole = shared.journals.earliest(self.partition) == 0 && shared.range.from.is_none();
            let missing = whole && record.sequence != 0;
            return missing.then(|| format!("the first record is sequence {}, expected 0", record.sequence));
        };
        if record.sequence != last + 1 {
            return Some(format!(
                "journal sequence {} stands where {} was expected",
                record.sequence,
                last + 1
            ));
        }
        (record.previous != hash)
            .then(|| format!("it says that the one before has hash {}, it has {hash}", record.previous))
    }

    /// A record of another epoch, or before the first anchor that there is: verification goes on at an
    /// anchor of our own.
    fn pass_over(&mut self, shared: &mut Shared<'_>, record: &JournalRecord) -> Result<(), LogError> {
        let own = shared.plan.epoch.digest();
        let why = if record.epoch == own {
            "nothing to begin at: the journal before is gone, and no anchor stands here".to_owned()
        } else {
            self.other_epoch(&shared.plan.epoch, record)
        };
        self.rerun = None;
        match &mut self.foreign {
            Some(foreign) if foreign.why == why || record.epoch == own => foreign.last = record.sequence,
            _ => {
                self.note_foreign();
                self.foreign = Some(Foreign { first: record.sequence, last: record.sequence, why });
            }
        }
        if record.epoch == own
            && let Some(manifest) = self.anchors.after(record.sequence).cloned()
        {
            self.load(shared, &manifest)?;
            if self.rerun.is_some() {
                self.note_foreign();
            }
        }
        Ok(())
    }

    fn note_foreign(&mut self) {
        if let Some(Foreign { first, last, why }) = self.foreign.take() {
            self.report.unverifiable.push(Gap { first: Some(first), last: Some(last), why });
        }
    }

    fn other_epoch(&self, own: &Epoch, record: &JournalRecord) -> String {
        match self.epochs.get(&record.epoch) {
            Some(epoch) if epoch.code != own.code => format!(
                "written by code version {}, this is {}: replay it with that version",
                epoch.code, own.code
            ),
            Some(epoch) if epoch.configuration != own.configuration => format!(
                "written under configuration {}, this is {}: replay it with the one that its workers had (--env NAME, --config FILE; `tapewatch config version` tells them apart)",
                epoch.configuration, own.configuration
            ),
            Some(_) => "written with other schemas or numerics".to_owned(),
            None => "written in an epoch that no record opens".to_owned(),
        }
    }

    fn run_again(&mut self, shared: &mut Shared<'_>, record: &JournalRecord) -> Result<bool, LogError> {
        let rerun = self.rerun.as_mut().expect("the caller has looked");
        match rerun.run(record, &mut shared.feed, true) {
            Ok(outputs) => self.compare(shared, record.sequence, &outputs)?,
            Err(RerunError::Feed(why)) => {
                self.report.unverifiable.push(Gap::after(record.sequence, why.to_string()));
                return Ok(false);
            }
            Err(RerunError::Differs(why)) => {
                self.report.differ(record.sequence, why.to_string());
                return Ok(false);
            }
        }
        self.report.first.get_or_insert(record.sequence);
        self.report.last = Some(record.sequence);
        self.report.records += 1;
        self.report.inputs += record.inputs.iter().map(|range| range.count as u64).sum::<u64>();
        let rerun = self.rerun.as_ref().expect("it has just run");
        for dead in rerun.dead() {
            match self.letters.check(dead, &shared.plan.letters) {
                Ok(()) => self.report.letters += 1,
                Err(what) => self.report.differ(record.sequence, what),
            }
        }
        match self.letters.pass_over(&record.skipped, &mut shared.feed) {
            Ok(found) => found.into_iter().for_each(|what| self.report.differ(record.sequence, what)),
            Err(why) => self.report.unverifiable.push(Gap::after(record.sequence, why.to_string())),
        }
        for states in [&self.anchors, &self.snapshots] {
            match states.check(rerun, record) {
                Some(Ok(())) => self.report.states += 1,
                Some(Err(what)) => self.report.differ(record.sequence, what),
                None => {}
            }
        }
        Ok(self.report.differs.len() < MOST_FINDINGS)
    }

    fn compare(
        &mut self,
        shared: &mut Shared<'_>,
        sequence: i64,
        outputs: &[OutRecord],
    ) -> Result<(), LogError> {
        for output in outputs {
            let (compared, extra) = shared.outputs.compare(self.partition, output)?;
            extra.into_iter().for_each(|what| self.report.differ(sequence, what));
            match compared {
                Compared::Same => self.report.outputs += 1,
                Compared::Differs(what) => self.report.differ(sequence, what),
                Compared::Gone(at) if self.gone.contains(&at) => {}
                Compared::Gone(at) => {
                    let why = format!("the first outputs in {at} are gone from the log");
                    self.report.unverifiable.push(Gap::after(sequence, why));
                    self.gone.push(at);
                }
            }
        }
        Ok(())
    }

    /// The journal has ended: nothing may be left that it does not account for.
    fn finish(&mut self, shared: &mut Shared<'_>) -> Result<(), LogError> {
        self.note_foreign();
        let Some(rerun) = self.rerun.take() else { return Ok(()) };
        let sequence = rerun.sequence;
        for states in [&self.anchors, &self.snapshots] {
            states.beyond(sequence).for_each(|what| self.report.differ(sequence, what));
        }
        for what in shared.outputs.leftovers(self.partition, MOST_FINDINGS)? {
            self.report.differ(None, what);
        }
        let positions = rerun.lanes().iter().map(|(at, (position, _))| (at.clone(), *position));
        let ended: BTreeMap<TopicPartition, i64> = positions.collect();
        let left = self.letters.leftovers(&self.started, &ended);
        left.into_iter().for_each(|what| self.report.differ(None, what));
        Ok(())
    }
}
