//! Every incident of the book is in the records, where and when the book says.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tapewatch_producers::{
    About, Body, Found, FoundAlert, Incident, IncidentBook, Kind, Player, PlayerOptions, Says, SliceRecord,
    Tape, Witness,
};
use tapewatch_schemas::events::{ExecReport, ExecType, Side};
use tapewatch_schemas::{Event, PortfolioId, Time};

const MINUTE: i64 = 60_000_000;

fn played(seed: u64, bars: Option<usize>) -> (IncidentBook, Vec<SliceRecord>) {
    let options = PlayerOptions { seed, bars, incidents: true, ..PlayerOptions::default() };
    let player = Player::new(options, &Tape::built_in().unwrap()).unwrap();
    (player.incidents().clone(), player.flat_map(|slice| slice.records).collect())
}

fn fills(records: &[SliceRecord]) -> impl Iterator<Item = &ExecReport> {
    records.iter().filter_map(|record| match &record.body {
        Body::Event(event) => match &**event {
            Event::ExecReport(report) if report.exec_type == ExecType::Fill => Some(report),
            _ => None,
        },
        Body::Bytes(_) => None,
    })
}

/// Fills of the incident's portfolio and symbol between its time and its end.
fn its_fills<'a>(incident: &Incident, records: &'a [SliceRecord]) -> Vec<&'a ExecReport> {
    fills(records)
        .filter(|fill| {
            Some(&fill.portfolio) == incident.portfolio.as_ref()
                && Some(&fill.symbol) == incident.symbol.as_ref()
                && (incident.time..incident.until).contains(&fill.event_time)
        })
        .collect()
}

fn poison(incident: &Incident, records: &[SliceRecord]) -> Vec<Time> {
    records
        .iter()
        .filter(|record| matches!(record.body, Body::Bytes(_)))
        .filter(|record| record.topic == incident.topic.as_str() && record.partition == incident.partition)
        .filter(|record| Some(record.key.as_str()) == incident.portfolio.as_ref().map(PortfolioId::as_str))
        .map(|record| record.event_time)
        .collect()
}

/// The largest value of the symbol held, by the position records and the marks.
fn largest_position(incident: &Incident, records: &[SliceRecord]) -> f64 {
    let (mut price, mut most) = (0.0, 0.0_f64);
    for record in records {
        let Body::Event(event) = &record.body else { continue };
        match &**event {
            Event::MarketData(mark) if Some(&mark.symbol) == incident.symbol.as_ref() => {
                price = mark.last.unwrap().to_f64();
            }
            Event::Position(position) if Some(&position.portfolio) == incident.portfolio.as_ref() => {
                let line =
                    position.positions.iter().find(|line| Some(&line.symbol) == incident.symbol.as_ref());
                most = most.max(line.map_or(0.0, |line| line.quantity.to_f64() * price));
            }
            _ => {}
        }
    }
    most
}

fn worst_drawdowns(records: &[SliceRecord]) -> BTreeMap<String, f64> {
    let mut peaks: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for record in records {
        let Body::Event(event) = &record.body else { continue };
        if let Event::Account(account) = &**event {
            let equity = account.equity.to_f64();
            let (peak, worst) = peaks.entry(account.portfolio.to_string()).or_insert((equity, 0.0));
            *peak = peak.max(equity);
            *worst = worst.max(1.0 - equity / *peak);
        }
    }
    peaks.into_iter().map(|(portfolio, (_, worst))| (portfolio, worst)).collect()
}

fn check(incident: &Incident, records: &[SliceRecord]) {
    let fills = its_fills(incident, records);
    match incident.kind {
        Kind::PositionOverLimit => {
            let most = largest_position(incident, records);
            assert!((105_000.0..200_000.0).contains(&most), "{incident:?} {most}");
            assert!(fills.iter().any(|fill| fill.signal_id.is_none() && fill.side == Side::Sell));
        }
        Kind::Drawdown => {
            for (portfolio, worst) in worst_drawdowns(records) {
                let fallen = incident.portfolio.as_ref().unwrap().as_str() == portfolio;
                let bounds = if fallen { 0.205..0.235 } else { 0.0..0.08 };
                assert!(bounds.contains(&worst), "{portfolio} {worst}");
            }
        }
        Kind::StoppedFeed => {
            let silent = |record: &&SliceRecord| {
                (incident.time..incident.until).contains(&record.event_time)
                    && record.topic == incident.topic.as_str()
                    && record.partition == incident.partition
            };
            assert_eq!(records.iter().filter(silent).count(), 0);
            for record in records {
                if let Body::Event(event) = &record.body
                    && let Event::Heartbeat(beat) = &**event
                    && beat.source.as_str() == "tape"
                {
                    let covered = beat.progress.iter().any(|line| line.partition == incident.partition);
                    assert_eq!(covered, !(incident.time..incident.until).contains(&beat.event_time));
                }
            }
            let held = records.iter().rfind(|record| {
                record.event_time < incident.time
                    && record.topic == "positions.v1"
                    && Some(record.key.as_str()) == incident.portfolio.as_ref().map(PortfolioId::as_str)
            });
            let Body::Event(held) = &held.unwrap().body else { panic!() };
            let Event::Position(held) = &**held else { panic!() };
            assert!(held.positions.iter().any(|line| Some(&line.symbol) == incident.symbol.as_ref()));
        }
        Kind::PoisonRecords => {
            let times = poison(incident, records);
            assert_eq!(times.len(), 3);
            assert!(times.iter().all(|time| (incident.time..incident.until).contains(time)));
        }
        Kind::PoisonBurst => {
            let times = poison(incident, records);
            assert_eq!(times.len(), 500);
            assert!(times[499].since(times[0]) < MINUTE);
            let good = records.iter().filter(|record| {
                record.topic == "exec.reports.v1"
                    && record.partition == incident.partition
                    && (times[499]..incident.until).contains(&record.event_time)
            });
            assert!(good.count() >= 60, "good reports after the burst");
        }
        Kind::DuplicatedFill => {
            let ids: BTreeSet<_> = fills.iter().map(|fill| &fill.execution_id).collect();
            assert_eq!(fills.len(), ids.len() + 1);
        }
        Kind::LostFill => {
            assert!(fills.is_empty(), "{fills:?}");
        }
        Kind::LateExecution => {
            let place = |wanted: &ExecReport| {
                records.iter().position(|r| matches!(&r.body, Body::Event(e) if matches!(&**e, Event::ExecReport(x) if x == wanted)))
            };
            let late =
                fills.iter().find(|fill| fill.event_time.since(fill.decision_time.unwrap()) > 6 * MINUTE);
            let late = late.unwrap();
            let before = &records[place(late).unwrap() - 1];
            assert!(before.event_time.since(late.event_time) > 20 * MINUTE);
        }
        Kind::OffBoundaryExecution => {
            assert!(fills.iter().any(|fill| {
                (MINUTE..14 * MINUTE).contains(&(fill.decision_time.unwrap().micros() % (15 * MINUTE)))
            }));
        }
        Kind::Slip => {
            let slip = |fill: &&ExecReport| {
                let (paid, arrival) =
                    (fill.last_price.unwrap().to_f64(), fill.arrival_price.unwrap().to_f64());
                (paid / arrival - 1.0) * if fill.side == Side::Buy { 1e4 } else { -1e4 }
            };
            assert!(fills.iter().any(|fill| (59.9..60.5).contains(&slip(fill))), "{fills:?}");
        }
        Kind::RegimeChange => {
            let variation = |from: Time, to: Time| {
                let closes: Vec<f64> = records
                    .iter()
                    .filter(|record| (from..to).contains(&record.event_time))
                    .filter_map(|record| match &record.body {
                        Body::Event(event) => match &**event {
                            Event::MarketData(mark) if Some(&mark.symbol) == incident.symbol.as_ref() => {
                                Some(mark.last.unwrap().to_f64().ln())
                            }
                            _ => None,
                        },
                        Body::Bytes(_) => None,
                    })
                    .collect();
                closes.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum::<f64>() / closes.len() as f64
            };
            let span = incident.until.since(incident.time);
            let before = variation(Time(incident.time.micros() - span), incident.time);
            let during = variation(incident.time, incident.until);
            assert!(during > 1.15 * before, "{during} {before}");
        }
    }
}

#[test]
fn every_incident_is_there_on_a_short_tape() {
    for seed in 0..12 {
        let (book, records) = played(seed, Some(1000));
        let kinds: BTreeSet<Kind> = book.incidents.iter().map(|incident| incident.kind).collect();
        assert_eq!(kinds.len(), Kind::ALL.len());
        assert!(book.incidents.windows(2).all(|pair| pair[0].until <= pair[1].time), "they do not overlap");
        for incident in &book.incidents {
            check(incident, &records);
        }
    }
}

#[test]
fn every_incident_is_there_on_the_whole_tape() {
    let (book, records) = played(7, None);
    for incident in &book.incidents {
        check(incident, &records);
    }
}

#[test]
fn alerts_that_say_what_the_book_expects_are_judged_clean() {
    let (book, _) = played(7, Some(1000));
    let mut alerts = Vec::new();
    for one in book.incidents.iter().flat_map(|incident| &incident.expected) {
        let scope = match &one.about {
            About::Portfolio(portfolio) => portfolio.to_string(),
            About::AnyOf(portfolios) => portfolios[0].to_string(),
            About::Above => "desk:any".to_owned(),
            About::Component { topic, partition } => format!("risk/{partition}/{topic}"),
        };
        let (subject, status) = match &one.says {
            Says::Warning(limit) => (*limit, Found::Warning),
            Says::Breached(limit) => (*limit, Found::Breached),
            Says::Unknown(reason) => ("leverage", Found::Unknown(*reason)),
            Says::Health(kind) => (*kind, Found::Health),
        };
        let rule = "a-rule".to_owned();
        alerts.push(FoundAlert {
            time: one.by,
            rule,
            scope,
            subject: subject.to_owned(),
            status,
            value: None,
            cause: String::new(),
            resolved: None,
        });
    }
    let stopped = |id: &String| id.ends_with("stopped_feed");
    let judged =
        |alerts: &[FoundAlert]| book.judge(alerts, &Witness::default(), Duration::from_secs(2 * 3600));
    let verdict = judged(&alerts);
    // Alerts alone do not say that every limit turned.
    assert!(verdict.missed.len() == 1 && verdict.missed.iter().all(stopped), "{verdict:?}");
    assert_eq!((verdict.falsely_found.len(), verdict.found.len(), verdict.no_monitor.len()), (0, 4, 6));
    let first = book.incidents.iter().find(|incident| !incident.expected.is_empty()).unwrap();
    let missed = judged(&alerts[1..]);
    assert!(missed.missed.contains(&first.id), "{missed:?}");
}
