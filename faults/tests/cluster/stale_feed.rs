//! The marks of a partition stop for five hours while everything else goes on, and the accounts of another later; the
//! workers are killed meanwhile. What rests on them, of portfolios and of what is above them, is unknown within the
//! freshness bound and one tick, and known again with the feed; what does not, is not touched.

use std::sync::Arc;
use std::time::Duration;

use tapewatch_config::Settings;
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::{LogError, OutRecord, TopicPartition};
use tapewatch_producers::{Feed, Silence, Stopped, Witness};
use tapewatch_schemas::catalogue::{ACCOUNTS, FIRM_RISK, HOLDINGS, MARKET_DATA, RISK, RISK_METRICS};
use tapewatch_schemas::{Codec, Event, Time};

use crate::stage::journals::Journals;
use crate::stage::tape::{Outputs, tape, undisturbed};
use crate::stage::{Stage, injected, until};

/// Bars of a quarter of an hour without anything from a feed.
const SILENT: usize = 20;
const BAR: i64 = 900_000_000;
/// How old marks and accounts may be (`environments/demo.toml`).
const BOUND: Duration = Duration::from_secs(2 * 3600);

/// The demo's limits, and one on what full revaluation says; above the portfolio the same, and value at risk.
const SETTINGS: [(&str, &str); 4] = [
    ("TAPEWATCH_RISK__VAR__MODELS", r#"["historical", "revalued"]"#),
    (
        "TAPEWATCH_RISK__LIMITS",
        r#"[{ name = "var_95", measure = "var_95", hard = 200_000 },
            { name = "var_95_revalued", measure = "var_95_revalued", hard = 200_000 },
            { name = "var_99_light", measure = "var_99_light", soft = 0, hard = 1 },
            { name = "position", measure = "position", hard = 100_000 },
            { name = "leverage", measure = "leverage", hard = 3.0 },
            { name = "correlation", measure = "max_correlation", soft = 0.80 },
            { name = "drawdown", measure = "drawdown", soft = 0.15, hard = 0.20 }]"#,
    ),
    (
        "TAPEWATCH_FIRM__SCOPES",
        r#"[{ scope = "strategy:trend", portfolios = ["alpha", "delta"] },
            { scope = "desk:majors", portfolios = ["alpha", "bravo", "charlie"] },
            { scope = "desk:alts", portfolios = ["delta", "echo", "foxtrot"] }, { scope = "firm:tape" }]"#,
    ),
    (
        "TAPEWATCH_FIRM__LIMITS",
        r#"[{ name = "gross", measure = "gross_exposure", hard = 10_000_000 },
            { name = "symbol", measure = "position", hard = 1_000_000 },
            { name = "tail", measure = "var_99_revalued", hard = 1_000_000 },
            { name = "fall", measure = "drawdown", hard = 0.2 }]"#,
    ),
];

/// What is in a slice of the tape, of a topic's partition.
fn of_partition(record: &OutRecord, topic: &str, partition: i32) -> bool {
    record.target.topic.as_str() == topic && record.target.partition == partition
}

/// Inputs and outputs, as one who reads all of them sees them.
fn witness(
    settings: &Settings,
    tape: &[Vec<OutRecord>],
    outputs: impl IntoIterator<Item = (i32, Event)>,
) -> Witness {
    let codec = Codec::new(&[]).unwrap();
    let ids = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
    let scopes = settings.firm.scopes.iter();
    let mut witness = Witness::of(scopes.map(|one| (one.scope.as_str().into(), ids(&one.portfolios))));
    for record in tape.iter().flatten() {
        if [MARKET_DATA, ACCOUNTS].contains(&record.target.topic.as_str()) {
            let event = codec.decode_any(record.value.as_ref().unwrap()).unwrap();
            witness.see(record.target.partition, &event);
        }
    }
    outputs.into_iter().for_each(|(partition, event)| witness.see(partition, &event));
    witness
}

/// What risk makes of the tape when nothing is wrong with it.
fn whole(outputs: &Outputs) -> Vec<(i32, Event)> {
    let codec = Codec::new(&[]).unwrap();
    let figures = [HOLDINGS, RISK_METRICS];
    let of = outputs.iter().filter(|((name, _), _)| figures.contains(&name.as_str()));
    of.flat_map(|(_, records)| records).map(|(_, value)| (0, codec.decode_any(value).unwrap())).collect()
}

/// What all workers have written.
fn written(stage: &Stage) -> Vec<(i32, Event)> {
    let codec = Codec::new(&[]).unwrap();
    let mut scanner = Scanner::new(Arc::clone(&stage.log)).unwrap();
    let mut events = Vec::new();
    for topic in stage.log.topics().unwrap() {
        for partition in 0..topic.partitions {
            if ![HOLDINGS, RISK_METRICS].contains(&topic.name.as_str()) {
                continue;
            }
            let at = TopicPartition::new(topic.name.clone(), partition);
            let mut take = |value: &[u8]| events.push((partition, codec.decode_any(value).unwrap()));
            scanner
                .scan::<LogError>(&at, 0, |record| {
                    take(record.value.unwrap());
                    Ok(())
                })
                .unwrap();
        }
    }
    events
}

/// A feed that says nothing from a slice on.
#[derive(Debug)]
struct Gap {
    topic: &'static str,
    slice: usize,
    silence: Silence,
}

impl Gap {
    /// A gap of a feed's partition that begins with a slice: none where it would say nothing there anyway.
    fn at(tape: &[Vec<OutRecord>], feed: Feed, partition: i32, slice: usize) -> Option<Self> {
        let topic = if feed == Feed::Marks { MARKET_DATA } else { ACCOUNTS };
        let codec = Codec::new(&[]).unwrap();
        let time = |record: &OutRecord| match codec.decode_any(record.value.as_ref().unwrap()).unwrap() {
            Event::MarketData(mark) => mark.event_time,
            Event::Account(account) => account.event_time,
            other => panic!("{other:?}"),
        };
        let first = |from: usize| -> Option<Time> {
            let records = tape[from..].iter().flatten();
            records.filter(|record| of_partition(record, topic, partition)).map(time).next()
        };
        let (from, until) = (first(slice)?, first(slice + SILENT)?);
        let tick = Duration::from_micros(BAR as u64);
        let silence = Silence { feed, partition, from, until, bound: BOUND, tick };
        Some(Self { topic, slice, silence })
    }

    /// The first one from a slice on that many limits rest on: `wanted` says of how many of a portfolio's.
    fn find(tape: &[Vec<OutRecord>], whole: &Witness, feed: Feed, from: usize, wanted: usize) -> Self {
        let partitions: Vec<i32> = (0..4).collect();
        for slice in (from..tape.len() - SILENT - 20).step_by(5) {
            for partition in &partitions {
                let Some(gap) = Self::at(tape, feed, *partition, slice) else { continue };
                let rested = gap.silence.judge(whole).rested;
                if rested.values().any(|limits| *limits >= wanted) {
                    return gap;
                }
            }
        }
        panic!("nothing rests on {feed:?} for so long");
    }

    fn take_out_of(&self, tape: &mut [Vec<OutRecord>]) -> usize {
        let mut taken = 0;
        for slice in &mut tape[self.slice..self.slice + SILENT] {
            let before = slice.len();
            slice.retain(|record| !of_partition(record, self.topic, self.silence.partition));
            taken += before - slice.len();
        }
        taken
    }

    /// That every limit turned as it must.
    fn judge(&self, witness: &Witness) -> Stopped {
        let stopped = self.silence.judge(witness);
        assert!(stopped.untimely.is_empty(), "{:#?} {self:?}", stopped.untimely);
        stopped
    }
}

#[test]
fn what_rests_on_a_feed_that_stopped_is_unknown_in_time_and_back() {
    let Some(stage) = Stage::open_with("stale-feed", &SETTINGS) else { return };
    let mut tape = tape(&*stage.log, 400);
    let undisturbed_tape = witness(&stage.loaded(), &tape, whole(&undisturbed(&stage.loaded(), &tape)));
    // Late enough for all limits to be known, those on value at risk, too: six of a portfolio, but for its light.
    let marks = Gap::find(&tape, &undisturbed_tape, Feed::Marks, 150, 6);
    let accounts = Gap::find(&tape, &undisturbed_tape, Feed::Accounts, marks.slice + 2 * SILENT, 3);
    let taken = (marks.take_out_of(&mut tape), accounts.take_out_of(&mut tape));
    let expected = undisturbed(&stage.loaded(), &tape);
    let feeder = stage.feed(tape.clone());
    let mut journals = stage.journals();
    let mut of_firm = Journals::follow(&stage.log, FIRM_RISK, 1);
    let mut worker = stage.risk("one");
    let mut firm = stage.worker(FIRM_RISK, "one", stage.log.address());
    let kills = 4;
    for _ in 0..kills {
        journals.all_go_on(&mut worker);
        of_firm.all_go_on(&mut firm);
        worker.kill();
        firm.kill();
        worker = stage.risk("one");
        firm = stage.worker(FIRM_RISK, "one", stage.log.address());
    }
    feeder.finish();
    journals.see_the_end(&mut worker);
    of_firm.see_the_end(&mut firm);
    firm.stop();
    // What firm-risk said of itself last is an input, too.
    until("risk to take all", || stage.audited(RISK).iter().all(|line| line.lag == 0));
    worker.stop();
    stage.judge_risk(&expected);
    stage.judge(&[FIRM_RISK]);

    let seen = witness(&stage.loaded(), &tape, written(&stage));
    let of_marks = marks.judge(&seen);
    let of_accounts = accounts.judge(&seen);
    for (stopped, feed) in [(&of_marks, "marks"), (&of_accounts, "accounts")] {
        let above = stopped.rested.keys().filter(|scope| scope.as_str().contains(':')).count();
        assert!(above > 0 && above < stopped.rested.len(), "{feed}: {stopped:?}");
        assert!(stopped.others > 0, "{feed}: {stopped:?}");
    }
    let told = |stopped: &Stopped| {
        let limits = stopped.rested.values().sum::<usize>();
        format!("{limits} limits of {} scopes rest on, and {} do not", stopped.rested.len(), stopped.others)
    };
    injected(&format!(
        "{} marks of a partition never come, which {}, {} account records neither, which {}, {kills} kills of risk and {kills} \
         of firm-risk meanwhile",
        taken.0,
        told(&of_marks),
        taken.1,
        told(&of_accounts)
    ));
}
