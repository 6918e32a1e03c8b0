//! The hash chain of a journal, checked record by record: what was removed, changed, reordered or cut off.

use std::collections::{BTreeMap, BTreeSet};

use tapewatch_schemas::journal::{JournalError, JournalRecord};
use tapewatch_schemas::{Digest, Time};

use super::checkpoint::{Checkpoint, Head, Statement};
use super::finding::{Checked, Finding, Journal, Kind, Place, Selection};
use super::key::Public;

/// So many findings are told; the others are counted.
const MOST: usize = 100;

/// Checks journals as they are read.
#[derive(Default)]
pub(crate) struct Checker {
    selection: Selection,
    /// What an export says it holds; all if it says nothing.
    exported: Vec<Selection>,
    chains: BTreeMap<Place, Chain>,
    /// Those that count: signed by a key that is ours, if any was named.
    statements: Vec<Statement>,
    keys: Vec<Public>,
    signers: BTreeSet<String>,
    findings: Vec<Finding>,
    more: u64,
}

/// One journal so far.
#[derive(Default)]
struct Chain {
    records: u64,
    first: Option<(i64, Digest)>,
    /// The sequence number that comes next.
    next: i64,
    /// Hash of the record before that; none if it could not be read.
    hash: Option<Digest>,
    /// What is missing so far, first to last.
    gaps: BTreeMap<i64, i64>,
    /// Sequence numbers that checkpoints name, with the hash that was found.
    named: BTreeMap<i64, Option<Digest>>,
}

/// A record as it was read.
pub(crate) struct Read {
    /// Where: a line or an offset, for people.
    pub(crate) stands: String,
    /// The sequence number that is written beside it.
    pub(crate) said: Option<i64>,
    /// What it is.
    pub(crate) record: Result<JournalRecord, JournalError>,
}

impl Checker {
    /// A checker that heeds these checkpoints. With `keys`, only those that one of them signed.
    pub(crate) fn new(checkpoints: &[(String, Checkpoint)], keys: Vec<Public>, selection: Selection) -> Self {
        let mut checker = Self { selection, keys, ..Self::default() };
        for (stands, checkpoint) in checkpoints {
            checker.heed(stands, checkpoint);
        }
        checker
    }

    /// As it was, of an export that says what it holds: what no head names is not missing.
    pub(crate) fn of_export(self, exported: Vec<Selection>) -> Self {
        Self { exported, ..self }
    }

    /// True if a checkpoint knows of a journal that the export leaves out on purpose.
    fn leaves_out(&self, place: &Place, chain: &Chain) -> bool {
        let named =
            self.exported.is_empty() || self.exported.iter().any(|head| head.has(place.0.as_str(), place.1));
        chain.records == 0 && !named
    }

    fn heed(&mut self, stands: &str, checkpoint: &Checkpoint) {
        let statement = &checkpoint.statement;
        let why = match checkpoint.signer() {
            None => format!(
                "its signature is not that of its key {}: it is forged or was changed",
                checkpoint.key
            ),
            Some(signer) if !self.keys.is_empty() && !self.keys.contains(&signer) => {
                format!("it is signed by {signer}, which is not the key that was named")
            }
            Some(signer) => {
                self.signers.insert(signer.to_string());
                let mut statement = statement.clone();
                let worker = statement.worker.clone();
                statement.heads.retain(|head| self.selection.has(worker.as_str(), head.partition));
                for head in &statement.heads {
                    let chain = self.chains.entry((statement.worker.clone(), head.partition)).or_default();
                    chain.named.insert(head.sequence, None);
                }
                self.statements.push(statement);
                return;
            }
        };
        let what = format!("{stands}: the checkpoint of {}: {why}", statement.time);
        let worker = statement.worker.clone();
        self.tell(Finding { kind: Kind::NotSigned, worker, partition: None, first: None, last: None, what });
    }

    fn tell(&mut self, finding: Finding) {
        if self.findings.len() < MOST { self.findings.push(finding) } else { self.more += 1 }
    }

    /// Takes the next record of a journal.
    pub(crate) fn take(&mut self, place: &Place, read: Read) {
        if !self.selection.has(place.0.as_str(), place.1) {
            return;
        }
        let chain = self.chains.entry(place.clone()).or_default();
        let mut told = Vec::new();
        chain.take(place, read, &mut told);
        told.into_iter().for_each(|finding| self.tell(finding));
    }

    /// All was read: what is missing is told, and what the checkpoints say is compared.
    pub(crate) fn finish(mut self) -> Checked {
        let mut told = Vec::new();
        for (place, chain) in &self.chains {
            chain.missing(place, &self.statements, &mut told);
        }
        for statement in &self.statements {
            self.compare(statement, &mut told);
        }
        told.into_iter().for_each(|finding| self.tell(finding));
        let journals = self.chains.iter().filter(|(_, chain)| chain.records > 0);
        let journals: Vec<Journal> = journals.map(|(place, chain)| self.summary(place, chain)).collect();
        let open = journals.iter().filter(|one| !self.keys.is_empty() && one.named.is_none());
        let uncovered = open.map(|one| (one.worker.clone(), one.partition)).collect();
        let left_out = self.chains.iter().filter(|(place, chain)| self.leaves_out(place, chain));
        let left_out = left_out.map(|(place, _)| place.clone()).collect();
        Checked {
            journals,
            findings: self.findings,
            more: self.more,
            uncovered,
            left_out,
            keys: self.signers,
        }
    }

    /// What is there of a journal, and which of the checkpoints' heads: the last, and the last that is there.
    fn summary(&self, place: &Place, chain: &Chain) -> Journal {
        let of = self.statements.iter().filter(|statement| statement.worker == place.0);
        let heads = of.flat_map(|statement| statement.heads.iter().map(|head| (head, statement.time)));
        let ours: Vec<(&Head, Time)> = heads.filter(|(head, _)| head.partition == place.1).collect();
        let last = |heads: &mut dyn Iterator<Item = &(&Head, Time)>| {
            heads.map(|(head, time)| (head.sequence, *time)).max()
        };
        let there =
            |head: &Head| chain.found(head.sequence).is_some_and(|hash| hash.to_string() == head.hash);
        Journal {
            worker: place.0.clone(),
            partition: place.1,
            records: chain.records,
            first: chain.first.map(|(first, _)| first),
            last: chain.first.map(|_| chain.next - 1),
            hash: chain.hash.unwrap_or_default().to_string(),
            signed: last(&mut ours.iter().filter(|(head, _)| there(head))),
            named: last(&mut ours.iter()),
        }
    }

    fn compare(&self, statement: &Statement, told: &mut Vec<Finding>) {
        for head in &statement.heads {
            let place = (statement.worker.clone(), head.partition);
            let Some(chain) = self.chains.get(&place) else { continue };
            if self.leaves_out(&place, chain) {
                continue;
            }
            let (time, sequence) = (statement.time, head.sequence);
            if chain.next <= sequence {
                let what = format!("the checkpoint of {time} was signed when sequence {sequence} was there");
                told.push(finding(Kind::CutOff, &place, (chain.next, sequence), what));
            } else if let Some(found) = chain.found(sequence).filter(|found| found.to_string() != head.hash) {
                let what = format!(
                    "the checkpoint of {time} signed the hash {}, the record has {found}: it or one before it was written anew",
                    head.hash
                );
                told.push(finding(Kind::Changed, &place, (sequence, sequence), what));
            }
        }
    }
}

impl Chain {
    fn take(&mut self, place: &Place, read: Read, told: &mut Vec<Finding>) {
        let Read { stands, said, record } = read;
        self.records += 1;
        let record = match record {
            Ok(record) => record,
            Err(why) => {
                let sequence = said.unwrap_or(self.next);
                told.push(finding(Kind::Changed, place, (sequence, sequence), format!("{stands}: {why}")));
                self.step(sequence, None, None, place, &stands, told);
                return;
            }
        };
        let sequence = record.sequence;
        let one =
            |what: String| finding(Kind::Changed, place, (sequence, sequence), format!("{stands}: {what}"));
        if record.worker != place.0 || record.partition != place.1 {
            told.push(one(format!("the record is of {}/{}", record.worker, record.partition)));
            return;
        }
        if let Some(said) = said.filter(|said| *said != sequence) {
            told.push(one(format!(
                "sequence {said} is written beside it, the record is sequence {sequence}"
            )));
        }
        self.step(sequence, Some(record.hash), Some(record.previous), place, &stands, told);
    }

    fn step(
        &mut self,
        sequence: i64,
        hash: Option<Digest>,
        previous: Option<Digest>,
        place: &Place,
        stands: &str,
        told: &mut Vec<Finding>,
    ) {
        if let Some(found) = self.named.get_mut(&sequence) {
            *found = hash;
        }
        if sequence < self.next {
            let (kind, what) = if self.fill(sequence) {
                (Kind::Reordered, format!("{stands}: it stands behind sequence {}", self.next - 1))
            } else {
                (Kind::Doubled, format!("{stands}: it was there already"))
            };
            told.push(finding(kind, place, (sequence, sequence), what));
            return;
        }
        if self.first.is_none() {
            self.first = Some((sequence, previous.unwrap_or_default()));
        }
        if sequence > self.next {
            self.gaps.insert(self.next, sequence - 1);
        } else if let (Some(before), Some(previous)) = (self.before(), previous)
            && before != previous
        {
            let (what, changed) = if sequence == 0 {
                (format!("{stands}: the first record names a record before it, with hash {previous}"), 0)
            } else {
                let before = format!("it has {before}: one of the two was written anew");
                (
                    format!("{stands}: sequence {sequence} follows a record with hash {previous}, {before}"),
                    sequence - 1,
                )
            };
            told.push(finding(Kind::Changed, place, (changed, changed), what));
        }
        self.next = sequence + 1;
        self.hash = hash;
    }

    /// The hash that the next record must name.
    fn before(&self) -> Option<Digest> {
        if self.next == 0 { Some(Digest::NONE) } else { self.hash }
    }

    /// Takes a sequence number out of what is missing. False if it was not.
    fn fill(&mut self, sequence: i64) -> bool {
        let gap = self.gaps.range(..=sequence).next_back().map(|(first, last)| (*first, *last));
        let Some((first, last)) = gap.filter(|(_, last)| *last >= sequence) else { return false };
        self.gaps.remove(&first);
        if first < sequence {
            self.gaps.insert(first, sequence - 1);
        }
        if sequence < last {
            self.gaps.insert(sequence + 1, last);
        }
        true
    }

    fn found(&self, sequence: i64) -> Option<Digest> {
        *self.named.get(&sequence)?
    }

    /// What is missing before a record that is there. A beginning that a checkpoint vouches for is not: the
    /// log no longer keeps it.
    fn missing(&self, place: &Place, statements: &[Statement], told: &mut Vec<Finding>) {
        let vouched = |last: i64, previous: &Digest| {
            let of = statements.iter().filter(|statement| statement.worker == place.0);
            let mut heads =
                of.flat_map(|statement| &statement.heads).filter(|head| head.partition == place.1);
            heads.any(|head| head.sequence == last && head.hash == previous.to_string())
        };
        for (first, last) in &self.gaps {
            let begins = self.first.filter(|(begins, _)| *first == 0 && *begins == last + 1);
            if begins.is_some_and(|(_, previous)| vouched(*last, &previous)) {
                continue;
            }
            let what = match begins {
                Some((begins, _)) => format!("the journal begins with sequence {begins}"),
                None => "they are not there".to_owned(),
            };
            told.push(finding(Kind::Removed, place, (*first, *last), what));
        }
    }
}

fn finding(kind: Kind, (worker, partition): &Place, (first, last): (i64, i64), what: String) -> Finding {
    let (worker, partition) = (worker.clone(), Some(*partition));
    Finding { kind, worker, partition, first: Some(first), last: Some(last), what }
}
