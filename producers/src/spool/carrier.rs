//! Writes to the log, and finds out what became of an attempt that nobody answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tapewatch_eventlog::{Clock, CommitError, Log, LogError, Round, TopicInfo, TopicPartition, Writer};

use super::MARK;
use super::attempt::Attempt;
use crate::publish::is_there;

/// One producer's way to the log.
pub(super) struct Carrier {
    log: Arc<dyn Log>,
    id: String,
    /// None before the first use, and after an attempt whose outcome is unknown: opening it again ends that.
    writer: Option<Box<dyn Writer>>,
    /// Where partitions end at least, as far as this courier has written them.
    ends: BTreeMap<TopicPartition, i64>,
    /// What marks begin with: no other courier's do.
    life: String,
    made: u64,
}

impl Carrier {
    pub(super) fn new(log: Arc<dyn Log>, id: String) -> Self {
        let life = format!("{id}/{}/{}", Clock::system().now().micros(), std::process::id());
        Self { log, id, writer: None, ends: BTreeMap::new(), life, made: 0 }
    }

    /// True if the log has the attempt, false if it does not and never will.
    ///
    /// # Errors
    /// It cannot be told for now.
    pub(super) fn look(&mut self, attempt: &Attempt) -> Result<bool, CommitError> {
        self.writer()?;
        let found = is_there(self.log.as_ref(), &attempt.at(), attempt.from, |record| {
            record.headers.get(MARK) == Some(attempt.mark.as_bytes())
        });
        found.map_err(CommitError::Aborted)
    }

    /// Writes a round in one transaction. What it is called by is noted before, by `begin`.
    pub(super) fn write(
        &mut self,
        round: &mut Round,
        until: i64,
        begin: impl FnOnce(Attempt) -> Result<(), LogError>,
    ) -> Result<(), CommitError> {
        let first = round.records.first().expect("a round that is carried has records");
        let at = first.target.clone();
        let from = match self.ends.get(&at) {
            Some(end) => *end,
            None => self.log.bounds(&at).map_err(|error| self.why(&at, error))?.end,
        };
        self.writer()?;
        self.made += 1;
        let mark = format!("{}/{}", self.life, self.made);
        begin(Attempt::new(until, mark.clone(), &at, from)).map_err(CommitError::Aborted)?;
        round.records[0].headers.push((MARK.to_owned(), Bytes::from(mark)));
        match self.writer()?.commit(round, None) {
            Ok(committed) => {
                for (record, offset) in round.records.iter().zip(&committed.offsets) {
                    self.ends.insert(record.target.clone(), offset + 1);
                }
                Ok(())
            }
            Err(error) => {
                if matches!(error, CommitError::Unknown(_)) {
                    self.writer = None;
                }
                Err(error)
            }
        }
    }

    /// Why a partition's end cannot be had: it is not there, or the log does not answer for now.
    fn why(&self, at: &TopicPartition, error: LogError) -> CommitError {
        let missing = |all: Vec<TopicInfo>| {
            !all.iter().any(|one| one.name == at.topic && at.partition < one.partitions)
        };
        if self.log.topics().is_ok_and(missing) {
            return CommitError::Refused(error);
        }
        CommitError::Aborted(error)
    }

    /// Opens the writer if there is none, which aborts what an earlier one of the id left open.
    pub(super) fn writer(&mut self) -> Result<&mut Box<dyn Writer>, CommitError> {
        if self.writer.is_none() {
            self.writer = Some(self.log.writer(&self.id).map_err(CommitError::Aborted)?);
        }
        Ok(self.writer.as_mut().expect("opened above"))
    }
}
