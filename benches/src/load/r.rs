//! Reference workload R, producer included, all workers in this process.

use std::time::{Duration, Instant};

use tapewatch_consumers::worker::wall;
use tapewatch_producers::{EventPublisher, PublishError};
use tapewatch_schemas::Event;
use tapewatch_schemas::catalogue::{self as c};

use crate::Failure;
use crate::hosted::Hosted;
use crate::readings::{cpu_seconds, median, percentile, resident_mib};
use crate::report::Report;
use crate::stage::{Stage, r_file, settings};
use crate::workload::Reference;

/// How much of it, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Events in all.
    pub events: u64,
    /// Events a second; as fast as possible if none.
    pub rate: Option<u64>,
}

/// Sends an event; waits for room where the queue is full.
pub fn send(publisher: &mut EventPublisher, event: &Event) -> Result<(), Failure> {
    loop {
        match publisher.send(event) {
            Ok(_) => return Ok(()),
            Err(PublishError::Full { .. }) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Runs it on a fresh log.
pub fn run(url: &str, extent: Extent) -> Result<Report, Failure> {
    let stage = Stage::open(settings(&r_file(), url)?)?;
    let partitions = stage.settings.topics.partitions;
    let tasks = u64::from(partitions);
    let mut reference = Reference::new(partitions);
    let mut publisher = stage.publisher()?;
    let (risk, alerting) = (Hosted::start(&stage, c::RISK)?, Hosted::start(&stage, c::ALERTING)?);
    for event in reference.accounts(wall()) {
        send(&mut publisher, &event)?;
    }
    publisher.flush(Duration::from_secs(60))?;
    risk.wait(Duration::from_secs(60), |seen| seen.of(c::ACCOUNTS) >= Reference::PORTFOLIOS as u64)?;

    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let (mut marks, mut reports) = (0, 0);
    let mut now = wall();
    for number in 0..extent.events {
        if number % 64 == 0 {
            now = wall();
        }
        let event = reference.next(now);
        match &event {
            Event::MarketData(_) => marks += 1,
            Event::ExecReport(_) => reports += 1,
            _ => {}
        }
        send(&mut publisher, &event)?;
        if let Some(rate) = extent.rate
            && number % (rate / 100).max(1) == 0
        {
            publisher.flush(Duration::from_secs(60))?;
            let due = Duration::from_secs_f64(number as f64 / rate as f64);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }
    for event in reference.last_orders(wall()) {
        send(&mut publisher, &event)?;
        reports += 1;
    }
    publisher.flush(Duration::from_secs(600))?;
    let produced = begun.elapsed();
    risk.wait(Duration::from_secs(60), |seen| {
        seen.of(c::EXEC_REPORTS) >= reports && seen.of(c::MARKET_DATA) >= marks * tasks
    })?;
    let ends = stage.ends(c::RISK_METRICS)?;
    alerting.wait(Duration::from_secs(60), |seen| seen.reached(&ends))?;
    let (took, used) = (begun.elapsed(), cpu_seconds() - cpu);
    let (now, most) = resident_mib();
    let seen = risk.stop()?;
    alerting.stop()?;

    let mut journal = 0;
    for worker in [c::RISK, c::ALERTING] {
        journal += stage.volume(c::journal_topic(worker).as_str())?.1;
    }
    let mut input = 0;
    for topic in [c::MARKET_DATA, c::EXEC_REPORTS, c::SIGNALS] {
        input += stage.volume(topic)?.1;
    }
    let events = extent.events as f64;
    let mut report = Report::default();
    report.row("R: events/s", events / took.as_secs_f64(), "events/s", "100,000 (aim 300,000), embedded");
    report.row("R: of these seconds, producing", produced.as_secs_f64() / took.as_secs_f64(), "", "");
    report.row("R: CPU", used / events * 1e6, "CPU-s a million", "");
    report.row(
        "R: journal, of the input bytes",
        100.0 * journal as f64 / input as f64,
        "%",
        "5 at 100,000/s",
    );
    report.row("R: bytes an event, key included", input as f64 / events, "B", "about 200");
    report.row("R: commit, median", median(&seen.commits), "ms", "");
    report.row("R: commit, p99", percentile(&seen.commits, 0.99), "ms", "");
    report.row("R: resident", now, "MiB", "");
    report.row("R: resident, most", most, "MiB", "120 at 10,000/s (aim 60)");
    Ok(report)
}
