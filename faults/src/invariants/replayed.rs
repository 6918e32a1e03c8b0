//! Deterministic: replay gives every byte again.

use std::sync::Arc;

use tapewatch_consumers::replay::{Range, Verifier};
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::catalogue::journal_topic;

use super::{Invariant, MOST, Terms, Violation, Watched};

pub(super) fn check(log: &Arc<dyn Log>, worker: &Watched, terms: &Terms) -> Result<Vec<Violation>, LogError> {
    let name = &worker.plan.worker;
    let mut verifier = Verifier::new(&worker.plan, Arc::clone(log), Range::default())?;
    let mut found = Vec::new();
    for task in 0..verifier.tasks() {
        let at = TopicPartition::new(journal_topic(name.as_str()), task);
        let report = verifier.verify(task, &mut |_, _| {})?;
        for finding in &report.differs {
            let place =
                finding.sequence.map_or_else(String::new, |sequence| format!("sequence {sequence}: "));
            let text = format!("{place}{}", finding.what);
            found.push(Violation::new(Invariant::Replayed, text, "what was written").of(name, task).at(&at));
        }
        if !terms.other_versions {
            for gap in &report.unverifiable {
                let text = format!("{gap}: {}", gap.why);
                let violation = Violation::new(Invariant::Replayed, text, "a journal that can be replayed");
                found.push(violation.of(name, task).at(&at));
            }
        }
    }
    found.truncate(MOST);
    Ok(found)
}
