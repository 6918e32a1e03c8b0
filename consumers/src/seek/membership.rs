//! The place in the worker's group that a seek takes: all of it, or none.

use std::time::{Duration, Instant};

use tapewatch_eventlog::{GroupSpec, Log, LogError, Member, Polled};

use super::SeekError;
use crate::plan::WorkerPlan;

/// A place in the worker's group.
pub(super) struct Membership {
    pub(super) member: Box<dyn Member>,
    worker: String,
    group: String,
    session: Duration,
    tasks: i32,
    owned: usize,
}

impl Membership {
    pub(super) fn join(plan: &WorkerPlan, log: &dyn Log, tasks: i32) -> Result<Self, LogError> {
        let (group, session) = (plan.group.clone(), plan.runtime.session);
        let member = log.member(&GroupSpec {
            group: group.clone(),
            instance: plan.instance.clone(),
            topics: plan.own.clone(),
            session,
        })?;
        Ok(Self { member, worker: plan.worker.to_string(), group, session, tasks, owned: 0 })
    }

    pub(super) fn poll(&mut self, wait: Duration) -> Result<(), LogError> {
        match self.member.poll(wait)? {
            Polled::Assigned(tasks) => self.owned = tasks.len(),
            Polled::Revoked(_) | Polled::Lost(_) => {
                self.owned = 0;
                self.member.release()?;
            }
            Polled::Batch(_) | Polled::End { .. } | Polled::Idle => {}
        }
        Ok(())
    }

    /// Waits until no one else is in the group: a member that was killed is gone after its session.
    pub(super) fn own_all(&mut self) -> Result<(), SeekError> {
        let waited = self.session * 2 + Duration::from_secs(1);
        let deadline = Instant::now() + waited;
        // The most that was given at once: at the deadline a rebalance may be under way.
        let mut most = 0;
        while self.owned < self.tasks as usize {
            if Instant::now() > deadline {
                let (worker, group) = (self.worker.clone(), self.group.clone());
                let (tasks, session) = (self.tasks, self.session);
                return Err(SeekError::Held { worker, group, owned: most, tasks, waited, session });
            }
            self.poll(Duration::from_millis(50))?;
            most = most.max(self.owned);
        }
        Ok(())
    }

    pub(super) fn still_all(&self) -> Result<(), SeekError> {
        if self.owned == self.tasks as usize {
            return Ok(());
        }
        Err(SeekError::Joined { worker: self.worker.clone(), group: self.group.clone() })
    }
}
