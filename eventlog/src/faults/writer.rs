//! Writers and publishers with faults.

use std::time::Duration;

use super::{Fault, Life, Op};
use crate::{CommitError, Committed, Fence, LogError, OutRecord, Publisher, Round, Writer};

pub(super) struct FaultyWriter {
    inner: Box<dyn Writer>,
    life: Life,
    /// True after an unknown outcome, until `recover`.
    in_doubt: bool,
    /// A round that will be written after all.
    late: Option<(Round, Option<Fence>)>,
}

impl FaultyWriter {
    pub(super) fn new(inner: Box<dyn Writer>, life: Life) -> Self {
        Self { inner, life, in_doubt: false, late: None }
    }

    fn unknown(&mut self) -> Result<Committed, CommitError> {
        self.in_doubt = true;
        Err(CommitError::Unknown(self.life.failed("committing")))
    }
}

impl Writer for FaultyWriter {
    fn commit(&mut self, round: &Round, fence: Option<&Fence>) -> Result<Committed, CommitError> {
        self.life.check().map_err(CommitError::Unknown)?;
        if self.in_doubt {
            let error = self.life.failed("committing before the last outcome was decided by recover()");
            return Err(CommitError::Refused(error));
        }
        match self.life.next(Op::Commit).map_err(CommitError::Unknown)? {
            None | Some(Fault::Silence) => self.inner.commit(round, fence),
            Some(Fault::Abort) => Err(CommitError::Aborted(self.life.failed("committing"))),
            Some(Fault::Fenced) => Err(CommitError::Fenced(self.life.failed("committing"))),
            Some(Fault::Full) => {
                let (log, why) = (self.life.log.clone(), "injected".into());
                Err(CommitError::Refused(LogError::Full { log, why }))
            }
            Some(Fault::UnknownNotWritten) => self.unknown(),
            Some(Fault::UnknownWritten) => {
                self.inner.commit(round, fence)?;
                self.unknown()
            }
            Some(Fault::UnknownWrittenLate) => {
                self.late = Some((round.clone(), fence.cloned()));
                self.unknown()
            }
            Some(Fault::CrashBefore) => Err(CommitError::Unknown(self.life.crash())),
            Some(Fault::CrashAfter) => {
                self.life.plan.crash();
                self.inner.commit(round, fence)?;
                Err(CommitError::Unknown(self.life.crash()))
            }
        }
    }

    fn recover(&mut self) -> Result<(), CommitError> {
        if let Some((round, fence)) = self.late.take() {
            // That it is refused or fenced by now is one of the outcomes that the reader must decide.
            let _ = self.inner.commit(&round, fence.as_ref());
        }
        match self.life.next(Op::Recover).map_err(CommitError::Unknown)? {
            Some(Fault::Abort) => return Err(CommitError::Unknown(self.life.failed("recovering"))),
            Some(Fault::Fenced) => return Err(CommitError::Fenced(self.life.failed("recovering"))),
            Some(Fault::CrashBefore) => return Err(CommitError::Unknown(self.life.crash())),
            Some(Fault::CrashAfter) => {
                self.life.plan.crash();
                self.inner.recover()?;
                return Err(CommitError::Unknown(self.life.crash()));
            }
            _ => self.inner.recover()?,
        }
        self.in_doubt = false;
        Ok(())
    }
}

/// A publisher whose process crashes leaves what it had sent before: the records are written one by one.
pub(super) struct FaultyPublisher {
    pub(super) inner: Box<dyn Publisher>,
    pub(super) life: Life,
}

impl Publisher for FaultyPublisher {
    fn send(&mut self, record: OutRecord) -> Result<(), LogError> {
        match self.life.next(Op::Send)? {
            Some(Fault::Abort) => Err(self.life.failed("publishing")),
            Some(Fault::Full) => Err(LogError::Full { log: self.life.log.clone(), why: "injected".into() }),
            Some(Fault::CrashBefore) => Err(self.life.crash()),
            Some(Fault::CrashAfter) => {
                self.life.plan.crash();
                self.inner.send(record)?;
                Err(self.life.crash())
            }
            _ => self.inner.send(record),
        }
    }

    fn flush(&mut self, wait: Duration) -> Result<(), LogError> {
        match self.life.next(Op::Flush)? {
            Some(Fault::Abort) => Err(self.life.failed("flushing")),
            Some(Fault::CrashBefore) => Err(self.life.crash()),
            Some(Fault::CrashAfter) => {
                self.life.plan.crash();
                self.inner.flush(wait)?;
                Err(self.life.crash())
            }
            _ => self.inner.flush(wait),
        }
    }
}
