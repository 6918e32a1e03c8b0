//! What a subscriber of the outputs sees: alerts as they fire, the latest figures of each portfolio, and what the judge
//! asks the log itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_producers::{Body, FoundAlert, Slice, Witness};
use tapewatch_schemas::catalogue::{ALERTS, CONTROL, CONTROL_REQUESTS, HOLDINGS, MARKET_DATA, RISK_METRICS};
use tapewatch_schemas::events::{Alert, AlertState, Control, RiskMetrics};
use tapewatch_schemas::{Codec, Event, TopicName};

/// Follows the outputs.
pub(super) struct Watch {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    scanner: Scanner,
    positions: BTreeMap<TopicPartition, i64>,
    /// The latest figures of each portfolio.
    pub(super) latest: BTreeMap<String, RiskMetrics>,
    /// The alerts that stand, by fingerprint.
    pub(super) open: BTreeMap<String, Alert>,
    found: Vec<FoundAlert>,
    /// Where in them those stand that are open, by fingerprint.
    places: BTreeMap<String, usize>,
    witness: Witness,
    fired: u64,
    resolved: u64,
}

impl Watch {
    /// From the beginning of the log.
    pub(super) fn new(log: Arc<dyn Log>, codec: Arc<Codec>, witness: Witness) -> Result<Self, LogError> {
        let mut positions = BTreeMap::new();
        for topic in log.topics()? {
            if [ALERTS, CONTROL, HOLDINGS, RISK_METRICS].contains(&topic.name.as_str()) {
                for partition in 0..topic.partitions {
                    positions.insert(TopicPartition::new(topic.name.clone(), partition), 0);
                }
            }
        }
        let scanner = Scanner::new(Arc::clone(&log))?;
        Ok(Self {
            log,
            codec,
            scanner,
            positions,
            latest: BTreeMap::new(),
            open: BTreeMap::new(),
            found: Vec::new(),
            places: BTreeMap::new(),
            witness,
            fired: 0,
            resolved: 0,
        })
    }

    /// Takes the marks and acknowledgements of a slice that is about to be written.
    pub(super) fn inputs(&mut self, slice: &Slice) {
        for record in &slice.records {
            if let Body::Event(event) = &record.body
                && [CONTROL_REQUESTS, MARKET_DATA].contains(&record.topic)
            {
                self.witness.see(record.partition, event);
            }
        }
    }

    /// Reads what came since, and returns what it says trading is allowed to do, in order for each scope.
    pub(super) fn catch_up(&mut self) -> Result<Vec<Control>, LogError> {
        let mut controls = Vec::new();
        let partitions: Vec<(TopicPartition, i64)> =
            self.positions.iter().map(|(at, from)| (at.clone(), *from)).collect();
        for (at, from) in partitions {
            let mut events = Vec::new();
            let codec = Arc::clone(&self.codec);
            let end = self.scanner.scan::<LogError>(&at, from, |record| {
                events.extend(codec.decode(record.topic.as_str(), record.value.unwrap_or_default()).ok());
                Ok(())
            })?;
            let partition = at.partition;
            self.positions.insert(at, end);
            for event in events {
                self.witness.see(partition, &event);
                match event {
                    Event::Control(control) => controls.push(control),
                    other => self.take(other),
                }
            }
        }
        Ok(controls)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::RiskMetrics(figures) => {
                self.latest.insert(figures.scope.to_string(), figures);
            }
            Event::Alert(alert) if alert.state == AlertState::Resolved => {
                self.resolved += 1;
                self.open.remove(&alert.fingerprint);
                if let Some(place) = self.places.remove(&alert.fingerprint) {
                    self.found[place].resolved = Some(alert.event_time);
                }
            }
            Event::Alert(alert) => {
                self.fired += 1;
                self.places.insert(alert.fingerprint.clone(), self.found.len());
                self.found.push(FoundAlert::from(&alert));
                self.open.insert(alert.fingerprint.clone(), alert);
            }
            _ => {}
        }
    }

    /// Every alert that fired.
    pub(super) fn found(&self) -> &[FoundAlert] {
        &self.found
    }

    /// What the log says besides.
    pub(super) fn witness(&self) -> &Witness {
        &self.witness
    }

    /// How many fired, and how many of them were resolved.
    pub(super) fn alerts(&self) -> (u64, u64) {
        (self.fired, self.resolved)
    }

    /// How many records the workers have written, by topic.
    pub(super) fn derived_records(&self) -> Result<BTreeMap<String, i64>, LogError> {
        let derived = |name: &TopicName| {
            let listed = tapewatch_consumers::workers::NAMES;
            let outputs = listed.iter().filter_map(|name| tapewatch_schemas::catalogue::worker(name));
            outputs.flat_map(|worker| worker.outputs).any(|output| *output == name.as_str())
        };
        let mut counts = BTreeMap::new();
        for topic in self.log.topics()?.iter().filter(|topic| derived(&topic.name)) {
            let mut count = 0;
            for partition in 0..topic.partitions {
                let bounds = self.log.bounds(&TopicPartition::new(topic.name.clone(), partition))?;
                count += bounds.end - bounds.earliest;
            }
            counts.insert(topic.name.to_string(), count);
        }
        Ok(counts)
    }
}
