//! Writes parcels, each with its audit record, in one transaction.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tapewatch_eventlog::{CommitError, Log, LogError, OutRecord, Round, Writer};
use tapewatch_schemas::Digest;

use super::ledger::{Entry, Ledger, place};
use super::parcel::Parcel;
use super::{RedriveError, Request};
use crate::scan::Scanner;

/// One name for all: whoever opens it ends an earlier run, and sees all that it has sent.
const WRITER: &str = "tapewatch.redrive";
/// How often the same transaction is sent before giving up.
const ATTEMPTS: u32 = 5;

/// The only one who sends letters back.
pub(super) struct Post {
    log: Arc<dyn Log>,
    writer: Box<dyn Writer>,
    pub(super) ledger: Ledger,
}

impl Post {
    /// Takes over from whoever was at it, and reads what they have sent.
    pub(super) fn open(log: &Arc<dyn Log>) -> Result<Self, RedriveError> {
        let writer = log.writer(WRITER)?;
        let ledger = Ledger::read(&mut Scanner::new(Arc::clone(log))?)?;
        Ok(Self { log: Arc::clone(log), writer, ledger })
    }

    /// Writes one parcel and its entry in the audit journal.
    pub(super) fn send(
        &mut self,
        request: &Request,
        partition: i32,
        parcel: Parcel,
    ) -> Result<(), RedriveError> {
        let Parcel { records, count, letters, behind } = parcel;
        let entry = Entry {
            format: 0,
            sequence: 0,
            previous: String::new(),
            kind: request.kind(),
            topic: request.topic.clone(),
            partition,
            who: request.who.clone(),
            why: request.why.clone(),
            filter: request.asked(),
            records: count,
            letters,
            behind,
        };
        self.write(records, entry)
    }

    /// Writes these and their entry, whose place in the chain is filled in.
    pub(super) fn write(&mut self, mut records: Vec<OutRecord>, entry: Entry) -> Result<(), RedriveError> {
        let entry = self.ledger.link(entry);
        let value = serde_json::to_vec(&entry).expect("an entry is plain data");
        let hash = Digest::of(&value);
        let count = records.len();
        let value = Some(Bytes::from(value));
        records.push(OutRecord { target: place(), timestamp: None, key: None, value, headers: Vec::new() });
        let round = Round { records, offsets: Vec::new() };
        self.commit(&round, hash).map_err(|failure| match failure {
            Failure::Log(error) => error.into(),
            Failure::Commit(source) => {
                let (topic, partition) = (entry.topic.clone(), entry.partition);
                RedriveError::Commit { topic, partition, records: count, source }
            }
        })?;
        self.ledger.note(&entry, hash);
        Ok(())
    }

    /// Sends the same bytes again after a definite failure; after an unknown outcome the audit journal says
    /// whether they are there.
    fn commit(&mut self, round: &Round, hash: Digest) -> Result<(), Failure> {
        let mut attempt = 1;
        loop {
            let Err(why) = self.writer.commit(round, None) else { return Ok(()) };
            let pause = match &why {
                CommitError::Aborted(_) => Duration::from_millis(50 << attempt),
                CommitError::Unknown(_) => {
                    self.writer.recover().map_err(Failure::Commit)?;
                    if self.is_written(hash).map_err(Failure::Log)? {
                        return Ok(());
                    }
                    // Its outcome has been waited for.
                    Duration::ZERO
                }
                CommitError::Fenced(_) | CommitError::Refused(_) => return Err(Failure::Commit(why)),
            };
            if attempt == ATTEMPTS {
                return Err(Failure::Commit(why));
            }
            thread::sleep(pause);
            attempt += 1;
        }
    }

    fn is_written(&self, hash: Digest) -> Result<bool, LogError> {
        let mut written = false;
        Scanner::new(Arc::clone(&self.log))?.scan::<LogError>(&place(), 0, |record| {
            written |= record.value.is_some_and(|value| Digest::of(value) == hash);
            Ok(())
        })?;
        Ok(written)
    }
}

enum Failure {
    Log(LogError),
    Commit(CommitError),
}
