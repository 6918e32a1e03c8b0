//! Job E: the risk worker over execution reports, against raw consumption of the same records and against peers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use tapewatch_consumers::worker::wall;
use tapewatch_eventlog::TopicPartition;
use tapewatch_schemas::Time;
use tapewatch_schemas::catalogue as c;

use crate::Failure;
use crate::figures::Figures;
use crate::hosted::Hosted;
use crate::load::r::send;
use crate::peer::Peer;
use crate::readings::{cpu_seconds, median};
use crate::report::Report;
use crate::stage::{Stage, job_e_file, settings};
use crate::workload::Executions;

/// Rates and CPU of one way of reading.
#[derive(Default)]
struct Runs {
    rates: Vec<f64>,
    cpu: Vec<f64>,
}

impl Runs {
    fn add(&mut self, records: u64, took: Duration, cpu: f64) {
        self.rates.push(records as f64 / took.as_secs_f64());
        self.cpu.push(cpu / records as f64 * 1e6);
    }
}

/// Reads `repetitions` times `records` reports by raw consumption, then all of them by the worker and by each peer.
pub fn run(url: &str, records: u64, repetitions: u32, peers: &[Peer]) -> Result<Report, Failure> {
    let stage = Stage::open(settings(&job_e_file(), url)?)?;
    let mut executions = Executions::new(stage.settings.topics.partitions, Arc::clone(&stage.codec));
    let mut publisher = stage.publisher()?;
    let spacing = 1_000;
    let span = i64::from(repetitions + 1) * records as i64 * spacing;
    let mut time = Time(wall().0 - span - 60_000_000);
    for event in executions.marks(time) {
        send(&mut publisher, &event)?;
    }
    publisher.flush(Duration::from_secs(60))?;
    // All of it is there before the worker starts, as after an outage: what is old enough moves the worker's
    // clock by its event times, and levels come due as they would live.
    let segments = u64::from(repetitions) + 1;
    let mut starts = Vec::new();
    for _ in 0..segments {
        starts.push(stage.ends(c::EXEC_REPORTS)?);
        for _ in 0..records {
            time = Time(time.0 + spacing);
            send(&mut publisher, &executions.next(time).0)?;
        }
        publisher.flush(Duration::from_secs(600))?;
    }
    let (mut job, mut raw) = (Runs::default(), Runs::default());
    if let Some(brokers) = url.strip_prefix("kafka:") {
        for starts in &starts[1..] {
            let cpu = cpu_seconds();
            let took = consume(brokers, starts, records)?;
            raw.add(records, took, cpu_seconds() - cpu);
        }
    }
    let risk = Hosted::start(&stage, c::RISK)?;
    // The first segment fills the windows of 500 and does not count; of a peer, neither.
    let mut before = None;
    for segment in 1..=segments {
        risk.wait(Duration::from_secs(60), |seen| seen.of(c::EXEC_REPORTS) >= segment * records)?;
        let now = (Instant::now(), cpu_seconds(), risk.seen().of(c::EXEC_REPORTS));
        if let Some((begun, cpu, taken)) = before.replace(now) {
            job.add(now.2 - taken, now.0.duration_since(begun), now.1 - cpu);
        }
    }
    let published = risk.stop()?.outputs;
    let mut report = Report::default();
    let (rate, yardstick) = (median(&job.rates), median(&raw.rates));
    report.row("job E: reports/s (median)", rate, "records/s", "");
    let share = 100.0 * published as f64 / (segments * records) as f64;
    report.row("job E: records published, of those read", share, "%", "");
    report.row("job E: CPU (median)", median(&job.cpu), "CPU-s a million", "");
    if !raw.rates.is_empty() {
        report.row("BaseConsumer::poll: reports/s (median)", yardstick, "records/s", "");
        report.row("BaseConsumer::poll: CPU (median)", median(&raw.cpu), "CPU-s a million", "");
        report.row("job E, of BaseConsumer::poll", 100.0 * rate / yardstick, "%", "25 (aim 50)");
    }
    if peers.is_empty() {
        return Ok(report);
    }
    let ours = Figures::read(&stage, c::RISK_METRICS)?;
    for peer in peers {
        let name = &peer.name;
        let (runs, compared) = compare(&stage, peer, &starts, records, &ours)?;
        report.row(format!("{name}: reports/s (median)"), median(&runs.rates), "records/s", "");
        report.row(format!("{name}: CPU (median)"), median(&runs.cpu), "CPU-s a million", "");
        let ratio = median(&runs.cpu) / median(&job.cpu);
        report.row(format!("job E, reports a CPU-second, of {name}"), ratio, "×", bar(name));
        report.row(format!("{name}: figures that are the risk worker's"), compared as f64, "", "");
    }
    Ok(report)
}

/// What we want to be compared with a peer, per CPU-second.
fn bar(peer: &str) -> &'static str {
    match peer {
        "python" => "15 (aim 30)",
        "streams" => "1.5 (aim 3)",
        _ => "",
    }
}

/// Lets a peer read all segments; how it did after the first, and how many of its figures are `ours`.
fn compare(
    stage: &Stage,
    peer: &Peer,
    starts: &[Vec<(TopicPartition, i64)>],
    records: u64,
    ours: &Figures,
) -> Result<(Runs, u64), Failure> {
    let mut runs = Runs::default();
    let mut running = peer.start(stage, "job-e")?;
    let mut before = None;
    for segment in 1..=starts.len() as u64 {
        let taken = running.wait(&starts[0], segment * records)?;
        let now = (Instant::now(), running.cpu_seconds(), taken);
        if let Some((begun, cpu, taken)) = before.replace(now) {
            runs.add(now.2 - taken, now.0.duration_since(begun), now.1 - cpu);
        }
    }
    let figures = running.figures.clone();
    running.stop()?;
    let compared = ours
        .confirm(&Figures::read(stage, &figures)?)
        .map_err(|error| format!("{} does another job: {error}", peer.name))?;
    Ok((runs, compared))
}

/// Reads the records from `starts` by [`BaseConsumer::poll`] and touches each value; counted from the first.
fn consume(brokers: &str, starts: &[(TopicPartition, i64)], records: u64) -> Result<Duration, Failure> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "tapewatch.bench.raw")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "10")
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.max.messages.kbytes", "262144")
        .create()?;
    let mut list = TopicPartitionList::new();
    for (at, offset) in starts {
        list.add_partition_offset(at.topic.as_str(), at.partition, Offset::Offset(*offset))?;
    }
    consumer.assign(&list)?;
    let (mut read, mut bytes, mut begun) = (0, 0, Instant::now());
    while read < records {
        let Some(message) = consumer.poll(Duration::from_secs(10)) else {
            return Err(format!("raw consumption stopped after {read} of {records} records").into());
        };
        bytes += message?.payload().map_or(0, <[u8]>::len);
        if read == 0 {
            begun = Instant::now();
        }
        read += 1;
    }
    std::hint::black_box(bytes);
    Ok(begun.elapsed())
}
