//! The risk monitor on small books whose figures can be worked out by hand.

mod drive;

use drive::{Driver, account, at, beat, bust, complete, correct, fill, mark, sequence};
use tapewatch_monitors::risk::{Basis, Sampling};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::Event;
use tapewatch_schemas::events::{LimitStatus, Side, Unknown};

fn driver() -> Driver {
    Driver::risk(RiskParameters::default(), TaskContext { partition: 0, opened_from_zero: true })
}

#[test]
fn figures_follow_fills_and_marks() {
    let mut d = driver();
    d.see(0, account("p", "10000", "10000"));
    d.see(1, mark("A", "100", "102"));
    d.see(2, fill("p", "A", Side::Buy, "10", "100", "1"));
    d.see(3, mark("A", "109", "111"));
    d.see(4, fill("p", "A", Side::Sell, "4", "110", "1"));
    let level = d.level("p");
    for (name, value) in [
        ("equity", 10_098.0),
        ("cash", 9_438.0),
        ("gross_exposure", 660.0),
        ("net_exposure", 660.0),
        ("leverage", 660.0 / 10_098.0),
        ("largest_share", 1.0),
        ("herfindahl", 1.0),
        ("realised_pnl", 40.0),
        ("unrealised_pnl", 60.0),
        ("fees", 2.0),
        ("drawdown", 1.0 / 10_099.0),
    ] {
        assert_eq!(level.value(name), Some(value), "{name}");
    }
    assert_eq!(level.unknown("var_95"), Some(Unknown::WarmingUp));
    assert_eq!(level.limit("leverage").status, LimitStatus::Ok);
}

#[test]
fn the_account_record_holds_what_happened_by_its_event_time() {
    let mut d = driver();
    d.see(1, mark("A", "100", "100"));
    // The account record of second 2 is merged before the fill and the mark of second 2.
    d.see(2, account("p", "9000", "10050"));
    d.see(2, fill("p", "A", Side::Buy, "10", "100", "0"));
    d.see(2, mark("A", "105", "105"));
    d.see(3, mark("A", "106", "106"));
    let level = d.level("p");
    assert_eq!(level.value("cash"), Some(9_000.0));
    assert_eq!(level.value("equity"), Some(10_060.0));
}

#[test]
fn a_withdrawal_is_no_drawdown_and_no_sample() {
    let mut d = driver();
    d.see(0, account("p", "10000", "10000"));
    d.see(1000, account("p", "9000", "9000"));
    d.see(2000, drive::account_with("p", "4000", "4000", "0", "5000"));
    let level = d.level("p");
    for name in ["drawdown", "max_drawdown"] {
        assert!((level.value(name).unwrap() - 0.1).abs() < 1e-15, "{name}");
    }
}

#[test]
fn a_duplicate_is_counted_and_not_booked() {
    let mut d = driver();
    d.see(0, account("p", "10000", "10000"));
    d.see(1, mark("A", "100", "100"));
    let once = fill("p", "A", Side::Buy, "10", "100", "1");
    d.see(2, once.clone());
    d.see(3, sequence(once, 77));
    let level = d.level("p");
    assert_eq!(level.value("gross_exposure"), Some(1000.0));
    assert_eq!(level.value("fees"), Some(1.0));
    assert_eq!(level.value("duplicate_executions"), Some(1.0));
}

#[test]
fn a_bust_leaves_the_book_as_if_the_fill_had_never_been() {
    let figures = |with: bool| {
        let mut d = driver();
        d.see(0, account("p", "10000", "10000"));
        d.see(1, mark("A", "100", "100"));
        let wrong = fill("p", "A", Side::Buy, "3", "90", "1");
        d.see(2, fill("p", "A", Side::Buy, "10", "100", "1"));
        if with {
            d.see(3, wrong.clone());
        }
        d.see(4, fill("p", "A", Side::Sell, "12", "110", "1"));
        if with {
            d.see(5, bust(&wrong));
            d.see(6, bust(&wrong));
        }
        d.level("p")
            .without("observed_for")
            .without("duplicate_executions")
            .without("drawdown")
            .without("max_drawdown")
            .without("trailing_drawdown")
            .without("under_water")
            .measures()
    };
    assert_eq!(figures(true), figures(false));
}

#[test]
fn a_correction_leaves_the_book_as_if_the_fill_had_been_right() {
    let figures = |wrong: bool| {
        let mut d = driver();
        d.see(0, account("p", "10000", "10000"));
        d.see(1, mark("A", "100", "100"));
        let right = fill("p", "A", Side::Buy, "3", "91", "2");
        if wrong {
            let wrong = drive::terms(right.clone(), "5", "90", "1");
            d.see(2, wrong.clone());
            d.see(3, fill("p", "A", Side::Sell, "8", "110", "1"));
            d.see(4, correct(&wrong, "3", "91", "2"));
        } else {
            d.see(2, right);
            d.see(3, fill("p", "A", Side::Sell, "8", "110", "1"));
        }
        ["observed_for", "drawdown", "max_drawdown", "trailing_drawdown", "under_water"]
            .into_iter()
            .fold(d.level("p"), drive::Level::without)
            .measures()
    };
    assert_eq!(figures(true), figures(false));
}

#[test]
fn a_bust_of_something_forgotten_is_refused() {
    let mut d = driver();
    d.see(0, account("p", "10000", "10000"));
    let wrong = fill("p", "A", Side::Buy, "3", "90", "1");
    let refusal = d.refused(1, bust(&wrong));
    assert_eq!(refusal.field, "reference_execution_id");
}

#[test]
fn a_book_that_was_not_read_from_its_start_waits_for_complete_positions() {
    let mut d =
        Driver::risk(RiskParameters::default(), TaskContext { partition: 0, opened_from_zero: false });
    d.see(0, account("p", "10000", "12000"));
    d.see(1, mark("A", "100", "100"));
    d.see(2, fill("p", "A", Side::Buy, "1", "100", "0"));
    assert_eq!(d.level("p").unknown("gross_exposure"), Some(Unknown::NoOpening));
    d.see(3, drive::partial("p", &[("A", "20", Some("95"))]));
    assert_eq!(d.level("p").unknown("gross_exposure"), Some(Unknown::NoOpening));
    d.see(4, complete("p", &[("A", "20", Some("95"))]));
    let level = d.level("p");
    assert_eq!(level.value("gross_exposure"), Some(2000.0));
    assert_eq!(level.value("unrealised_pnl"), Some(100.0));
    assert_eq!(level.value("equity"), Some(12_000.0));
    d.see(5, mark("A", "101", "101"));
    assert_eq!(d.level("p").value("equity"), Some(12_020.0));
}

#[test]
fn a_fill_after_the_opening_record_survives_it_and_one_before_is_in_it() {
    let mut d =
        Driver::risk(RiskParameters::default(), TaskContext { partition: 0, opened_from_zero: false });
    d.see(1, mark("A", "100", "100"));
    d.see(5, fill("p", "A", Side::Buy, "2", "100", "1"));
    // Positions as they were at second 4 come late.
    d.see_at(6, drive::stamped(complete("p", &[("A", "20", Some("95"))]), at(4)));
    d.see_at(7, drive::stamped(fill("p", "A", Side::Buy, "7", "100", "1"), at(3)));
    let level = d.level("p");
    assert_eq!(level.value("gross_exposure"), Some(2200.0));
    assert_eq!(level.value("fees"), Some(1.0));
}

#[test]
fn skipped_executions_close_every_book_until_complete_positions_that_are_not_older() {
    let mut d = driver();
    d.see(0, account("p", "10000", "10000"));
    d.see(1, mark("A", "100", "100"));
    d.see(2, fill("p", "A", Side::Buy, "5", "100", "0"));
    assert_eq!(d.level("p").value("gross_exposure"), Some(500.0));
    d.skip("accounts.v1", Some(30));
    assert_eq!(d.level("p").value("gross_exposure"), Some(500.0), "nothing held rests on accounts");

    let out = d.skip("exec.reports.v1", Some(30));
    assert!(out.iter().any(|o| matches!(&o.event, Event::Holdings(h) if !h.opened)), "{out:?}");
    d.restart();
    d.see(31, fill("p", "A", Side::Buy, "1", "100", "0"));
    d.see(32, fill("new", "A", Side::Buy, "1", "100", "0"));
    for portfolio in ["p", "new"] {
        assert_eq!(d.level(portfolio).unknown("gross_exposure"), Some(Unknown::NoOpening), "{portfolio}");
        assert_eq!(d.level(portfolio).unknown("equity"), Some(Unknown::NoOpening), "{portfolio}");
    }
    // Positions as they were amid what was skipped come late.
    d.see_at(33, drive::stamped(complete("p", &[("A", "20", Some("95"))]), at(29)));
    assert_eq!(d.level("p").unknown("gross_exposure"), Some(Unknown::NoOpening));
    // As they were after it, and before the fill since.
    d.see_at(34, drive::stamped(complete("p", &[("A", "20", Some("95"))]), at(30)));
    assert_eq!(d.level("p").value("gross_exposure"), Some(2100.0));
    assert_eq!(d.level("new").unknown("gross_exposure"), Some(Unknown::NoOpening));
    d.see(35, complete("new", &[]));
    assert_eq!(d.level("new").value("gross_exposure"), Some(0.0));
}

#[test]
fn nothing_held_needs_no_mark() {
    let mut d = driver();
    d.see(0, account("p", "10000", "10000"));
    let level = d.level("p");
    assert_eq!(level.value("gross_exposure"), Some(0.0));
    assert_eq!(level.value("leverage"), Some(0.0));
    assert_eq!(level.limit("position").status, LimitStatus::Ok);
    assert_eq!(level.limit("drawdown").status, LimitStatus::Ok);
}

#[test]
fn a_holding_without_a_mark_is_missing_one() {
    let mut d = driver();
    d.see(0, account("p", "10000", "10000"));
    d.see(1, fill("p", "A", Side::Buy, "10", "100", "0"));
    assert_eq!(d.level("p").unknown("gross_exposure"), Some(Unknown::Missing));
    d.see(2, mark("A", "101", "101"));
    assert_eq!(d.level("p").value("equity"), Some(10_010.0));
}

#[test]
fn another_currency_has_no_rate() {
    let mut d = driver();
    d.see(0, account("p", "10000", "10000"));
    d.see(1, drive::in_currency(mark("A", "100", "100"), "EUR"));
    d.see(2, drive::in_currency(fill("p", "A", Side::Buy, "10", "100", "0"), "EUR"));
    let level = d.level("p");
    assert_eq!(level.unknown("gross_exposure"), Some(Unknown::NoRate));
    assert_eq!(level.unknown("equity"), Some(Unknown::NoRate));
}

#[test]
fn a_breach_that_reverts_at_once_is_published_at_the_step_that_caused_it() {
    let mut d = driver();
    d.see(0, account("p", "200000", "200000"));
    d.see(1, mark("A", "100", "100"));
    d.see(2, fill("p", "A", Side::Buy, "900", "100", "0"));
    let breach = d.see(3, mark("A", "120", "120"));
    let back = d.see(3, mark("A", "100", "100"));
    let state = |outputs: &[tapewatch_monitors::Output]| {
        let Event::RiskMetrics(metrics) = &outputs[0].event else { panic!("no figures") };
        let limit = metrics.limits.iter().find(|l| l.limit == "position").unwrap();
        (limit.previous, limit.status, limit.value, limit.symbol.clone(), limit.utilisation)
    };
    let held = Some("A".to_owned());
    assert_eq!(
        state(&breach),
        (Some(LimitStatus::Ok), LimitStatus::Breached, Some(108_000.0), held.clone(), Some(1.08))
    );
    assert_eq!(state(&back), (Some(LimitStatus::Breached), LimitStatus::Ok, Some(90_000.0), held, Some(0.9)));
}

#[test]
fn losing_more_than_a_share_warns_and_then_breaches() {
    let mut d = driver();
    d.see(0, account("p", "10000", "10000"));
    d.see(1, mark("A", "100", "100"));
    d.see(2, fill("p", "A", Side::Buy, "100", "100", "0"));
    for (price, status) in
        [("86", LimitStatus::Ok), ("84", LimitStatus::Warning), ("79", LimitStatus::Breached)]
    {
        d.see(3, mark("A", price, price));
        assert_eq!(d.level("p").limit("drawdown").status, status, "{price}");
    }
}

#[test]
fn a_stopped_feed_is_stale_until_something_comes() {
    let mut d = driver();
    d.see(0, account("p", "10000", "10000"));
    d.see(1, mark("A", "100", "100"));
    d.see(2, fill("p", "A", Side::Buy, "10", "100", "0"));
    let outputs = d.run_to(2000);
    let first = outputs.iter().find_map(|o| match &o.event {
        Event::RiskMetrics(m) if m.limits.iter().any(|l| l.unknown == Some(Unknown::Stale)) => Some(m),
        _ => None,
    });
    // The mark of second 1 is fresh for 20 minutes.
    assert_eq!(first.unwrap().event_time.micros(), at(1201).micros() + 1);
    assert_eq!(d.level("p").limit("position").status, LimitStatus::Unknown);
    d.see(2001, mark("A", "100", "100"));
    assert_eq!(d.level("p").limit("position").status, LimitStatus::Ok);
}

#[test]
fn a_heartbeat_keeps_a_quiet_market_fresh_only_if_its_records_were_read() {
    let mut d = driver();
    d.see(0, account("p", "10000", "10000"));
    let quoted = d.see_sequence(1, mark("A", "100", "100"));
    d.see(2, fill("p", "A", Side::Buy, "10", "100", "0"));
    d.see(1000, beat("market.data.v1", 0, quoted));
    d.run_to(2000);
    assert_eq!(d.level("p").limit("position").status, LimitStatus::Ok);
    // A record that was lost on the way: the source is alive, and yet the mark may be old.
    d.see(2100, beat("market.data.v1", 0, quoted + 1));
    d.run_to(2300);
    assert_eq!(d.level("p").limit("position").unknown, Some(Unknown::Stale));
}

#[test]
fn what_rests_on_a_source_that_is_down_is_unknown() {
    let mut d = driver();
    d.see(0, account("p", "10000", "10000"));
    d.see(1, mark("A", "100", "100"));
    d.see(2, fill("p", "A", Side::Buy, "10", "100", "0"));
    for (topic, books) in [("market.data.v1", 0), ("exec.reports.v1", 1)] {
        let outputs = d.source(topic, true);
        let is_book = |output: &&tapewatch_monitors::Output| matches!(output.event, Event::Holdings(_));
        assert_eq!((outputs.len(), outputs.iter().filter(is_book).count()), (1 + books, books), "{topic}");
        assert_eq!(d.level("p").limit("position").unknown, Some(Unknown::SourceDown), "{topic}");
        d.source(topic, false);
        assert_eq!(d.level("p").limit("position").status, LimitStatus::Ok, "{topic}");
    }
    d.source("accounts.v1", true);
    assert_eq!(d.level("p").limit("drawdown").unknown, Some(Unknown::SourceDown));
    assert_eq!(d.level("p").limit("position").status, LimitStatus::Ok);
}

#[test]
fn value_at_risk_is_of_the_sampled_changes() {
    let mut parameters = RiskParameters::default();
    parameters.window.minimum = 10;
    let mut d = Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true });
    d.see(0, account("p", "10000", "10000"));
    d.see(1, mark("A", "100", "100"));
    d.see(2, fill("p", "A", Side::Buy, "10", "100", "0"));
    // Equity at the end of each quarter of an hour: up 10, down 20, up 10, …
    for n in 0..30_i64 {
        let price = if n % 2 == 0 { "101" } else { "99" };
        d.run_to(n * 900 + 800);
        d.see(n * 900 + 890, mark("A", price, price));
        d.see(n * 900 + 891, drive::idle("p"));
        d.see(n * 900 + 892, account("p", "9000", if n % 2 == 0 { "10010" } else { "9990" }));
    }
    let level = d.level("p");
    assert_eq!(level.value("samples"), Some(29.0));
    assert_eq!(level.value("var_95"), Some(20.0));
    assert_eq!(level.value("es_99"), Some(20.0));
    assert_eq!(level.limit("var_95").status, LimitStatus::Ok);
}

#[test]
fn samples_can_be_taken_at_each_fill_without_an_account() {
    let mut parameters = RiskParameters::default();
    parameters.window.minimum = 2;
    parameters.window.sampling = Sampling::EachFill;
    parameters.window.basis = Basis::Book;
    let mut d = Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true });
    d.see(0, mark("A", "100", "100"));
    for _ in 0..5 {
        d.see(1, fill("p", "A", Side::Buy, "1", "101", "0"));
    }
    let level = d.level("p");
    assert_eq!(level.value("samples"), Some(4.0));
    assert_eq!(level.value("var_95"), Some(1.0));
}

#[test]
fn a_quiet_portfolio_publishes_nothing_and_has_no_deadline() {
    let mut parameters = RiskParameters::default();
    parameters.freshness.accounts = std::time::Duration::MAX;
    let mut d = Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true });
    d.see(0, account("p", "10000", "10000"));
    let outputs = d.run_to(10 * 24 * 3600);
    // What the account says, when the clock is past its record; a level, one after the sample, one whole book.
    assert_eq!(outputs.len(), 4, "{outputs:?}");
    assert_eq!(d.deadline(), None);
}
