//! Exactly once: the outputs that a committed reader sees are those that the journal counts, none of them
//! twice, none missing, none that no journal record knows.

use super::journals::{Entry, Journals};
use super::outputs::{Made, Outputs};
use super::{Invariant, MOST, Violation};

pub(super) fn check(journals: &Journals, outputs: &Outputs) -> Vec<Violation> {
    let mut found = Vec::new();
    for (task, entries) in journals.tasks.iter().enumerate() {
        let task = task as i32;
        let mut made: Vec<&Made> = outputs.made.iter().filter(|made| made.task == task).collect();
        made.sort_by_key(|made| (made.step, made.index));
        Counting { outputs, task, found: &mut found }.count(entries, &made);
    }
    for made in outputs.made.iter().filter(|made| made.task < 0 || made.task as usize >= journals.tasks.len())
    {
        let violation = Violation::new(
            Invariant::Once,
            format!("an output of task {}", made.task),
            format!("one of the {} tasks", journals.tasks.len()),
        );
        found.push(violation.at(outputs.place(made)).offset(made.offset).step(made.step));
    }
    found.truncate(MOST);
    found
}

struct Counting<'a> {
    outputs: &'a Outputs,
    task: i32,
    found: &'a mut Vec<Violation>,
}

impl Counting<'_> {
    /// Goes through journal and outputs side by side, both in the order of steps.
    fn count(&mut self, entries: &[Entry], made: &[&Made]) {
        let mut rest = made;
        for entry in entries {
            let before = rest.partition_point(|made| made.step < entry.first_step);
            self.unknown(&rest[..before]);
            let end = rest.partition_point(|made| made.step < entry.end_step).max(before);
            self.compare(entry, &rest[before..end]);
            rest = &rest[end..];
        }
        self.unknown(rest);
    }

    fn unknown(&mut self, made: &[&Made]) {
        for made in made {
            self.tell(
                made,
                "an output of a step that no journal record has",
                "its journal record, in its transaction",
            );
        }
    }

    fn compare(&mut self, entry: &Entry, made: &[&Made]) {
        let mut before: Option<&Made> = None;
        let mut distinct = 0;
        for made in made {
            let next = match before {
                Some(last) if last.step == made.step => last.index + 1,
                _ => 0,
            };
            if before.is_some_and(|last| (last.step, last.index) == (made.step, made.index)) {
                let found = format!("output {} of the step again", made.index);
                self.tell(made, found, "every output once");
                continue;
            }
            if made.index != next {
                let found = format!("output {} of the step", made.index);
                self.tell(made, found, format!("output {next} before it"));
            }
            distinct += 1;
            before = Some(made);
        }
        if distinct != entry.outputs {
            let (first, last) = (entry.first_step, entry.end_step.saturating_sub(1));
            let found = format!("{distinct} outputs of the steps {first} to {last}");
            let expected = format!("{}, as journal sequence {} counts", entry.outputs, entry.sequence);
            let violation = Violation::new(Invariant::Once, found, expected);
            self.found.push(violation.of(&self.outputs.worker, self.task).step(first));
        }
    }

    fn tell(&mut self, made: &Made, found: impl Into<String>, expected: impl Into<String>) {
        let violation = Violation::new(Invariant::Once, found, expected).of(&self.outputs.worker, self.task);
        self.found.push(violation.at(self.outputs.place(made)).offset(made.offset).step(made.step));
    }
}
