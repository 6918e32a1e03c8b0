//! Workload R at a steady rate, sent from whatever else goes on.

use std::time::{Duration, Instant};

use tapewatch_consumers::worker::wall;
use tapewatch_producers::EventPublisher;
use tapewatch_schemas::Event;

use crate::Failure;
use crate::load::r::send;
use crate::stage::Stage;
use crate::workload::Reference;

/// Publishes so many events of R a second, whenever it is asked to.
pub struct Pace {
    publisher: EventPublisher,
    reference: Reference,
    rate: u64,
    begun: Instant,
    sent: u64,
    /// Events that were sent when the rate was set.
    base: u64,
    /// Execution reports among the events.
    pub reports: u64,
}

impl Pace {
    /// Begins now, with the portfolios' accounts.
    pub fn begin(stage: &Stage, rate: u64) -> Result<Self, Failure> {
        let mut publisher = stage.publisher()?;
        let mut reference = Reference::new(stage.settings.topics.partitions);
        for event in reference.accounts(wall()) {
            send(&mut publisher, &event)?;
        }
        publisher.flush(Duration::from_secs(60))?;
        Ok(Self { publisher, reference, rate, begun: Instant::now(), sent: 0, base: 0, reports: 0 })
    }

    /// So many events a second from now on.
    pub fn set_rate(&mut self, rate: u64) {
        (self.rate, self.begun, self.base) = (rate, Instant::now(), self.sent);
    }

    /// Sends what is due by now.
    pub fn keep(&mut self) -> Result<(), Failure> {
        let due = self.base + (self.begun.elapsed().as_secs_f64() * self.rate as f64) as u64;
        self.send_to(due)
    }

    /// Sends so many events more, however fast that is, and waits until they are acknowledged.
    pub fn burst(&mut self, events: u64) -> Result<(), Failure> {
        self.send_to(self.sent + events)?;
        self.settle()
    }

    /// Waits until all is acknowledged.
    pub fn settle(&mut self) -> Result<(), Failure> {
        self.publisher.flush(Duration::from_secs(60))?;
        Ok(())
    }

    /// Events so far, the accounts not counted.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    fn send_to(&mut self, due: u64) -> Result<(), Failure> {
        let now = wall();
        while self.sent < due {
            let event = self.reference.next(now);
            self.reports += u64::from(matches!(event, Event::ExecReport(_)));
            send(&mut self.publisher, &event)?;
            self.sent += 1;
        }
        Ok(())
    }
}
