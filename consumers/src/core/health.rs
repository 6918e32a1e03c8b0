//! What a task says of itself: that it is alive, and what went wrong.

use std::fmt::Write as _;

use tapewatch_eventlog::TopicPartition;
use tapewatch_monitors::{Ages, Output};
use tapewatch_schemas::events::{HealthKind, HealthStatus, Heartbeat, Progress, Provenance, SystemHealth};
use tapewatch_schemas::{Event, RecordId, worker_source};

use super::{Core, CoreState};
use crate::injected::Neighbour;

impl Core {
    /// Says that the task is alive, and what went wrong since it last said so.
    pub(super) fn beat(&mut self, closed: bool) {
        let CoreState { partition, clock, beats, .. } = self.state;
        let own = self.blueprint.progress.iter().map(|topic| (topic.clone(), partition));
        let spread = self.blueprint.spread.iter().flat_map(|topic| {
            let count = self.blueprint.routing.partitions.get(topic).copied().unwrap_or(0) as i32;
            (0..count).map(|number| (topic.clone(), number))
        });
        let progress = own.chain(spread).map(|place| Progress {
            last_sequence: self.state.last_written.get(&place).copied().unwrap_or(-1),
            topic: place.0,
            partition: place.1,
            complete_to: clock,
            closed,
        });
        let event = Event::Heartbeat(Heartbeat {
            source: worker_source(self.blueprint.worker.as_str(), partition),
            sequence: beats,
            event_time: clock,
            progress: progress.collect(),
        });
        self.report_counts();
        self.report_held();
        self.outputs.push(Output { event, ages: Ages::default() });
        self.state.beats += 1;
        if let Some(every) = self.blueprint.heartbeat_every {
            self.state.next_beat = Some(clock.floor_to(every) + every);
        }
    }

    fn report_held(&mut self) {
        let held = self.state.held.len() as u64;
        if std::mem::replace(&mut self.state.held_said, held) == held {
            return;
        }
        let (status, message) = match held {
            0 => (HealthStatus::Ok, "no key is held".to_owned()),
            _ if held >= self.blueprint.hold.most as u64 => (
                HealthStatus::Failed,
                format!(
                    "{held} keys are held behind dead letters, as many as may be: their topics are not read on \
                     until letters are sent back"
                ),
            ),
            _ => (HealthStatus::Degraded, format!("{held} keys are held behind dead letters")),
        };
        let health = self.health(HealthKind::HeldKeys, status, None, message);
        self.push(SystemHealth { count: Some(held as i64), ..health });
    }

    fn report_counts(&mut self) {
        let (now, before) = (self.state.counts, self.state.reported);
        self.state.reported = now;
        let was = self.state.degraded;
        let dead = (HealthKind::DeadLetters, now.dead - before.dead, "records were dead-lettered");
        let late = (HealthKind::Late, now.late - before.late, "records came behind the frontier");
        self.state.degraded = (dead.1 > 0, late.1 > 0);
        for ((kind, count, what), was) in [(dead, was.0), (late, was.1)] {
            let status = match (count, was) {
                (0, false) => continue,
                (0, true) => HealthStatus::Ok,
                _ => HealthStatus::Degraded,
            };
            let message = format!("{count} {what} since the last report");
            let health = self.health(kind, status, None, message);
            self.push(SystemHealth { count: Some(count as i64), ..health });
        }
    }

    /// Says that another task stopped, which cannot say so itself, or that it runs again.
    pub(super) fn report_neighbour(&mut self, body: &Neighbour) {
        let (worker, number) = (&self.blueprint.worker, body.partition);
        let (status, message) = if let Some(why) = &body.stopped {
            self.state.stopped.insert(number);
            (HealthStatus::Failed, format!("task {number} of {worker} is stopped, the others go on: {why}"))
        } else {
            self.state.stopped.remove(&number);
            (HealthStatus::Ok, format!("task {number} of {worker} was restored"))
        };
        let component = format!("{worker}/{number}");
        let health = self.health(HealthKind::TaskStopped, status, None, message);
        self.push(SystemHealth { component, ..health });
    }

    pub(super) fn report(
        &mut self,
        kind: HealthKind,
        status: HealthStatus,
        at: &TopicPartition,
        offset: i64,
        count: i64,
        message: String,
    ) {
        let health = self.health(kind, status, Some(at), message);
        self.push(SystemHealth { offset: Some(offset), count: Some(count), ..health });
    }

    fn health(
        &self,
        kind: HealthKind,
        status: HealthStatus,
        at: Option<&TopicPartition>,
        message: String,
    ) -> SystemHealth {
        let mut component = format!("{}/{}", self.blueprint.worker, self.state.partition);
        if let Some(at) = at {
            write!(component, "/{at}").expect("writing to a string does not fail");
        }
        SystemHealth {
            provenance: Provenance::default(),
            id: RecordId::default(),
            event_time: self.state.clock,
            component,
            kind,
            status,
            score: None,
            topic: at.map(|at| at.topic.clone()),
            input_partition: at.map(|at| at.partition),
            offset: None,
            count: None,
            message,
        }
    }

    fn push(&mut self, health: SystemHealth) {
        self.outputs.push(Output { event: Event::SystemHealth(health), ages: Ages::default() });
    }
}
