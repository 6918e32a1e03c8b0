//! Resident memory of `tapewatch up` at a steady rate; the producer is another process, this one.

use std::time::{Duration, Instant};

use tapewatch_schemas::catalogue as c;

use crate::Failure;
use crate::journals::Journals;
use crate::pace::Pace;
use crate::programs::Program;
use crate::progress::Progress;
use crate::readings::{median, percentile, resident_mib_of};
use crate::report::Report;
use crate::stage::{Stage, r_file, settings};

/// How long `up` may take to start, and to catch up at the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often memory is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Publishes `rate` events a second of R for `seconds`.
pub fn run(url: &str, rate: u64, seconds: u64) -> Result<Report, Failure> {
    let stage = Stage::open(settings(&r_file(), url)?)?;
    let mut journals = Journals::follow(&stage, c::RISK)?;
    let mut up = Program::start("tapewatch", url, &["up"])?;
    let mut pace = Pace::begin(&stage, 0)?;
    let mut taken = Taken::default();
    taken.wait("its first rounds", &mut journals, &mut up, |taken| taken.accounts > 0)?;

    pace.set_rate(rate);
    let (begun, mut progress) = (Instant::now(), Progress::new());
    let (mut samples, mut most) = (Vec::new(), 0.0);
    while begun.elapsed() < Duration::from_secs(seconds) {
        pace.keep()?;
        taken.take(&mut journals)?;
        if begun.elapsed() >= EVERY * (samples.len() as u32 + 1) {
            up.check()?;
            let (now, peak) = resident_mib_of(up.id());
            samples.push(now);
            most = peak;
            progress.say(|| format!("{} of {seconds} s, resident {now:.1} MiB", samples.len()));
        }
    }
    let produced = pace.sent() as f64 / begun.elapsed().as_secs_f64();
    // From the last event sent, not acknowledged: a Kafka client's flush may take longer than the workers do.
    let ended = Instant::now();
    pace.settle()?;
    taken.wait("the last reports", &mut journals, &mut up, |taken| taken.reports >= pace.reports)?;
    let behind = ended.elapsed();
    drop(progress);
    up.stop()?;

    let quarter = (samples.len() / 4).max(1);
    let mut report = Report::default();
    report.row("up: resident, median of samples a second apart", median(&samples), "MiB", "");
    let bar = "120 over 10 minutes (aim 60)";
    report.row("up: resident, most of these", percentile(&samples, 1.0), "MiB", bar);
    report.row("up: resident, most ever", most, "MiB", "");
    report.row("up: resident, median of the first quarter", median(&samples[..quarter]), "MiB", "");
    let last = &samples[samples.len() - quarter..];
    report.row("up: resident, median of the last quarter", median(last), "MiB", "");
    report.row("events published", produced, "events/s", "");
    report.row("behind the producer at the end", behind.as_secs_f64(), "s", "");
    Ok(report)
}

/// What the risk worker has journalled.
#[derive(Debug, Default)]
struct Taken {
    accounts: u64,
    reports: u64,
}

impl Taken {
    fn take(&mut self, journals: &mut Journals) -> Result<(), Failure> {
        for record in journals.next(Duration::from_millis(2))? {
            for range in record.inputs {
                match range.topic.as_str() {
                    c::ACCOUNTS => self.accounts += range.count as u64,
                    c::EXEC_REPORTS => self.reports += range.count as u64,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn wait(
        &mut self,
        what: &str,
        journals: &mut Journals,
        up: &mut Program,
        enough: impl Fn(&Self) -> bool,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        while !enough(self) {
            self.take(journals)?;
            up.check()?;
            if begun.elapsed() > PATIENCE {
                return Err(format!("{what} were not journalled within {PATIENCE:?}").into());
            }
        }
        Ok(())
    }
}
