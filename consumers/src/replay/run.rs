//! The verification of one task, from its first journal record (or an anchor) to its last.

use std::collections::BTreeMap;
use std::sync::Arc;

use tapewatch_eventlog::{LogError, OutRecord, TopicPartition};
use tapewatch_schemas::Digest;
use tapewatch_schemas::catalogue::{anchors_topic, journal_topic, state_topic};
use tapewatch_schemas::journal::{Epoch, JournalRecord};

use super::journal::{Entry, Journal};
use super::letters::LetterBook;
use super::outputs::{Compared, Outputs};
use super::states::{Kind, States};
use super::{MOST_FINDINGS, Report, Verifier};
use crate::feed::Feed;
use crate::plan::WorkerPlan;
use crate::rerun::{Rerun, RerunError};
use crate::snapshot::Manifest;

/// One task being verified.
pub(super) struct Run<'v, 'a> {
    verifier: &'v mut Verifier<'a>,
    plan: &'a WorkerPlan,
    partition: i32,
    anchors: States,
    snapshots: States,
    letters: LetterBook,
    outputs: Outputs,
    journal: Journal,
    feed: Feed,
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

impl<'v, 'a> Run<'v, 'a> {
    /// Opens everything. What the journal must account for is looked at before the journal's end is.
    pub(super) fn begin(verifier: &'v mut Verifier<'a>, partition: i32) -> Result<Self, LogError> {
        let plan = verifier.plan;
        let (log, tasks) = (Arc::clone(&verifier.log), verifier.tasks);
        let worker = plan.worker.as_str();
        let scanner = &mut verifier.scanner;
        let at = |topic| TopicPartition::new(topic, partition);
        let anchors = States::of(scanner, at(anchors_topic(worker)), Kind::Anchor)?;
        let snapshots = States::of(scanner, at(state_topic(worker)), Kind::Snapshot)?;
        let mut sources: Vec<_> = plan.own.iter().map(|topic| (at(topic.clone()), true)).collect();
        for topic in &plan.broadcast {
            let place = |number: i32| {
                (TopicPartition::new(topic.clone(), number), number.rem_euclid(tasks) == partition)
            };
            sources.extend((0..crate::audit::partitions(&log, topic)?).map(place));
        }
        let letters = LetterBook::of(scanner, (worker, partition), sources.into_iter())?;
        let targets = plan.blueprint.routing.partitions.iter().flat_map(|(topic, count)| {
            (0..*count as i32).map(|number| TopicPartition::new(topic.clone(), number))
        });
        let outputs = Outputs::open(&log, worker, partition, tasks, targets)?;
        let journal = Journal::open(&log, at(journal_topic(worker)), 0)?;
        let feed = Feed::new(log, plan.inspector.clone())?;
        let report = Report { worker: plan.worker.clone(), partition, ..Report::default() };
        let mut run = Self {
            verifier,
            plan,
            partition,
            anchors,
            snapshots,
            letters,
            outputs,
            journal,
            feed,
            rerun: None,
            link: None,
            started: BTreeMap::new(),
            epochs: BTreeMap::new(),
            foreign: None,
            gone: Vec::new(),
            report,
        };
        run.note_unreadable();
        run.choose_start()?;
        Ok(run)
    }

    fn note_unreadable(&mut self) {
        let states = [&mut self.anchors, &mut self.snapshots];
        let unreadable: Vec<String> =
            states.into_iter().flat_map(|states| std::mem::take(&mut states.unreadable)).collect();
        let letters = std::mem::take(&mut self.letters.problems);
        unreadable.into_iter().chain(letters).for_each(|what| self.report.differ(None, what));
    }

    /// Before the first record, or at the last anchor that `--from` allows.
    fn choose_start(&mut self) -> Result<(), LogError> {
        let own = self.plan.epoch.digest().to_string();
        let anchor = self.verifier.range.from.and_then(|from| {
            self.anchors.last(|manifest| manifest.clock <= from.micros() && manifest.epoch == own).cloned()
        });
        match anchor {
            Some(manifest) => {
                let at = self.journal.at.clone();
                self.journal = Journal::open(&self.verifier.log, at, manifest.journal_offset)?;
                self.load(&manifest)?;
                if self.rerun.is_some() {
                    self.link = None;
                }
            }
            None if self.journal.earliest == 0 => {
                self.start(Rerun::from_genesis(self.plan.blueprint.clone(), self.partition));
            }
            None => {}
        }
        Ok(())
    }

    fn load(&mut self, manifest: &Manifest) -> Result<(), LogError> {
        let blueprint = self.plan.blueprint.clone();
        let loaded = self.anchors.load(&mut self.verifier.scanner, manifest)?.and_then(|(saved, hash)| {
            Rerun::from_saved(blueprint, &saved, manifest.sequence, hash).map_err(|why| why.to_string())
        });
        match loaded {
            Ok(rerun) => self.start(rerun),
            Err(why) => {
                let what = format!("the anchor after it cannot be used: {why}");
                self.report.differ(manifest.sequence, what);
            }
        }
        Ok(())
    }

    fn start(&mut self, rerun: Rerun) {
        self.outputs.begin_at(rerun.core().map_or(0, |core| core.step() as i64));
        let positions = rerun.lanes().iter().map(|(at, (position, _))| (at.clone(), *position));
        self.started = positions.collect();
        self.rerun = Some(rerun);
    }

    /// Runs to the end, and looks at what is left then.
    pub(super) fn verify(mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, LogError> {
        loop {
            while let Some(entry) = self.journal.next()? {
                let (done, total) = self.journal.progress();
                if !self.take(entry)? {
                    return Ok(self.close_foreign());
                }
                progress(done, total);
            }
            if !self.expects_more()? || !self.journal.refresh()? {
                break;
            }
        }
        self.finish()
    }

    /// True if something in the log is newer than the journal was when its end was looked at.
    fn expects_more(&mut self) -> Result<bool, LogError> {
        let Some(rerun) = &self.rerun else { return Ok(false) };
        let (sequence, step) = (rerun.sequence, rerun.core().map_or(0, |core| core.step() as i64));
        let states = [&self.anchors, &self.snapshots];
        Ok(states.into_iter().any(|s| s.beyond(sequence).next().is_some()) || self.outputs.reach(step)?)
    }

    /// Takes one journal record. False if there is no going on.
    fn take(&mut self, (offset, opened): Entry) -> Result<bool, LogError> {
        let record = match opened {
            Ok(record) => record,
            Err(why) => {
                let sequence = self.link.map(|(last, _)| last + 1);
                self.report
                    .differ(sequence, format!("{} offset {offset}: journal record: {why}", self.journal.at));
                return Ok(false);
            }
        };
        if let Some(fault) = self.broken_link(&record) {
            self.report.differ(record.sequence, format!("{} offset {offset}: {fault}", self.journal.at));
            return Ok(false);
        }
        self.link = Some((record.sequence, record.hash));
        if let Some(epoch) = &record.opens {
            self.epochs.insert(record.epoch, epoch.clone());
        }
        if self.rerun.as_ref().is_some_and(|rerun| record.sequence < rerun.sequence) {
            return Ok(true);
        }
        if record.epoch != self.plan.epoch.digest() || self.rerun.is_none() {
            self.pass_over(&record)?;
            return Ok(true);
        }
        let (to, rerun) = (self.verifier.range.to, self.rerun.as_ref());
        if let (Some(to), Some(core)) = (to, rerun.and_then(Rerun::core))
            && core.clock() > to
        {
            return Ok(false);
        }
        self.run_again(&record)
    }

    /// Sequence numbers rise by one and each record names the hash of the one before.
    fn broken_link(&self, record: &JournalRecord) -> Option<String> {
        let Some((last, hash)) = self.link else {
            let missing =
                self.journal.earliest == 0 && self.verifier.range.from.is_none() && record.sequence != 0;
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
    fn pass_over(&mut self, record: &JournalRecord) -> Result<(), LogError> {
        let own = self.plan.epoch.digest();
        let why = if record.epoch == own {
            "nothing to begin at: the journal before is gone, and no anchor stands here".to_owned()
        } else {
            self.other_epoch(record)
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
            self.load(&manifest)?;
            if self.rerun.is_some() {
                self.note_foreign();
            }
        }
        Ok(())
    }

    fn note_foreign(&mut self) {
        if let Some(Foreign { first, last, why }) = self.foreign.take() {
            self.report.unverifiable.push(format!("sequence {first} to {last}: {why}"));
        }
    }

    fn close_foreign(mut self) -> Report {
        self.note_foreign();
        self.report
    }

    fn other_epoch(&self, record: &JournalRecord) -> String {
        let own = &self.plan.epoch;
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

    fn run_again(&mut self, record: &JournalRecord) -> Result<bool, LogError> {
        let rerun = self.rerun.as_mut().expect("the caller has looked");
        match rerun.run(record, &mut self.feed, true) {
            Ok(outputs) => self.compare(record.sequence, &outputs)?,
            Err(RerunError::Feed(why)) => {
                self.report.unverifiable.push(format!("from sequence {}: {why}", record.sequence));
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
            match self.letters.check(dead, &self.plan.letters) {
                Ok(()) => self.report.letters += 1,
                Err(what) => self.report.differ(record.sequence, what),
            }
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

    fn compare(&mut self, sequence: i64, outputs: &[OutRecord]) -> Result<(), LogError> {
        for output in outputs {
            let (compared, extra) = self.outputs.compare(output)?;
            extra.into_iter().for_each(|what| self.report.differ(sequence, what));
            match compared {
                Compared::Same => self.report.outputs += 1,
                Compared::Differs(what) => self.report.differ(sequence, what),
                Compared::Gone(at) if self.gone.contains(&at) => {}
                Compared::Gone(at) => {
                    let what =
                        format!("from sequence {sequence}: the first outputs in {at} are gone from the log");
                    self.report.unverifiable.push(what);
                    self.gone.push(at);
                }
            }
        }
        Ok(())
    }

    /// The journal has ended: nothing may be left that it does not account for.
    fn finish(mut self) -> Result<Report, LogError> {
        self.note_foreign();
        let Some(rerun) = self.rerun.take() else { return Ok(self.report) };
        let sequence = rerun.sequence;
        for states in [&self.anchors, &self.snapshots] {
            states.beyond(sequence).for_each(|what| self.report.differ(sequence, what));
        }
        for what in self.outputs.leftovers(MOST_FINDINGS)? {
            self.report.differ(None, what);
        }
        let positions = rerun.lanes().iter().map(|(at, (position, _))| (at.clone(), *position));
        let ended: BTreeMap<TopicPartition, i64> = positions.collect();
        let left = self.letters.leftovers(&self.started, &ended);
        left.into_iter().for_each(|what| self.report.differ(None, what));
        Ok(self.report)
    }
}
