//! Deterministic: where the merge rests on promises alone, what was done to the workers shows in no byte.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tapewatch_consumers::Worker;
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::faults::Plan;
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::catalogue::HEARTBEATS;

use super::finding::Finding;
use super::instance::Instance;
use super::scenario::Scenario;
use super::stock::Variant;
use super::supply::Supply;
use super::time::Clockwork;
use super::trace::Trace;
use super::world::{FIRST, fresh_log};
use crate::invariants::from;

/// Turns within which the whole tape must be done.
const TURNS: u32 = 100_000;

/// What each task wrote by step and index, with its place: what it says, but for the cause where that is the
/// offset of a heartbeat. Workers' own heartbeats stand between the sources', where rounds were cut.
type Written = BTreeMap<(i32, u64, u32), String>;

/// What a comparison came to.
pub(super) enum Compared {
    /// They are the same.
    Same,
    /// They are not; or the run without faults failed.
    Differs(Finding),
    /// A breaker opened. When it closes is up to how far the log had been read then, so the merge does not rest
    /// on promises alone.
    Broken,
}

/// Compares the first worker's outputs with those of a run without faults.
pub(super) fn compare(
    scenario: &Scenario,
    variant: &Variant,
    log: &Arc<dyn Log>,
) -> Result<Compared, LogError> {
    let alone = match without_faults(scenario, variant)? {
        Ok(alone) => alone,
        Err(finding) => return Ok(Compared::Differs(finding)),
    };
    let (expected, found) = (written(&alone, variant)?, written(log, variant)?);
    if expected.values().any(|output| output.contains("\"cause\":\"source_down@")) {
        return Ok(Compared::Broken);
    }
    let steps: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let differs = steps.into_iter().find(|step| expected.get(step) != found.get(step));
    Ok(differs.map_or(Compared::Same, |step| {
        let (task, number, index) = step;
        let shown = |written: &Written| written.get(step).map_or("nothing", String::as_str).to_owned();
        let (found, expected) = (shown(&found), shown(&expected));
        let text = format!("task {task} step {number} output {index}:\n  {found}\n  {expected}");
        Compared::Differs(Finding::Differs(text))
    }))
}

/// The same input, taken by one process to which nothing happens.
fn without_faults(scenario: &Scenario, variant: &Variant) -> Result<Result<Arc<dyn Log>, Finding>, LogError> {
    let clockwork = Arc::new(Clockwork::default());
    let log = fresh_log(scenario, variant, &clockwork)?;
    let codec = &variant.worker(FIRST).inspector.codec;
    let mut supply = Supply::new(scenario, &*log, codec)?;
    let mut feeder = log.writer("supply")?;
    while supply.given < scenario.slices {
        // What a commit says is what the audit of the log would say.
        let _ = feeder.commit(&supply.next(clockwork.wall()), None);
    }
    let _ = feeder.commit(&supply.good(clockwork.wall(), true), None);
    let plan = variant.plan(FIRST, "alone", scenario);
    let mut instance = Instance::new((FIRST, plan), &log, Plan::quiet(), &clockwork, 0);
    let mut trace = Trace::default();
    let mut failed = instance.start(&mut trace);
    for _ in 0..TURNS {
        if failed.is_some() {
            break;
        }
        failed = instance.turn(&mut trace).1;
        clockwork.pass(Duration::from_millis(5));
        let tasks = || instance.worker().into_iter().flat_map(Worker::tasks);
        if tasks().count() == scenario.partitions as usize && tasks().all(|task| task.core.is_closed()) {
            failed = instance.stop(&mut trace);
            return Ok(failed.map_or(Ok(log), Err));
        }
    }
    Ok(Err(failed.unwrap_or_else(|| Finding::Stuck("the tape does not end, without any fault".to_owned()))))
}

fn written(log: &Arc<dyn Log>, variant: &Variant) -> Result<Written, LogError> {
    let plan = variant.worker(FIRST);
    let codec = &plan.inspector.codec;
    let mut scanner = Scanner::new(Arc::clone(log))?;
    let mut written = Written::new();
    for (topic, count) in &plan.blueprint.routing.partitions {
        for partition in 0..*count as i32 {
            let at = TopicPartition::new(topic.clone(), partition);
            scanner.scan::<LogError>(&at, 0, |record| {
                let Some((task, step, index)) = from(record, plan.worker.as_str()) else { return Ok(()) };
                let event = codec.decode(topic.as_str(), record.value.unwrap_or_default());
                let body = event.map(|mut event| {
                    if let Some(derived) = event.derived()
                        && derived.provenance.cause.starts_with(HEARTBEATS)
                    {
                        HEARTBEATS.clone_into(&mut derived.provenance.cause);
                    }
                    codec.to_json(&event).to_string()
                });
                let key = String::from_utf8_lossy(record.key.unwrap_or_default());
                written.insert((task, step, index), format!("{at} {key}: {}", body.unwrap_or_default()));
                Ok(())
            })?;
        }
    }
    Ok(written)
}
