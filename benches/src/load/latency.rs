//! From a fill's publisher to its alert in an independent reader's hands.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tapewatch_consumers::worker::wall;
use tapewatch_eventlog::Polled;
use tapewatch_producers::EventPublisher;
use tapewatch_schemas::Event;
use tapewatch_schemas::catalogue as c;
use tapewatch_schemas::partition::Partitioner;

use crate::Failure;
use crate::hosted::Hosted;
use crate::load::r::send;
use crate::peer::Peer;
use crate::readings::{millis, percentile};
use crate::report::Report;
use crate::stage::{Stage, r_file, settings};
use crate::workload::{Reference, breach};

/// Fills sent so long after the start do not count yet.
const WARM_UP: Duration = Duration::from_secs(10);
/// Portfolios whose fills take a position over its limit or back.
const PROBES: u64 = 20;

/// Publishes `rate` events a second of R for `seconds`, and beside them a fill every 50 ms that takes a
/// position over its limit or back; then again for each peer.
pub fn run(url: &str, rate: u64, seconds: u64, peers: &[Peer]) -> Result<Report, Failure> {
    let stage = Stage::open(settings(&r_file(), url)?)?;
    let (risk, alerting) = (Hosted::start(&stage, c::RISK)?, Hosted::start(&stage, c::ALERTING)?);
    let ready = |worker: &Hosted| worker.wait(Duration::from_secs(60), |seen| seen.ready.is_some());
    ready(&risk)?;
    ready(&alerting)?;
    let starts = stage.ends(c::EXEC_REPORTS)?;
    let mut scene = Scene::open(&stage, rate, seconds)?;
    let ours = scene.measure(c::ALERTS)?;
    risk.stop()?;
    alerting.stop()?;
    let mut report = Report::default();
    let (p50, p99) = (percentile(&ours, 0.5), percentile(&ours, 0.99));
    report.row("fill sent → alert read, p50", p50, "ms", "20 (aim 5), embedded");
    report.row("fill sent → alert read, p99", p99, "ms", "");
    report.row("fills that crossed a limit and were heard of", ours.len() as f64, "", "");
    for peer in peers {
        let mut running = peer.start(&stage, "latency")?;
        // It reads what the workers read before, so that its books are theirs, and has seen records when it counts.
        running.wait(&starts, scene.reports)?;
        let theirs = scene.measure(&running.alerts)?;
        running.stop()?;
        let name = &peer.name;
        report.row(format!("{name}: fill sent → alert read, p50"), percentile(&theirs, 0.5), "ms", "");
        report.row(format!("{name}: fill sent → alert read, p99"), percentile(&theirs, 0.99), "ms", "");
        report.row(format!("{name}: fills that were heard of"), theirs.len() as f64, "", "");
        let of = |ours: f64, p: f64| ours / percentile(&theirs, p);
        report.row(format!("p50, of {name}'s"), of(p50, 0.5), "×", "0.6 (aim 0.3), Kafka Streams");
        report.row(format!("p99, of {name}'s"), of(p99, 0.99), "×", "1 (aim 0.5), Kafka Streams");
    }
    Ok(report)
}

/// A fill that crossed a limit: whose, and when the alert was read.
type Heard = (String, Instant);

/// A log under R, and the fills that are heard of.
struct Scene<'a> {
    stage: &'a Stage,
    publisher: EventPublisher,
    reference: Reference,
    rate: u64,
    seconds: u64,
    /// The probes' next sequence number in each partition.
    sequences: BTreeMap<u32, i64>,
    /// Per probe: true if its next fill buys.
    buys: [bool; PROBES as usize],
    probes: u64,
    /// Execution reports sent.
    reports: u64,
}

impl<'a> Scene<'a> {
    fn open(stage: &'a Stage, rate: u64, seconds: u64) -> Result<Self, Failure> {
        let mut publisher = stage.publisher()?;
        let mut reference = Reference::new(stage.settings.topics.partitions);
        for event in reference.accounts(wall()) {
            send(&mut publisher, &event)?;
        }
        let (sequences, buys) = (BTreeMap::new(), [true; PROBES as usize]);
        Ok(Self { stage, publisher, reference, rate, seconds, sequences, buys, probes: 0, reports: 0 })
    }

    /// How long each alert took that was read of a topic, milliseconds, in the order in which they came.
    fn measure(&mut self, topic: &str) -> Result<Vec<f64>, Failure> {
        let (alerts, listener) = self.listen(topic)?;
        let begun = Instant::now();
        let mut outstanding = BTreeMap::<String, Instant>::new();
        let (mut delays, mut sent, mut tick) = (Vec::new(), 0_u64, 0_u64);
        while begun.elapsed() < WARM_UP + Duration::from_secs(self.seconds) {
            let due = (begun.elapsed().as_secs_f64() * self.rate as f64) as u64;
            while sent < due {
                let event = self.reference.next(wall());
                self.reports += u64::from(matches!(event, Event::ExecReport(_)));
                send(&mut self.publisher, &event)?;
                sent += 1;
            }
            let scope = format!("probe-{:02}", self.probes % PROBES);
            if tick.is_multiple_of(25) && !outstanding.contains_key(&scope) {
                self.probe(scope, &mut outstanding)?;
            }
            while let Ok(news) = alerts.try_recv() {
                if let Some((scope, at)) = news
                    && let Some(published) = outstanding.remove(&scope)
                    && published.duration_since(begun) > WARM_UP
                {
                    delays.push(millis(at.saturating_duration_since(published)));
                }
            }
            tick += 1;
            std::thread::sleep(Duration::from_millis(2));
        }
        drop(alerts);
        listener.join().map_err(|_| "the listener panicked")?;
        if delays.is_empty() {
            return Err(format!("none of {} breaches was alerted on in {topic}", self.probes).into());
        }
        Ok(delays)
    }

    /// Sends a fill that takes the next probe's position over its limit, or back.
    fn probe(&mut self, scope: String, outstanding: &mut BTreeMap<String, Instant>) -> Result<(), Failure> {
        let probe = (self.probes % PROBES) as usize;
        let partition = Partitioner::Murmur2.assign(scope.as_bytes(), self.stage.settings.topics.partitions);
        let sequence = self.sequences.entry(partition).or_default();
        outstanding.insert(scope, Instant::now());
        send(&mut self.publisher, &breach(probe, self.buys[probe], self.probes, *sequence, wall()))?;
        *sequence += 1;
        self.buys[probe] ^= true;
        self.probes += 1;
        self.reports += 1;
        self.publisher.flush(Duration::from_secs(10))?;
        Ok(())
    }

    /// Reads alerts of the position's limit from the topic's end on, until nobody wants them.
    fn listen(&self, topic: &str) -> Result<(Receiver<Option<Heard>>, JoinHandle<()>), Failure> {
        let (heard, alerts) = mpsc::channel();
        let mut reader = self.stage.log.reader()?;
        reader.assign(&self.stage.ends(topic)?)?;
        let codec = std::sync::Arc::clone(&self.stage.codec);
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
        Ok((alerts, listener))
    }
}
