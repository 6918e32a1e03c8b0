//! The marks of a partition stop for five hours while everything else goes on, and the worker is killed meanwhile: what
//! rests on them is unknown within the freshness bound and one tick, and known again with the next mark.

use std::collections::{BTreeMap, BTreeSet};

use tapewatch_eventlog::OutRecord;
use tapewatch_schemas::catalogue::{HOLDINGS, MARKET_DATA, RISK_METRICS};
use tapewatch_schemas::events::{Holdings, LimitStatus, RiskMetrics, Unknown};
use tapewatch_schemas::{Codec, Event, Time};

use crate::stage::tape::{Outputs, outputs, tape, undisturbed};
use crate::stage::{Stage, injected};

/// Bars of a quarter of an hour without marks.
const SILENT: usize = 20;
const BAR: i64 = 900_000_000;
/// How old marks may be (`environments/demo.toml`), in bars.
const BOUND: usize = 8;

/// Which marks stop, and when.
#[derive(Debug)]
struct Silence {
    partition: i32,
    /// The slice that they stop with.
    slice: usize,
    /// The last ones before that, and the first ones after it.
    last: Time,
    next: Time,
    /// Who holds one of the symbols all the while, until they are back.
    holders: BTreeSet<String>,
}

fn all<T>(outputs: &Outputs, topic: &str, pick: impl Fn(Event) -> Option<T>) -> Vec<T> {
    let codec = Codec::new(&[]).unwrap();
    let of = outputs.iter().filter(|((name, _), _)| name == topic).flat_map(|(_, records)| records);
    of.filter_map(|(_, value)| pick(codec.decode_any(value).unwrap())).collect()
}

fn books(outputs: &Outputs) -> Vec<Holdings> {
    let pick = |event| if let Event::Holdings(book) = event { Some(book) } else { None };
    all(outputs, HOLDINGS, pick)
}

fn levels(outputs: &Outputs) -> Vec<RiskMetrics> {
    let pick = |event| if let Event::RiskMetrics(metrics) = event { Some(metrics) } else { None };
    all(outputs, RISK_METRICS, pick)
}

/// Those whose every book from before `last` until the marks are back holds one of these symbols.
fn holders(books: &[Holdings], symbols: &BTreeSet<String>, last: Time) -> BTreeSet<String> {
    let mut holding = BTreeMap::<String, bool>::new();
    for book in books.iter().filter(|book| book.event_time.since(last) < (SILENT as i64 + 2) * BAR) {
        let holds = book.holdings.iter().any(|line| symbols.contains(line.symbol.as_str()));
        let before = book.event_time <= last;
        let known = holding.entry(book.portfolio.to_string()).or_insert(false);
        *known = holds && (before || *known);
    }
    holding.into_iter().filter(|(_, holds)| *holds).map(|(portfolio, _)| portfolio).collect()
}

impl Silence {
    /// The first place in the tape at which somebody misses the marks.
    fn find(tape: &[Vec<OutRecord>], books: &[Holdings]) -> Self {
        let codec = Codec::new(&[]).unwrap();
        let marks = |slice: usize, partition: i32| {
            let of = |record: &&OutRecord| {
                record.target.topic.as_str() == MARKET_DATA && record.target.partition == partition
            };
            let mark = |record: &OutRecord| match codec.decode_any(record.value.as_ref().unwrap()).unwrap() {
                Event::MarketData(data) => (data.event_time, data.symbol.to_string()),
                other => panic!("{other:?}"),
            };
            tape[slice].iter().filter(of).map(mark).collect::<Vec<_>>()
        };
        let partitions: BTreeSet<i32> = tape
            .iter()
            .flatten()
            .filter(|record| record.target.topic.as_str() == MARKET_DATA)
            .map(|record| record.target.partition)
            .collect();
        // Late enough for all limits to be known, those on value at risk, too.
        for slice in (150..tape.len() - SILENT - 20).step_by(5) {
            for partition in &partitions {
                let (before, after) = (marks(slice - 1, *partition), marks(slice + SILENT, *partition));
                let last = before.iter().map(|(at, _)| *at).max().unwrap();
                let next = after.iter().map(|(at, _)| *at).min().unwrap();
                let symbols = before.into_iter().map(|(_, symbol)| symbol).collect();
                let holders = holders(books, &symbols, last);
                if !holders.is_empty() {
                    return Self { partition: *partition, slice, last, next, holders };
                }
            }
        }
        panic!("nobody holds anything for so long");
    }

    fn take_out_of(&self, tape: &mut [Vec<OutRecord>]) -> usize {
        let mut taken = 0;
        for slice in &mut tape[self.slice..self.slice + SILENT] {
            let before = slice.len();
            let stopped = |record: &OutRecord| {
                record.target.topic.as_str() == MARKET_DATA && record.target.partition == self.partition
            };
            slice.retain(|record| !stopped(record));
            taken += before - slice.len();
        }
        taken
    }

    /// The limits of a portfolio that rest on marks, as far as they were known before the marks stopped: all but those on
    /// lights, which say what was.
    fn limits(&self, holder: &str, levels: &[RiskMetrics]) -> Vec<String> {
        let of = |level: &&RiskMetrics| level.scope.as_str() == holder && level.event_time <= self.last;
        let before = levels.iter().rev().find(of).expect("a level before the marks stopped");
        let known = before.limits.iter().filter(|one| one.status != LimitStatus::Unknown);
        known.filter(|one| !one.measure.ends_with("_light")).map(|one| one.limit.clone()).collect()
    }

    /// That all that rests on the marks was known until the bound, unknown from then on, and known again with them; how many
    /// limits that were.
    fn judge(&self, levels: &[RiskMetrics]) -> usize {
        let mut judged = 0;
        for holder in &self.holders {
            let limits = self.limits(holder, levels);
            judged += limits.len();
            for limit in ["position", "leverage", "drawdown", "correlation", "var_95", "var_99"] {
                assert!(
                    limits.iter().any(|one| one == limit),
                    "{limit} of {holder} was unknown before: {self:?}"
                );
            }
            for limit in &limits {
                let turns: Vec<(i64, LimitStatus, Option<Unknown>)> = levels
                    .iter()
                    .filter(|level| level.scope.as_str() == holder)
                    .flat_map(|level| level.limits.iter().map(move |one| (level.event_time, one)))
                    .filter(|(_, one)| one.limit == *limit && one.previous.is_some())
                    .filter(|(at, _)| *at > self.last && at.since(self.next) <= BAR)
                    .map(|(at, one)| (at.since(self.last), one.status, one.unknown))
                    .collect();
                let unknown = turns.iter().find(|(_, status, _)| *status == LimitStatus::Unknown);
                let (after, _, reason) =
                    unknown.unwrap_or_else(|| panic!("{holder} {limit} never turned: {turns:?} {self:?}"));
                // The source's heartbeat may vouch for the mark until the end of its bar.
                let bound = BOUND as i64 * BAR;
                assert!(
                    (bound + 1..=bound + BAR + 1).contains(after),
                    "{holder} {limit}: {turns:?} {self:?}"
                );
                assert_eq!(*reason, Some(Unknown::Stale), "{holder} {limit}: {turns:?}");
                let back = turns.last().expect("there is one");
                assert_ne!(
                    back.1,
                    LimitStatus::Unknown,
                    "{holder} {limit} did not come back: {turns:?} {self:?}"
                );
                assert!(back.0 >= self.next.since(self.last), "{holder} {limit} was never fine: {turns:?}");
            }
        }
        judged
    }
}

#[test]
fn what_rests_on_marks_that_stopped_is_unknown_in_time_and_back() {
    let Some(stage) = Stage::open("stale-feed") else { return };
    let mut tape = tape(&*stage.log, 400);
    let silence = Silence::find(&tape, &books(&undisturbed(&stage.loaded(), &tape)));
    let taken = silence.take_out_of(&mut tape);
    let expected = undisturbed(&stage.loaded(), &tape);
    let feeder = stage.feed(tape);
    let mut journals = stage.journals();
    let mut worker = stage.risk("one");
    let kills = 4;
    for _ in 0..kills {
        journals.all_go_on(&mut worker);
        worker.kill();
        worker = stage.risk("one");
    }
    stage.finish(feeder, &mut journals, worker, &expected);
    let limits = silence.judge(&levels(&outputs(&stage.log)));
    injected(&format!(
        "{taken} marks of a partition never come, which {} portfolios miss, and {limits} limits, {kills} kills meanwhile",
        silence.holders.len()
    ));
}
