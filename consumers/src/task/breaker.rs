//! A source's breaker, live: it opens, is probed, and closes.

use tapewatch_eventlog::TopicPartition;
use tapewatch_schemas::Time;

use super::Task;
use crate::injected::{Injected, SourceDown, SourceUp};
use crate::letters::Letters;
use crate::merge::Patience;
use crate::probe::Probe;

impl Task {
    /// Opens the breaker of a lane's source at an offset. `earliest` is when, if the clock does not run yet.
    pub(super) fn open_breaker(&mut self, lane: usize, offset: i64, earliest: Time) {
        let at = self.merge.lanes[lane].at.clone();
        let breaker = self.core.breaker(&at);
        self.merge.lanes[lane].down = true;
        self.inject(Injected::SourceDown(SourceDown {
            topic: at.topic,
            partition: at.partition,
            offset,
            failures: breaker.failed(),
            calls: breaker.calls(),
            time: if self.core.clock() == Time::MIN { earliest } else { self.core.clock() },
        }));
    }

    /// Looks ahead at sources that have been down for long enough.
    pub(super) fn probe(&mut self, patience: Patience, letters: &Letters) {
        for index in 0..self.merge.active() {
            if !self.merge.lanes[index].down {
                continue;
            }
            let at = self.merge.lanes[index].at.clone();
            if self.unprobed.as_ref() == Some(&at) {
                continue;
            }
            let Some(since) = self.core.breaker(&at).open_since() else { continue };
            let now = match patience {
                Patience::Wall { now, .. } => now.max(self.core.clock()),
                Patience::Tape | Patience::LockStep => self.core.clock(),
            };
            // Once nothing more comes on the tape, its clock stands: waiting would be for ever.
            let over = !matches!(patience, Patience::Wall { .. }) && self.merge.others_closed();
            if now < since + letters.breaker.wait && !over {
                continue;
            }
            let lane = &mut self.merge.lanes[index];
            let probe =
                self.probes.entry(at.clone()).or_insert_with(|| Probe::new(at.clone(), lane.position));
            let mut good = false;
            while !good && !probe.exhausted(letters.breaker.probe_limit) {
                let Some((fetched, head)) = lane.head_shared() else { break };
                let record = fetched.batch.record(head);
                good = probe.look(&record, &fetched.verdicts[head], letters.breaker.permitted);
                lane.pass_over();
            }
            if good {
                self.close_breaker(&at, None, letters);
            }
        }
    }

    /// Closes the breaker of `at`: its bad records so far go into one range letter, and it is read again
    /// from where it stopped. `by` names who closed it by hand and why.
    pub fn close_breaker(&mut self, at: &TopicPartition, by: Option<(String, String)>, letters: &Letters) {
        let Some(lane) = self.merge.lane_mut(at).filter(|lane| lane.down) else { return };
        let from = lane.position;
        let probe = self.probes.remove(at).unwrap_or_else(|| Probe::new(at.clone(), from));
        let broadcast = lane.broadcast;
        lane.down = false;
        lane.rewind();
        if !broadcast || at.partition.rem_euclid(self.tasks) == self.core.partition() {
            self.letters.extend(letters.range_letter(self.core.partition(), &probe.range));
        }
        self.refetch.push(at.clone());
        self.inject(Injected::SourceUp(SourceUp {
            topic: at.topic.clone(),
            partition: at.partition,
            from,
            to: probe.to,
            bad: probe.range.count() as i64,
            time: self.core.clock(),
            by,
        }));
    }
}
