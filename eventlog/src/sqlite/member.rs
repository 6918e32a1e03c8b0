//! A member of a group: heartbeats and notices inside `poll`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tapewatch_schemas::{Time, time::micros_of};

use super::group::{self, SqliteFence, Who};
use super::job::{Handle, Job};
use super::reader::SqliteReader;
use super::store::{Failed, Store};
use crate::{Fence, GroupSpec, LogError, Member, Polled, Reader, TopicPartition};

/// The [`Member`] of the embedded log.
pub(super) struct SqliteMember {
    reader: SqliteReader,
    handle: Arc<Handle>,
    spec: GroupSpec,
    incarnation: i64,
    /// The newest generation that this member was assigned in, or has seen itself get nothing in.
    generation: i64,
    tasks: Vec<i32>,
    phase: Phase,
    last_beat: Time,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// In the group, with nothing (yet).
    Waiting,
    /// Has tasks.
    Holding,
    /// Was told to give them up and has not released them.
    Revoked,
    /// Was told that they are gone and has not released them.
    Lost,
    /// Has left.
    Left,
}

impl SqliteMember {
    /// Joins the group.
    pub(super) fn join(handle: Arc<Handle>, spec: &GroupSpec) -> Result<Self, LogError> {
        let now = handle.shared.now();
        let incarnation = join(&handle, spec)?;
        Ok(Self {
            reader: SqliteReader::new(Arc::clone(&handle)),
            handle,
            spec: spec.clone(),
            incarnation,
            generation: 0,
            tasks: Vec::new(),
            phase: Phase::Waiting,
            last_beat: now,
        })
    }

    fn name(&self) -> (String, String, i64) {
        (self.spec.group.clone(), self.spec.instance.clone(), self.incarnation)
    }

    /// Renews the lease four times a session. Nobody waits for it: what it changes is seen like any other
    /// news.
    fn beat(&mut self) -> Result<(), LogError> {
        let now = self.handle.shared.now();
        // A clock that was set back says nothing of how long it was.
        let early = (0..micros_of(self.spec.session / 4)).contains(&now.since(self.last_beat));
        if early || self.phase == Phase::Left {
            return Ok(());
        }
        self.last_beat = now;
        let (group, instance, incarnation) = self.name();
        self.handle.submit(Job::Run(Box::new(move |store| {
            let shared = Arc::clone(&store.shared);
            let beaten = store.transact("renewing a lease", |conn, now| {
                group::beat(conn, (&group, &instance, incarnation), now)
                    .map_err(|error| shared.failure("renewing a lease", &error))
            });
            match beaten {
                Ok(true) => store.show_groups(),
                Ok(false) => {}
                Err(failed) => {
                    let error = failed.into_error();
                    tracing::warn!(group, instance, %error, "the lease was not renewed");
                }
            }
        })))
    }

    /// What the group has to say.
    fn notice(&mut self) -> Result<Option<Polled>, LogError> {
        let view = self.handle.shared.group(&self.spec.group).unwrap_or_default();
        let me = view.members.get(&self.spec.instance);
        match (self.phase, me) {
            (Phase::Left, _) => {
                let doing = format!("polling the group {}", self.spec.group);
                Err(self.handle.shared.backend(&doing, "this member has left it"))
            }
            (Phase::Lost, _) => Ok(None),
            (Phase::Waiting, Some(me)) if me.incarnation == self.incarnation => {
                if view.draining {
                    // Given in a generation that was over before it was seen: nobody else will release it.
                    if me.tasks > 0 {
                        self.change("releasing partitions", group::release)?;
                    }
                    return Ok(None);
                }
                if view.generation <= self.generation {
                    return Ok(None);
                }
                self.generation = view.generation;
                if me.tasks == 0 {
                    return Ok(None);
                }
                self.phase = Phase::Holding;
                self.tasks = (me.first_task..me.first_task + me.tasks).collect();
                Ok(Some(Polled::Assigned(self.tasks.clone())))
            }
            (Phase::Holding, Some(me)) if me.incarnation == self.incarnation => {
                if !view.draining && view.generation == self.generation {
                    return Ok(None);
                }
                self.phase = Phase::Revoked;
                self.stop_reading();
                Ok(Some(Polled::Revoked(self.tasks.clone())))
            }
            (Phase::Revoked, Some(me)) if me.incarnation == self.incarnation => Ok(None),
            (Phase::Holding | Phase::Revoked, _) => {
                self.phase = Phase::Lost;
                self.stop_reading();
                Ok(Some(Polled::Lost(self.tasks.clone())))
            }
            (Phase::Waiting, Some(_)) => {
                let doing = format!("polling the group {}", self.spec.group);
                let why = format!(
                    "another process has joined as {} and has taken its place. If both are to run, give each a \
                     name of its own: runtime.instance, or TAPEWATCH_RUNTIME__INSTANCE",
                    self.spec.instance
                );
                Err(self.handle.shared.backend(&doing, why))
            }
            (Phase::Waiting, None) => {
                self.incarnation = join(&self.handle, &self.spec)?;
                self.last_beat = self.handle.shared.now();
                Ok(None)
            }
        }
    }

    fn stop_reading(&mut self) {
        let topics = &self.spec.topics;
        self.reader.drop_if(|at| topics.contains(&at.topic));
    }

    fn change(
        &self,
        doing: &'static str,
        change: fn(&rusqlite::Connection, Who<'_>, Time) -> rusqlite::Result<()>,
    ) -> Result<(), LogError> {
        let (group, instance, incarnation) = self.name();
        self.handle.run(move |store| {
            let shared = Arc::clone(&store.shared);
            let changed = store.transact(doing, |conn, now| {
                change(conn, (&group, &instance, incarnation), now)
                    .map_err(|error| shared.failure(doing, &error))
            });
            store.show_groups();
            changed.map_err(Failed::into_error)
        })?
    }
}

fn join(handle: &Arc<Handle>, spec: &GroupSpec) -> Result<i64, LogError> {
    let spec = spec.clone();
    handle.run(move |store: &mut Store| {
        let shared = Arc::clone(&store.shared);
        let joined = store.transact("joining a group", |conn, now| group::join(conn, &shared, &spec, now));
        store.show_groups();
        joined.map_err(Failed::into_error)
    })?
}

impl Reader for SqliteMember {
    fn poll(&mut self, wait: Duration) -> Result<Polled, LogError> {
        let deadline = Instant::now() + wait;
        let handle = Arc::clone(&self.handle);
        loop {
            let seen = handle.shared.news.version();
            self.beat()?;
            if let Some(polled) = self.notice()? {
                return Ok(polled);
            }
            if let Some(polled) = self.reader.next()? {
                return Ok(polled);
            }
            let next_beat = Instant::now() + self.spec.session / 4;
            if !handle.shared.news.wait(seen, deadline.min(next_beat)) && Instant::now() >= deadline {
                return Ok(Polled::Idle);
            }
        }
    }

    fn assign(&mut self, starts: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.reader.assign(starts)
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.reader.unassign(partitions)
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.reader.pause(partitions)
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.reader.resume(partitions)
    }
}

impl Member for SqliteMember {
    fn fence(&self) -> Result<Fence, LogError> {
        if !matches!(self.phase, Phase::Holding | Phase::Revoked) {
            let doing = format!("proving membership of the group {}", self.spec.group);
            return Err(self.handle.shared.backend(&doing, "this member has no partitions"));
        }
        let (group, instance, incarnation) = self.name();
        let token = SqliteFence { group: group.clone(), instance, incarnation, generation: self.generation };
        Ok(Fence { group, token: Arc::new(token) })
    }

    fn release(&mut self) -> Result<(), LogError> {
        if !matches!(self.phase, Phase::Revoked | Phase::Lost) {
            return Ok(());
        }
        self.change("releasing partitions", group::release)?;
        self.phase = Phase::Waiting;
        self.tasks.clear();
        Ok(())
    }

    fn leave(&mut self) -> Result<(), LogError> {
        if self.phase == Phase::Left {
            return Ok(());
        }
        self.stop_reading();
        self.change("leaving a group", group::leave)?;
        self.phase = Phase::Left;
        self.tasks.clear();
        Ok(())
    }
}
