//! Nothing is lost: consumed = processed + dead-lettered + skipped, per worker, task and source partition,
//! counted from the source itself; and the group's offsets are the journal's positions.

use std::sync::Arc;

use tapewatch_consumers::audit::{Line, Subject, audit};
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::catalogue::journal_topic;

use super::{Invariant, MOST, Violation, Watched};

pub(super) fn check(log: &Arc<dyn Log>, worker: &Watched) -> Result<Vec<Violation>, LogError> {
    let found = audit(log, &Subject::from(&worker.plan), &mut |_| {})?;
    let mut violations = Vec::new();
    for head in &found.heads {
        let at = TopicPartition::new(journal_topic(found.worker.as_str()), head.task);
        for problem in &head.problems {
            let violation = Violation::new(Invariant::Accounted, problem, "a journal without a gap");
            violations.push(violation.of(&found.worker, head.task).at(&at));
        }
    }
    for line in &found.lines {
        violations.extend(of_line(line));
    }
    violations.truncate(MOST);
    Ok(violations)
}

fn of_line(line: &Line) -> Vec<Violation> {
    let at = TopicPartition::new(line.topic.clone(), line.partition);
    let place = |violation: Violation| violation.of(&line.worker, line.task).at(&at);
    let mut violations: Vec<Violation> = line
        .problems
        .iter()
        .map(|problem| {
            let counts = format!(
                "the {} records that are there from offset {} to {} consumed, each processed, dead-lettered or skipped",
                line.counted, line.from, line.position
            );
            place(Violation::new(Invariant::Accounted, problem, counts))
        })
        .collect();
    if !line.broadcast && line.group_offset.is_some_and(|offset| offset != line.position)
        || !line.broadcast && line.group_offset.is_none() && line.consumed > 0
    {
        let found = line.group_offset.map_or_else(
            || "the group has no offset there".to_owned(),
            |offset| format!("the group stands at offset {offset}"),
        );
        let violation = Violation::new(Invariant::Accounted, found, "the journal's position");
        violations.push(place(violation.offset(line.position)));
    }
    violations
}
