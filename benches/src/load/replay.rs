//! `replay --verify` of workload R, and its ratio to the live rate of the same run.

use std::thread::available_parallelism;
use std::time::Instant;

use tapewatch_consumers::replay::{Range, Verdict, Verifier, verify_on_threads};
use tapewatch_consumers::workers;

use super::r;
use crate::Failure;
use crate::readings::{cpu_seconds, resident_mib};
use crate::report::Report;
use crate::stage::{Stage, r_file, settings};

/// Runs so many events of R as fast as they go, then verifies all that every worker wrote.
pub fn run(url: &str, events: u64) -> Result<Report, Failure> {
    let live = r::run(url, r::Extent { events, rate: None })?;
    let rate = live.value("R: events/s").ok_or("the live run has no rate")?;
    let stage = Stage::open(settings(&r_file(), url)?)?;
    let threads = available_parallelism().map_or(1, usize::from);
    let before = resident_mib().0;
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let (mut inputs, mut outputs) = (0, 0);
    for name in workers::wanted(&stage.settings) {
        let plan = workers::plan(name, &stage.settings, &*stage.log, "replay")?;
        let tasks = Verifier::new(&plan, stage.log.clone(), Range::default())?.tasks();
        let of: Vec<i32> = (0..tasks).collect();
        for report in verify_on_threads(&plan, &stage.log, Range::default(), (&of, threads), &|_, _| {})? {
            if report.verdict() != Verdict::Verified {
                return Err(format!("what was just written does not verify: {report:?}").into());
            }
            inputs += report.inputs;
            outputs += report.outputs;
        }
    }
    let (took, used) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let replayed = events as f64 / took;
    let mut report = Report::default();
    report.row("R, live: events/s", rate, "events/s", "");
    report.row("R, replayed and verified: events/s", replayed, "events/s", "100,000");
    report.row("replayed, of the live rate", replayed / rate, "×", "");
    report.row("replay: CPU", used / events as f64 * 1e6, "CPU-s a million", "");
    report.row("replay: inputs of all tasks", inputs as f64 / took, "inputs/s", "");
    report.row("replay: outputs compared", outputs as f64, "", "");
    report.row("resident before the replay", before, "MiB", "");
    report.row("resident, most ever", resident_mib().1, "MiB", "");
    Ok(report)
}
