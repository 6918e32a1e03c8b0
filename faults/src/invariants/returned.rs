//! What was sent back: every letter that the audit journal names is there, each once, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tapewatch_consumers::redrive::{Entry, Kind};
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::dead_letter::Redriven;
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::TopicName;
use tapewatch_schemas::catalogue::{REDRIVES, dlq_topic, is_redrive, source_of};
use tapewatch_schemas::journal::OffsetRun;

use super::{Invariant, MOST, Violation};

/// A letter: where it stands.
type Place = (TopicName, i32, i64);

/// What is known of one letter.
#[derive(Debug, Default)]
struct Sent {
    /// How many records of it the audit journal names.
    named: u64,
    /// The records that are there: partition and offset of the first publication, and whether it was given up.
    found: BTreeSet<(i32, i64, bool)>,
    /// True if a person repaired it: what it holds under its own key is then given up beside it.
    repaired: bool,
}

pub(super) fn check(log: &Arc<dyn Log>, scanner: &mut Scanner) -> Result<Vec<Violation>, LogError> {
    let topics = log.topics()?;
    if !topics.iter().any(|info| info.name.as_str() == REDRIVES) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut letters = named(scanner, &mut found)?;
    let mut whole = true;
    for info in topics.iter().filter(|info| is_redrive(info.name.as_str())) {
        for partition in 0..info.partitions {
            let at = TopicPartition::new(info.name.clone(), partition);
            whole &= log.bounds(&at)?.earliest == 0;
            there(scanner, &at, &mut letters, &mut found)?;
        }
    }
    for ((topic, partition, letter), sent) in &letters {
        let records: BTreeSet<(i32, i64)> =
            sent.found.iter().map(|(from, offset, _)| (*from, *offset)).collect();
        let given_up_besides = records.len() < sent.found.len() && !sent.repaired;
        let there = records.len() as u64;
        // What retention has removed is not missed.
        if there > sent.named || (whole && there < sent.named) || given_up_besides {
            let besides = if given_up_besides { ", one of them given up besides" } else { "" };
            let text = format!("{there} of its records were sent back{besides}");
            let expected = format!("{}, as the audit journal names them", sent.named);
            let at = TopicPartition::new(topic.clone(), *partition);
            found.push(Violation::new(Invariant::Returned, text, expected).at(&at).offset(*letter));
        }
    }
    found.truncate(MOST);
    Ok(found)
}

/// What the audit journal names.
fn named(scanner: &mut Scanner, found: &mut Vec<Violation>) -> Result<BTreeMap<Place, Sent>, LogError> {
    let at = TopicPartition::new(REDRIVES, 0);
    let mut letters: BTreeMap<Place, Sent> = BTreeMap::new();
    scanner.scan::<LogError>(&at, 0, |record| {
        let entry: Entry = match serde_json::from_slice(record.value.unwrap_or_default()) {
            Ok(entry) => entry,
            Err(why) => {
                let violation =
                    Violation::new(Invariant::Returned, why.to_string(), "an entry that can be read");
                found.push(violation.at(&at).offset(record.offset));
                return Ok(());
            }
        };
        let topic = dlq_topic(entry.topic.as_str());
        let mut note = |letter: i64, records: u64| {
            let sent = letters.entry((topic.clone(), entry.partition, letter)).or_default();
            sent.named += records;
            sent.repaired |= entry.kind == Kind::Import;
        };
        entry.letters.iter().for_each(|run| (run.first..=run.last).for_each(|letter| note(letter, 1)));
        let length = |run: &OffsetRun| (run.last - run.first + 1) as u64;
        for behind in &entry.behind {
            note(behind.letter, behind.records.iter().map(length).sum());
        }
        Ok(())
    })?;
    Ok(letters)
}

/// What is there.
fn there(
    scanner: &mut Scanner,
    at: &TopicPartition,
    letters: &mut BTreeMap<Place, Sent>,
    found: &mut Vec<Violation>,
) -> Result<(), LogError> {
    let topic = dlq_topic(source_of(at.topic.as_str()));
    scanner
        .scan::<LogError>(at, 0, |record| {
            // What is nobody's is lettered by whoever reads it; what gives up all that is gone is of no letter.
            let Some(back) = Redriven::read(record).filter(|back| !back.through) else { return Ok(()) };
            let (partition, letter) = back.letter;
            let sent = letters.entry((topic.clone(), partition, letter)).or_default();
            if !sent.found.insert((back.source.partition, back.offset, back.discarded)) {
                let text = format!("offset {letter} of {topic}/{partition} was sent back again");
                let violation = Violation::new(Invariant::Returned, text, "each letter once");
                found.push(violation.at(at).offset(record.offset));
            }
            Ok(())
        })
        .map(drop)
}
