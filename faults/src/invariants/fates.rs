//! What came back: no record is processed twice, whichever way it came; and where keys are held, a key's records are
//! processed in the order in which they were published first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::vec;

use tapewatch_consumers::inspect::PASSED;
use tapewatch_consumers::pending::SOUGHT;
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::dead_letter::Redriven;
use tapewatch_eventlog::{Log, LogError, RecordRef, TopicPartition};
use tapewatch_schemas::TopicName;
use tapewatch_schemas::catalogue::{is_redrive, journal_topic, redrive_topic, source_of};
use tapewatch_schemas::journal::{Excluded, InputRange, JournalRecord, OffsetRun, Run};

use super::{Invariant, MOST, Violation, Watched};

/// A record of an input.
struct Input {
    offset: i64,
    key: Option<Box<[u8]>>,
    /// Where it was published first: partition and offset.
    first: (i32, i64),
}

/// The inputs of which something came back, by partition, in the order of their offsets.
type Inputs = BTreeMap<TopicPartition, Vec<Input>>;

pub(super) fn check(
    log: &Arc<dyn Log>,
    scanner: &mut Scanner,
    watched: &Watched,
) -> Result<Vec<Violation>, LogError> {
    let inputs = inputs(log, scanner, watched)?;
    let mut found = Vec::new();
    if inputs.is_empty() {
        return Ok(found);
    }
    let topic = journal_topic(watched.plan.worker.as_str());
    let tasks = log.topics()?.iter().find(|info| info.name == topic).map_or(0, |info| info.partitions);
    for number in 0..tasks {
        let mut task = Task {
            watched,
            number,
            inputs: &inputs,
            step: 0,
            processed: HashMap::new(),
            last: HashMap::new(),
        };
        scanner.scan::<LogError>(&TopicPartition::new(topic.clone(), number), 0, |record| {
            // One that cannot be read is told of by the account of the journal.
            if let Ok(record) = JournalRecord::open(record.value.unwrap_or_default()) {
                task.round(&record, &mut found);
            }
            Ok(())
        })?;
    }
    found.truncate(MOST);
    Ok(found)
}

/// Reads every input of which something came back, and what came back.
fn inputs(log: &Arc<dyn Log>, scanner: &mut Scanner, watched: &Watched) -> Result<Inputs, LogError> {
    let plan = &watched.plan;
    let topics = log.topics()?;
    let mut found = Inputs::new();
    for topic in plan.own.iter().chain(&plan.broadcast).filter(|topic| !is_redrive(topic.as_str())) {
        let back = redrive_topic(topic.as_str());
        let both = topics.iter().filter(|info| info.name == *topic || info.name == back);
        let places: Vec<TopicPartition> = both
            .flat_map(|info| {
                (0..info.partitions).map(|number| TopicPartition::new(info.name.clone(), number))
            })
            .collect();
        let mut came = false;
        for at in places.iter().filter(|at| at.topic == back) {
            came |= log.bounds(at)?.end > 0;
        }
        for at in places.into_iter().filter(|_| came) {
            let mut records = Vec::new();
            scanner.scan::<LogError>(&at, 0, |record| {
                records.push(Input::of(record));
                Ok(())
            })?;
            found.insert(at, records);
        }
    }
    Ok(found)
}

impl Input {
    fn of(record: &RecordRef<'_>) -> Self {
        let back = if is_redrive(record.topic.as_str()) { Redriven::read(record) } else { None };
        let first =
            back.map_or((record.partition, record.offset), |back| (back.source.partition, back.offset));
        Self { offset: record.offset, key: record.key.map(Into::into), first }
    }
}

/// One task, followed through its journal.
struct Task<'a> {
    watched: &'a Watched,
    number: i32,
    inputs: &'a Inputs,
    step: u64,
    /// The step that took a record, by topic and first publication.
    processed: HashMap<(TopicName, (i32, i64)), u64>,
    /// Of a key that can be held the newest record that was processed, and its step.
    last: HashMap<(TopicName, &'a [u8]), (i64, u64)>,
}

/// What is left of one input range of a journal record.
struct Left<'r, 'a> {
    range: &'r InputRange,
    /// The records that take a step; none of an input that does not matter here.
    steps: vec::IntoIter<&'a Input>,
    /// Those that are not processed.
    unprocessed: Vec<OffsetRun>,
}

impl<'a> Task<'a> {
    fn round(&mut self, record: &JournalRecord, found: &mut Vec<Violation>) {
        self.step = record.first_step as u64;
        let mut lefts: Vec<Left<'_, 'a>> =
            record.inputs.iter().map(|range| self.left(record, range)).collect();
        for run in &record.order {
            for _ in 0..run.count {
                let left = if run.input == Run::INJECTED { None } else { lefts.get_mut(run.input as usize) };
                if let Some(left) = left
                    && let Some(input) = left.steps.next()
                    && !covers(&left.unprocessed, input.offset)
                {
                    self.process(left.range, input, found);
                }
                self.step += 1;
            }
        }
    }

    fn left<'r>(&self, record: &'r JournalRecord, range: &'r InputRange) -> Left<'r, 'a> {
        let listed = |list: &[Excluded], wanted: &dyn Fn(&str) -> bool| -> Vec<OffsetRun> {
            let of_range = |one: &&Excluded| {
                one.topic == range.topic && one.partition == range.partition && wanted(&one.reason)
            };
            let mut runs: Vec<OffsetRun> =
                list.iter().filter(of_range).flat_map(|one| one.runs.iter().copied()).collect();
            runs.sort_unstable_by_key(|run| run.first);
            runs
        };
        let no_step = listed(&record.skipped, &|reason| reason == PASSED || reason == SOUGHT);
        let mut unprocessed = listed(&record.dead_letters, &|_| true);
        unprocessed.extend(listed(&record.skipped, &|_| true));
        unprocessed.sort_unstable_by_key(|run| run.first);
        let at = TopicPartition::new(range.topic.clone(), range.partition);
        let inputs: &'a Inputs = self.inputs;
        let all = inputs.get(&at).map_or(&[][..], Vec::as_slice);
        let from = all.partition_point(|input| input.offset < range.from);
        let to = all.partition_point(|input| input.offset < range.to).max(from);
        let steps: Vec<&'a Input> =
            all[from..to].iter().filter(|input| !covers(&no_step, input.offset)).collect();
        Left { range, steps: steps.into_iter(), unprocessed }
    }

    fn process(&mut self, range: &InputRange, input: &'a Input, found: &mut Vec<Violation>) {
        let topic = TopicName::from(source_of(range.topic.as_str()));
        let (worker, step) = (&self.watched.plan.worker, self.step);
        let mut tell = |invariant, text: String, expected: &str| {
            let at = TopicPartition::new(range.topic.clone(), range.partition);
            let violation = Violation::new(invariant, text, expected).of(worker, self.number);
            found.push(violation.at(&at).offset(input.offset).step(step));
        };
        let (partition, offset) = input.first;
        if let Some(before) = self.processed.insert((topic.clone(), input.first), step) {
            let text = format!("{topic}/{partition} offset {offset} was processed by step {before}, too");
            tell(Invariant::Once, text, "every record processed once");
        }
        let Some(key) = &input.key else { return };
        // What was repaired and belongs to another partition now stands in no order here.
        if !self.watched.plan.blueprint.hold.topics.contains(&topic) || partition != range.partition {
            return;
        }
        let before = self.last.insert((topic.clone(), key.as_ref()), (offset, step));
        if let Some((newer, before)) = before.filter(|(newer, _)| *newer > offset) {
            let text = format!(
                "{topic}/{partition} offset {offset} was processed after offset {newer} of its key {}, which step \
                 {before} took",
                String::from_utf8_lossy(key)
            );
            tell(Invariant::Ordered, text, "a key that is held behind its dead letter");
        }
    }
}

fn covers(runs: &[OffsetRun], offset: i64) -> bool {
    runs.iter().any(|run| (run.first..=run.last).contains(&offset))
}
