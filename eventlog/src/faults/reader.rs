//! Readers and members with faults.

use std::time::Duration;

use super::{Fault, Life, Op};
use crate::{Fence, LogError, Member, Polled, Reader, TopicPartition};

pub(super) struct FaultyReader {
    pub(super) inner: Box<dyn Reader>,
    pub(super) life: Life,
}

pub(super) struct FaultyMember {
    pub(super) inner: Box<dyn Member>,
    pub(super) life: Life,
}

/// A poll that fails takes nothing out of the log, except one whose process crashes after it.
fn poll<R: Reader + ?Sized>(inner: &mut R, life: &Life, wait: Duration) -> Result<Polled, LogError> {
    match life.next(Op::Poll)? {
        Some(Fault::CrashBefore) => Err(life.crash()),
        Some(Fault::CrashAfter) => {
            life.plan.crash();
            inner.poll(wait)?;
            Err(life.crash())
        }
        Some(Fault::Silence) => Ok(Polled::Idle),
        Some(Fault::Abort) => Err(life.failed("reading")),
        _ => inner.poll(wait),
    }
}

macro_rules! reader {
    ($type:ty) => {
        impl Reader for $type {
            fn poll(&mut self, wait: Duration) -> Result<Polled, LogError> {
                poll(self.inner.as_mut(), &self.life, wait)
            }

            fn assign(&mut self, starts: &[(TopicPartition, i64)]) -> Result<(), LogError> {
                self.life.check()?;
                self.inner.assign(starts)
            }

            fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
                self.life.check()?;
                self.inner.unassign(partitions)
            }

            fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
                self.life.check()?;
                self.inner.pause(partitions)
            }

            fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
                self.life.check()?;
                self.inner.resume(partitions)
            }
        }
    };
}

reader!(FaultyReader);
reader!(FaultyMember);

impl Member for FaultyMember {
    fn fence(&self) -> Result<Fence, LogError> {
        self.life.check()?;
        self.inner.fence()
    }

    fn release(&mut self) -> Result<(), LogError> {
        self.life.check()?;
        self.inner.release()
    }

    fn leave(&mut self) -> Result<(), LogError> {
        self.life.check()?;
        self.inner.leave()
    }
}
