//! The independent count: every readable record of a source partition, and every letter about it.

use std::collections::BTreeMap;

use tapewatch_eventlog::dead_letter::{Letter, RangeBody};
use tapewatch_eventlog::{LogError, TopicPartition};
use tapewatch_schemas::catalogue::{dlq_topic, is_redrive};
use tapewatch_schemas::journal::OffsetRun;

use super::walk::{Draft, Runs};
use super::{Line, Subject};
use crate::pending::SOUGHT;
use crate::scan::Scanner;

/// The dead letters of one worker about one source partition.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// By the task that wrote them.
    of_tasks: BTreeMap<i32, Written>,
    /// Letters that cannot be read.
    problems: Vec<String>,
}

/// What one task's letters are about.
#[derive(Debug, Default)]
struct Written {
    runs: Runs,
    /// Offsets that more than one letter is about.
    doubled: i64,
}

impl Letters {
    /// Reads them.
    pub(super) fn of(
        scanner: &mut Scanner,
        subject: &Subject,
        source: &TopicPartition,
    ) -> Result<Self, LogError> {
        let at = TopicPartition::new(dlq_topic(source.topic.as_str()), source.partition);
        let mut found = Self::default();
        scanner.scan::<LogError>(&at, 0, |record| {
            let Some(letter) = Letter::read(record) else {
                // Told once, not again with what comes back.
                if !is_redrive(source.topic.as_str()) {
                    found
                        .problems
                        .push(format!("{at} offset {}: no dead letter of tapewatch's", record.offset));
                }
                return Ok(());
            };
            let (input, offset) = letter.input();
            if letter.worker != subject.worker.as_str() || input != *source {
                return Ok(());
            }
            let runs = &mut found.of_tasks.entry(letter.task).or_default().runs.0;
            if !letter.range {
                runs.push(OffsetRun { first: offset, last: offset });
                return Ok(());
            }
            match RangeBody::read(record.value.unwrap_or_default()) {
                Ok(body) => runs.extend(body.reasons.into_iter().flat_map(|entry| entry.runs)),
                Err(why) => found.problems.push(format!("{at} offset {}: {why}", record.offset)),
            }
            Ok(())
        })?;
        for written in found.of_tasks.values_mut() {
            written.doubled = written.runs.sort();
        }
        Ok(found)
    }
}

/// What one pass over a source partition counts for one line.
struct Tally<'a> {
    draft: Draft,
    /// The task's letters.
    written: Option<&'a Written>,
    /// Letters that cannot be read; told once, by the task with the partition's number.
    unreadable: &'a [String],
    counted: i64,
    dead: i64,
    letters: i64,
    skipped: BTreeMap<String, i64>,
    lag: i64,
    unlettered: Option<i64>,
    unaccounted: Option<i64>,
}

/// Reads a source partition once, to its end, for all tasks that read it.
pub(super) fn count(
    scanner: &mut Scanner,
    at: &TopicPartition,
    drafts: Vec<Draft>,
    letters: &Letters,
    tasks: i32,
) -> Result<Vec<Line>, LogError> {
    let mut tallies: Vec<Tally> = drafts.into_iter().map(|draft| Tally::new(draft, letters, tasks)).collect();
    let from = tallies.iter().map(|tally| tally.draft.from).min().unwrap_or(0);
    scanner.scan::<LogError>(at, from, |record| {
        tallies.iter_mut().for_each(|tally| tally.count(record.offset));
        Ok(())
    })?;
    Ok(tallies.into_iter().map(Tally::line).collect())
}

impl<'a> Tally<'a> {
    fn new(draft: Draft, letters: &'a Letters, tasks: i32) -> Self {
        let tells = !draft.broadcast || draft.at.partition.rem_euclid(tasks) == draft.task;
        Self {
            written: letters.of_tasks.get(&draft.task),
            unreadable: if tells { &letters.problems } else { &[] },
            draft,
            counted: 0,
            dead: 0,
            letters: 0,
            skipped: BTreeMap::new(),
            lag: 0,
            unlettered: None,
            unaccounted: None,
        }
    }

    fn count(&mut self, offset: i64) {
        if offset < self.draft.from {
            return;
        }
        if offset >= self.draft.position {
            self.lag += 1;
            return;
        }
        self.counted += 1;
        let dead = self.draft.dead.cover(offset);
        self.dead += i64::from(dead);
        for (reason, runs) in &self.draft.skipped {
            if runs.cover(offset) {
                *self.skipped.entry(reason.clone()).or_default() += 1;
            }
        }
        // A range letter is written before what it lists is read again: a seek between the two passes that over.
        let sought = self.draft.skipped.get(SOUGHT).is_some_and(|runs| runs.cover(offset));
        let lettered = !sought && self.written.is_some_and(|written| written.runs.cover(offset));
        self.letters += i64::from(lettered);
        if dead && !lettered {
            self.unlettered.get_or_insert(offset);
        }
        if lettered && !dead {
            self.unaccounted.get_or_insert(offset);
        }
    }

    fn line(self) -> Line {
        let Self { draft, counted, dead, skipped, lag, .. } = self;
        let mut problems = draft.problems;
        let excluded = skipped.values().sum::<i64>();
        if draft.consumed != counted {
            problems.push(format!("{} were consumed, {counted} are there", draft.consumed));
        }
        if draft.consumed != draft.processed + dead + excluded {
            problems.push(format!(
                "{} were consumed, {} processed + {dead} dead-lettered + {excluded} skipped are accounted for",
                draft.consumed, draft.processed
            ));
        }
        if let Some(offset) = self.unlettered {
            problems.push(format!("offset {offset} was dead-lettered, and no letter is about it"));
        }
        if let Some(offset) = self.unaccounted {
            problems.push(format!("a letter is about offset {offset}, which was not dead-lettered"));
        }
        let doubled = self.written.map_or(0, |written| written.doubled);
        if doubled > 0 {
            problems.push(format!("{doubled} offsets have more than one letter"));
        }
        problems.extend(self.unreadable.iter().cloned());
        Line {
            worker: draft.worker,
            task: draft.task,
            topic: draft.at.topic,
            partition: draft.at.partition,
            broadcast: draft.broadcast,
            from: draft.from,
            position: draft.position,
            group_offset: None,
            gone: draft.gone,
            consumed: draft.consumed,
            processed: draft.processed,
            dead,
            skipped,
            counted,
            letters: self.letters,
            lag,
            problems,
        }
    }
}
