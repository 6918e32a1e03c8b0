//! What a person gives up: records that are journalled as skipped on purpose, a part at a time.

use tapewatch_eventlog::TopicPartition;
use tapewatch_schemas::Time;

use super::Task;
use crate::feed::Located;
use crate::injected::{Injected, Seek};
use crate::pending::Fate;

/// So many offsets are read together: what is skipped is streamed, never held.
pub const PART: i64 = 10_000;

/// A part of an input that is passed over.
pub struct Passed<'a> {
    /// Index of its lane.
    pub lane: usize,
    /// Its first offset, where the lane stands.
    pub from: i64,
    /// One past its last.
    pub to: i64,
    /// Who decides it.
    pub who: &'a str,
    /// Why.
    pub why: &'a str,
}

impl Task {
    /// Index of the lane of an input; none if it is no input of this task.
    pub fn lane_of(&self, at: &TopicPartition) -> Option<usize> {
        self.merge.lanes.iter().position(|lane| lane.at == *at)
    }

    /// Lets no probe look at a source, for as long as what stands before its breaker is being passed over; or lets
    /// probes look again.
    pub fn hold_probes(&mut self, of: Option<&TopicPartition>) {
        self.unprobed = of.cloned();
    }

    /// Takes records of a part as skipped. Gives the latest event time among them.
    pub fn pass_over(&mut self, lane: usize, from: i64, records: &[Located]) -> Option<Time> {
        let at = self.merge.lanes[lane].at.clone();
        let mut through = None;
        for (fetched, index) in records {
            let offset = fetched.batch.record(*index).offset;
            let inspected = &fetched.verdicts[*index];
            self.pending.take(lane, &at, from, offset, &inspected.digest, Fate::Sought);
            through = through.max(inspected.event_time());
        }
        through
    }

    /// The part is passed over: the lane stands behind it, and the monitor is told what it will not see. What a
    /// probe had looked at is forgotten.
    pub fn stand_behind(&mut self, part: &Passed<'_>, through: Option<Time>) {
        let Passed { lane, from, to, who, why } = *part;
        let at = self.merge.lanes[lane].at.clone();
        if from < to {
            self.pending.reach(lane, &at, from, to);
            let lane = &mut self.merge.lanes[lane];
            lane.position = to;
            lane.rewind();
            self.probes.remove(&at);
            self.refetch.push(at.clone());
        }
        self.inject(Injected::Seek(Seek {
            topic: at.topic,
            partition: at.partition,
            from,
            to,
            who: who.to_owned(),
            why: why.to_owned(),
            through,
            time: self.core.clock(),
        }));
    }
}
