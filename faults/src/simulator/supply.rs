//! What is written to the inputs: slices of a tape, with duplicates, late records and poison among them.

use std::sync::Arc;
use std::time::Duration;

use tapewatch_eventlog::{Log, LogError, OutRecord, Round};
use tapewatch_schemas::{Codec, Time};

use super::random::Random;
use super::scenario::Scenario;
use crate::tape::{Fill, Tape, poison};

/// Where tapes begin; under the tape's clock no other time is known.
const TAPE_BEGINS: Time = Time(1_600_000_000_000_000);
pub(super) const PORTFOLIOS: [&str; 6] = ["p0", "p1", "p2", "p3", "p4", "p5"];
const SYMBOLS: [&str; 3] = ["BTC-USD", "ETH-USD", "SOL-USD"];

/// What was written that should not have been.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spoilt {
    pub(super) duplicates: u64,
    pub(super) poison: u64,
    /// Records in bursts, and others that no schema fits.
    pub(super) bad: u64,
    pub(super) bursts: u64,
    pub(super) late: u64,
    pub(super) early: u64,
}

/// Writes slices. Under the tape's clock they are the same ones whenever they are asked for.
pub(super) struct Supply {
    tape: Tape,
    random: Random,
    /// Whether a record comes on a whole second. Its own, so that seeds mean else what they meant.
    seconds: Random,
    on_tape: bool,
    promised: bool,
    /// True if keys are held, or letters come back: whose letters they are matters then.
    returning: bool,
    slice: u64,
    /// How many slices there were.
    pub(super) given: u64,
    pub(super) spoilt: Spoilt,
}

impl Supply {
    pub(super) fn new(scenario: &Scenario, log: &dyn Log, codec: &Arc<Codec>) -> Result<Self, LogError> {
        Ok(Self {
            tape: Tape::new(log, Arc::clone(codec), TAPE_BEGINS)?,
            random: Random::of(scenario.seed, "supply"),
            seconds: Random::of(scenario.seed, "seconds"),
            on_tape: scenario.tape,
            promised: scenario.promised,
            returning: scenario.hold || scenario.returns > 0,
            slice: scenario.slice,
            given: 0,
            spoilt: Spoilt::default(),
        })
    }

    /// The next slice, with its heartbeats. `wall` is when it is written.
    pub(super) fn next(&mut self, wall: Time) -> Round {
        let count = self.random.within(self.slice / 2 + 1, self.slice * 2);
        let mut records = Vec::new();
        let began = self.begin(wall);
        for _ in 0..count {
            self.tick(wall);
            records.push(self.record(began));
        }
        // Of every seed some slice has each.
        if self.given % 3 == 1 || self.random.chance(1_000) {
            self.duplicate(&mut records);
        }
        if self.given % 4 == 2 || self.random.chance(1_000) {
            self.poison(&mut records);
        }
        if !self.promised && self.random.chance(600) {
            self.burst(&mut records);
        }
        self.tick(wall);
        records.extend(self.tape.beats(false));
        self.given += 1;
        Round { records, offsets: Vec::new() }
    }

    /// Good records in every partition, as many as close a breaker; with the last heartbeats, if `closed`.
    pub(super) fn good(&mut self, wall: Time, closed: bool) -> Round {
        self.begin(wall);
        let mut records = Vec::new();
        for _ in 0..4 {
            for portfolio in PORTFOLIOS {
                self.tick(wall);
                let fill = Fill { portfolio, symbol: SYMBOLS[0], quantity: 1, price: 100 };
                records.push(self.tape.fill(fill));
                records.push(self.tape.account(portfolio, 900_000, 1_000_000));
            }
            for symbol in SYMBOLS {
                records.push(self.tape.mark(symbol, 100));
            }
        }
        self.tick(wall);
        records.extend(self.tape.beats(closed));
        Round { records, offsets: Vec::new() }
    }

    /// The partition that a key belongs to.
    pub(super) fn partition(&self, topic: &str, key: &str) -> i32 {
        self.tape.partition(topic, key)
    }

    /// The time at which a slice begins.
    fn begin(&mut self, wall: Time) -> Time {
        if !self.on_tape {
            self.tape.now = wall;
        }
        self.tape.now
    }

    fn tick(&mut self, wall: Time) {
        if self.on_tape {
            let next = self.tape.now + Duration::from_millis(self.random.within(1, 900));
            // Deadlines fall on whole seconds: some records of each seed come in the same instant.
            let whole = next.floor_to(Duration::from_secs(1));
            self.tape.now = if whole > self.tape.now && self.seconds.chance(5_000) { whole } else { next };
        } else {
            self.tape.now = wall;
        }
    }

    fn record(&mut self, began: Time) -> OutRecord {
        let now = self.tape.now;
        if self.random.chance(500) {
            // Late by up to five minutes; or, where promises hold, no earlier than the last one.
            let back = Duration::from_millis(self.random.below(300_000));
            let late = Time(now.0 - i64::try_from(back.as_micros()).unwrap_or(0));
            self.tape.now = if self.promised { late.max(began) } else { late };
            self.spoilt.late += 1;
        } else if self.returning && !self.on_tape && self.random.chance(300) {
            self.tape.now = now + Duration::from_millis(self.random.within(5_500, 12_000));
            self.spoilt.early += 1;
        }
        let portfolio = *self.random.pick(&PORTFOLIOS);
        let symbol = *self.random.pick(&SYMBOLS);
        let price = 90 + self.random.below(20) as i64;
        let record = match self.random.below(10) {
            0..4 => self.tape.mark(symbol, price),
            4..9 => {
                let quantity = self.random.within(1, 40) as i64 - 20;
                let quantity = if quantity == 0 { 1 } else { quantity * 20 };
                self.tape.fill(Fill { portfolio, symbol, quantity, price })
            }
            _ => self.tape.account(portfolio, 500_000, 400_000 + self.random.below(600_000) as i64),
        };
        self.tape.now = now;
        record
    }

    /// A producer sends a record twice. Before a later one of its partition, whose sequence number tells when
    /// both are there.
    fn duplicate(&mut self, records: &mut Vec<OutRecord>) {
        for _ in 0..10 {
            let at = self.random.below(records.len() as u64) as usize;
            let again = records[..at].iter().rfind(|record| record.target == records[at].target).cloned();
            if let Some(again) = again {
                records.insert(at, again);
                self.spoilt.duplicates += 1;
                return;
            }
        }
    }

    /// A record that cannot be decoded. Between two good ones of its partition: its place in the merge is that
    /// of the one before it, and when it is there is told by the one behind it.
    fn poison(&mut self, records: &mut Vec<OutRecord>) {
        for _ in 0..10 {
            let at = self.random.below(records.len() as u64) as usize;
            let target = records[at].target.clone();
            if records[..at].iter().any(|record| record.target == target) {
                let bad = self.bad(&records[at]);
                records.insert(at, bad);
                self.spoilt.poison += 1;
                self.spoilt.bad += 1;
                return;
            }
        }
    }

    /// A bad record in the place of a good one.
    fn bad(&self, like: &OutRecord) -> OutRecord {
        let bad = poison(like.target.clone());
        if self.returning { OutRecord { key: like.key.clone(), ..bad } } else { bad }
    }

    fn burst(&mut self, records: &mut Vec<OutRecord>) {
        let at = self.random.below(records.len() as u64) as usize;
        // Of all keys that there are, where that matters.
        let same = |record: &&OutRecord| self.returning && record.target == records[at].target;
        let mut like: Vec<&OutRecord> = records.iter().filter(same).collect();
        if like.is_empty() {
            like.push(&records[at]);
        }
        let count = self.random.within(6, 30) as usize;
        let bad: Vec<OutRecord> = like.into_iter().cycle().take(count).map(|like| self.bad(like)).collect();
        self.spoilt.bad += bad.len() as u64;
        records.splice(at..at, bad);
        self.spoilt.bursts += 1;
    }
}
