//! From a fill's publisher to its alert in an independent reader's hands.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use tapewatch_consumers::worker::wall;
use tapewatch_eventlog::Polled;
use tapewatch_schemas::Event;
use tapewatch_schemas::catalogue as c;
use tapewatch_schemas::partition::Partitioner;

use crate::Failure;
use crate::hosted::Hosted;
use crate::load::r::send;
use crate::readings::{millis, percentile};
use crate::report::Report;
use crate::stage::{Stage, settings};
use crate::workload::{Reference, breach};

/// Publishes `rate` events a second of R for `seconds`, and beside them a fill every 50 ms that takes a
/// position over its limit or back.
pub fn run(url: &str, rate: u64, seconds: u64) -> Result<Report, Failure> {
    let stage = Stage::open(settings(None, url)?)?;
    let partitions = stage.settings.topics.partitions;
    let (risk, alerting) = (Hosted::start(&stage, c::RISK)?, Hosted::start(&stage, c::ALERTING)?);
    let ready = |worker: &Hosted| worker.wait(Duration::from_secs(60), |seen| seen.ready.is_some());
    ready(&risk)?;
    ready(&alerting)?;
    let mut publisher = stage.publisher()?;
    let mut reference = Reference::new(partitions);
    for event in reference.accounts(wall()) {
        send(&mut publisher, &event)?;
    }
    let (heard, alerts) = mpsc::channel();
    let mut reader = stage.log.reader()?;
    reader.assign(&stage.ends(c::ALERTS)?)?;
    let codec = std::sync::Arc::clone(&stage.codec);
    let listener = std::thread::spawn(move || {
        loop {
            let Ok(Polled::Batch(batch)) = reader.poll(Duration::from_millis(20)) else {
                if heard.send(None).is_err() {
                    return;
                }
                continue;
            };
            let now = Instant::now();
            for record in batch.iter() {
                if let Ok(Event::Alert(alert)) = codec.decode(c::ALERTS, record.value.unwrap_or_default())
                    && alert.rule == "limit_breached"
                    && alert.subject == "position"
                    && heard.send(Some((alert.scope, now))).is_err()
                {
                    return;
                }
            }
        }
    });

    let begun = Instant::now();
    let mut sequences = std::collections::BTreeMap::<u32, i64>::new();
    let mut buys = [true; 20];
    let mut outstanding = std::collections::BTreeMap::<String, Instant>::new();
    let (mut delays, mut sent, mut probes) = (Vec::new(), 0_u64, 0_u64);
    let mut tick = 0_u64;
    while begun.elapsed() < Duration::from_secs(seconds) {
        let due = (begun.elapsed().as_secs_f64() * rate as f64) as u64;
        while sent < due {
            send(&mut publisher, &reference.next(wall()))?;
            sent += 1;
        }
        let probe = (probes % 20) as usize;
        let scope = format!("probe-{probe:02}");
        if tick.is_multiple_of(25) && !outstanding.contains_key(&scope) {
            let partition = Partitioner::Murmur2.assign(scope.as_bytes(), partitions);
            let sequence = sequences.entry(partition).or_default();
            outstanding.insert(scope, Instant::now());
            send(&mut publisher, &breach(probe, buys[probe], probes, *sequence, wall()))?;
            *sequence += 1;
            buys[probe] ^= true;
            probes += 1;
            publisher.flush(Duration::from_secs(10))?;
        }
        while let Ok(news) = alerts.try_recv() {
            if let Some((scope, at)) = news
                && let Some(published) = outstanding.remove(scope.as_str())
                && begun.elapsed() > Duration::from_secs(2)
            {
                delays.push(millis(at.saturating_duration_since(published)));
            }
        }
        tick += 1;
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(alerts);
    listener.join().map_err(|_| "the listener panicked")?;
    risk.stop()?;
    alerting.stop()?;
    if delays.is_empty() {
        return Err(format!("none of {probes} breaches was alerted on").into());
    }
    let mut report = Report::default();
    report.row("fill sent → alert read, p50", percentile(&delays, 0.5), "ms", "20 (aim 5), embedded");
    report.row("fill sent → alert read, p99", percentile(&delays, 0.99), "ms", "");
    report.row("fills that crossed a limit and were heard of", delays.len() as f64, "", "");
    Ok(report)
}
