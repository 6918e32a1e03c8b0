//! A person at a desk, mid-run: sends dead letters back or gives them up, is cut off at it and does it again, and
//! skips what stands before an open breaker.

use std::sync::Arc;

use tapewatch_consumers::redrive::{Filter, RedriveError, Release, Request, redrive, release, survey};
use tapewatch_eventlog::faults::{FaultyLog, Plan, Rates};
use tapewatch_eventlog::{CommitError, Log, LogError};
use tapewatch_schemas::catalogue::{
    ACCOUNTS, EXEC_REPORTS, HEARTBEATS, MARKET_DATA, RISK_METRICS, SYSTEM_HEALTH, is_redrive,
};
use tapewatch_schemas::{Reason, TopicName};

use super::finding::Finding;
use super::random::Random;
use super::scenario::Scenario;
use super::supply::PORTFOLIOS;
use super::world::{FIRST, World};

/// The topics that have letters.
const TOPICS: [&str; 6] = [EXEC_REPORTS, ACCOUNTS, MARKET_DATA, HEARTBEATS, RISK_METRICS, SYSTEM_HEALTH];

/// The person.
pub(super) struct Desk {
    random: Random,
    faults: Arc<Plan>,
    log: Arc<dyn Log>,
    /// The topics that hold keys.
    held: Vec<TopicName>,
    /// What was cut off, to be done again.
    again: Option<Request>,
    /// True if what came back was skipped: no letter of it is left, and keys may be held for ever.
    pub(super) skipped_back: bool,
}

impl Desk {
    pub(super) fn new(scenario: &Scenario, log: &Arc<dyn Log>, held: &[TopicName]) -> Self {
        let mut random = Random::of(scenario.seed, "desk");
        let faults = Arc::new(Plan::seeded(random.next(), Rates::default()));
        let log: Arc<dyn Log> = Arc::new(FaultyLog::new(Arc::clone(log), Arc::clone(&faults)));
        Self { random, faults, log, held: held.to_vec(), again: None, skipped_back: false }
    }

    /// True so many times in ten thousand.
    pub(super) fn chance(&mut self, in_ten_thousand: u64) -> bool {
        in_ten_thousand > 0 && self.random.chance(in_ten_thousand)
    }

    /// Every key that may be held.
    pub(super) fn holdable(&self) -> Vec<(TopicName, &'static str)> {
        let keys = |topic: &TopicName| PORTFOLIOS.map(|key| (topic.clone(), key));
        self.held.iter().flat_map(keys).collect()
    }

    /// All letters of a topic.
    pub(super) fn all_of(&self, topic: &str) -> Request {
        let topic = TopicName::from(topic);
        Request {
            in_order: self.held.contains(&topic),
            topic,
            filter: Filter::default(),
            max_attempts: u32::MAX,
            discard: false,
            repairs: None,
            who: "operator".into(),
            why: "a test".into(),
        }
    }

    /// Some letters.
    fn draw(&mut self) -> Request {
        let random = &mut self.random;
        let topics = *random.pick(&[&TOPICS[..1], &TOPICS[..3], &TOPICS[..]]);
        let topic = *random.pick(topics);
        let filter = match random.below(8) {
            0..3 => Filter { key: Some((*random.pick(&PORTFOLIOS)).into()), ..Filter::default() },
            3 => Filter {
                offsets: Some((random.below(4) as i64, random.below(40) as i64)),
                ..Filter::default()
            },
            4 => Filter {
                reason: Some(*random.pick(&[
                    Reason::HeldBehind,
                    Reason::UnknownSchema,
                    Reason::FromTheFuture,
                ])),
                ..Filter::default()
            },
            5 => Filter { partition: Some(0), ..Filter::default() },
            _ => Filter::default(),
        };
        let (max_attempts, discard) = (random.within(1, 4) as u32, random.chance(2_500));
        Request { filter, max_attempts, discard, ..self.all_of(topic) }
    }

    /// How often the person's process and its log fail.
    fn rates(&mut self) -> Rates {
        let crash = *self.random.pick(&[0, 300, 2_000]);
        let unknown = *self.random.pick(&[0, 0, 2_000]);
        Rates { crash, unknown, silence: 300, ..Rates::default() }
    }
}

impl World<'_> {
    /// Someone sends letters back, while the workers go on; or does again what was cut off.
    pub(super) fn send_some_back(&mut self) {
        let request = self.desk.again.take().unwrap_or_else(|| self.desk.draw());
        let rates = self.desk.rates();
        self.desk.faults.set_rates(rates);
        self.send_back(&request);
        self.desk.faults.set_rates(Rates::default());
    }

    /// Gives how many records were sent.
    pub(super) fn send_back(&mut self, request: &Request) -> u64 {
        let log = Arc::clone(&self.desk.log);
        let (mut overtaken, mut last) = (false, 0);
        let done = redrive(&log, request, &mut |sent| {
            last = sent;
            for _ in 0..self.desk.random.below(6) {
                let index = self.desk.random.below(self.instances.len() as u64) as usize;
                self.turn(index);
            }
            if self.desk.chance(300) {
                overtaken = true;
                let other = self.desk.draw();
                let done = redrive(&log, &other, &mut |_| true).map(|outcome| outcome.sent);
                self.trace.line(format_args!("someone else sends back: {done:?}"));
                self.tally.returned += done.unwrap_or(0);
            }
            !self.desk.chance(300)
        });
        let Request { topic, filter, discard, .. } = request;
        self.trace.line(format_args!("sent back of {topic} ({filter:?}, given up: {discard}): {done:?}"));
        match done {
            Ok(outcome) => {
                self.tally.returned += outcome.sent;
                if outcome.interrupted {
                    self.desk.again = Some(request.clone());
                }
                return outcome.sent;
            }
            Err(error) => {
                let fenced = matches!(&error, RedriveError::Commit { source: CommitError::Fenced(_), .. });
                if !(error.to_string().contains("injected") || overtaken && fenced) {
                    self.found.push(Finding::Failed(format!("redrive of {topic}: {error}")));
                }
            }
        }
        self.tally.returned += last;
        self.tally.cut_off += 1;
        self.desk.faults.revive();
        self.desk.again = Some(request.clone());
        last
    }

    /// Someone skips what stands before an open breaker.
    pub(super) fn skip_breaker(&mut self, index: usize) {
        let Some(worker) = self.instances[index].worker_mut() else { return };
        let Some(at) = worker.tasks().flat_map(|task| task.core.open_breakers()).next() else { return };
        let found = self.instances[index].skip(&at, &mut self.trace);
        self.found.extend(found);
        self.tally.skipped += 1;
        self.desk.skipped_back |= is_redrive(at.topic.as_str());
    }

    /// What a person would still send back, as long as there is something; gives what it is.
    pub(super) fn letters_left(&self, worker: usize) -> Result<Vec<(Request, Vec<Reason>)>, LogError> {
        let mut left = Vec::new();
        let of = self.instances.iter().find(|instance| instance.worker == worker);
        for topic in TOPICS {
            let mut request = self.desk.all_of(topic);
            request.filter.worker = of.map(|instance| instance.plan.worker.to_string());
            let found = survey(&self.log, &request).map_err(|error| LogError::Backend {
                log: self.log.address().to_owned(),
                doing: format!("looking at the letters of {topic}"),
                why: error.to_string(),
            })?;
            let reasons = found.histogram.reasons.keys().filter_map(|name| Reason::of(name)).collect();
            if found.sent > 0 {
                left.push((request, reasons));
            }
        }
        Ok(left)
    }

    /// Gives up what came back of a key and was skipped: no letter of it is left that could be sent.
    pub(super) fn release_key(&mut self, topic: TopicName, key: &str) {
        let plan = &self.instances[FIRST].plan;
        let wanted = Release {
            partition: self.supply.partition(topic.as_str(), key),
            topic,
            key: key.into(),
            worker: plan.worker.to_string(),
            group: plan.group.clone(),
            who: "operator".into(),
            why: "it was skipped".into(),
        };
        let done = release(&self.log, &wanted);
        let topic = &wanted.topic;
        self.trace.line(format_args!("{key} of {topic} is released: {done:?}"));
        self.tally.released += 1;
        if let Err(error) = done {
            self.found.push(Finding::Failed(format!("release of {key} of {topic}: {error}")));
        }
    }
}
