//! Deadlines: none is lost and none is met twice.
//!
//! What must be there is derived from the outputs alone, whose event times are their task's clock: beats at
//! the boundaries that the clock passed, and levels at the end of every interval in which a book changed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tapewatch_schemas::Time;

use super::journals::Journals;
use super::outputs::{Kind, Made, Outputs};
use super::{Invariant, MOST, Violation, Watched};

pub(super) fn check(watched: &Watched, journals: &Journals, outputs: &Outputs) -> Vec<Violation> {
    let mut found = rising(journals);
    for task in 0..journals.tasks.len() as i32 {
        let mut made: Vec<&Made> = outputs.made.iter().filter(|made| made.task == task).collect();
        made.sort_by_key(|made| (made.step, made.index));
        let mut checking = Checking { outputs, task, found: &mut found };
        if let Some(every) = watched.plan.blueprint.heartbeat_every {
            checking.beats(&made, every);
        }
        if let Some(every) = watched.levels {
            checking.levels(&made, every);
        }
    }
    found.truncate(MOST);
    found
}

/// The ticks of a task's journal rise: the same instant twice is a tick too many.
fn rising(journals: &Journals) -> Vec<Violation> {
    let mut found = Vec::new();
    for (task, entries) in journals.tasks.iter().enumerate() {
        let mut last: Option<Time> = None;
        for (entry, tick) in
            entries.iter().flat_map(|entry| entry.ticks.iter().map(move |tick| (entry, *tick)))
        {
            if let Some(before) = last.filter(|before| *before >= tick) {
                let text = format!("journal sequence {} ticks at {tick} after {before}", entry.sequence);
                let violation = Violation::new(Invariant::Ticked, text, "instants that rise");
                found.push(violation.of(&journals.worker, task as i32).step(entry.first_step));
            }
            last = Some(tick);
        }
    }
    found
}

struct Checking<'a> {
    outputs: &'a Outputs,
    task: i32,
    found: &'a mut Vec<Violation>,
}

impl Checking<'_> {
    /// A task beats at the last boundary that its clock has passed, before it does anything behind it.
    fn beats(&mut self, made: &[&Made], every: Duration) {
        let mut clock: Option<Time> = None;
        let mut next = 0;
        let mut last: Option<Time> = None;
        for step in made.chunk_by(|one, other| one.step == other.step) {
            for made in step {
                let Kind::Beat { sequence, closed } = made.kind else { continue };
                if sequence != next {
                    self.tell(made, format!("beat {sequence}"), format!("beat {next}"));
                }
                next = sequence + 1;
                // One at the end of a tape stands where the tape ends, and is no interval's.
                if closed {
                    continue;
                }
                let boundary = made.clock.floor_to(every);
                if let Some(before) = last.filter(|before| *before >= boundary) {
                    self.tell(
                        made,
                        format!("a beat at {} after one at {before}", made.clock),
                        "one an interval",
                    );
                }
                last = Some(boundary);
            }
            let Some(made) = step.first() else { continue };
            let passed = Time(made.clock.0.saturating_sub(1)).floor_to(every);
            let owed = clock.is_some_and(|clock| clock.floor_to(every) < passed);
            if owed && last < Some(passed) {
                self.tell(
                    made,
                    format!("an output at {} and no beat at {passed}", made.clock),
                    "the beat before it",
                );
            }
            clock = clock.max(Some(made.clock));
        }
    }

    /// Every interval in which a book of a scope changed has one level of it, at its end; and no instant has
    /// two.
    fn levels(&mut self, made: &[&Made], every: Duration) {
        let reached = made.iter().map(|made| made.clock).max();
        let mut levels: BTreeSet<(&[u8], Time)> = BTreeSet::new();
        for level in made.iter().filter(|made| made.kind == Kind::Level) {
            if level.clock.floor_to(every) != level.clock {
                self.tell(
                    level,
                    format!("a level at {}", level.clock),
                    format!("one at a multiple of {every:?}"),
                );
            }
            if !levels.insert((&level.key, level.clock)) {
                self.tell(level, format!("the level of {} again", level.clock), "one an interval");
            }
        }
        let mut owed: BTreeMap<(&[u8], Time), &Made> = BTreeMap::new();
        for book in made.iter().filter(|made| made.kind == Kind::Book && made.cause.is_some()) {
            let end = book.clock.floor_to(every) + every;
            // At a boundary it is this one's, if something was due there already, or the next one's.
            let at_once =
                book.clock.floor_to(every) == book.clock && levels.contains(&(&book.key, book.clock));
            if !at_once && reached > Some(end) {
                owed.insert((&book.key, end), book);
            }
        }
        for ((key, end), book) in owed {
            if !levels.contains(&(key, end)) {
                let key = String::from_utf8_lossy(key);
                self.tell(
                    book,
                    format!("the book of {key} changed at {}, and no level at {end}", book.clock),
                    "it",
                );
            }
        }
    }

    fn tell(&mut self, made: &Made, found: impl Into<String>, expected: impl Into<String>) {
        let violation =
            Violation::new(Invariant::Ticked, found, expected).of(&self.outputs.worker, self.task);
        self.found.push(violation.at(self.outputs.place(made)).offset(made.offset).step(made.step));
    }
}
