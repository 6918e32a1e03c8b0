//! Whether a halt is kept: which trades break it, from when on, and what is said where nobody can tell.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod drive;

use drive::{Driver, at, bust, complete, correct, execution, fill};
use proptest::prelude::*;
use tapewatch_monitors::alerting::{ControlParameters, Person};
use tapewatch_monitors::risk::Freshness;
use tapewatch_monitors::risk::firm::{FirmMonitor, FirmParameters, ScopeParameters};
use tapewatch_monitors::{AlertingParameters, Output, RiskParameters, TaskContext};
use tapewatch_schemas::events::{
    Alert, AlertState, ControlRequest, Holding, Holdings, Provenance, RequestKind, Severity, Side, Unknown,
};
use tapewatch_schemas::{Amount, Event, PortfolioId, RecordId, Time};

use AlertState::{Firing, Resolved};
use RequestKind::{Acknowledge, Halt, ReduceOnly, Resume, ResumeReduceOnly};

fn parameters() -> AlertingParameters {
    let people = vec![Person { name: "ada".into(), roles: vec!["risk_officer".into()] }];
    let control = ControlParameters { resume_role: "risk_officer".into(), people };
    AlertingParameters { control, ..AlertingParameters::default() }
}

fn asked(request: RequestKind, halt: Option<RecordId>) -> Event {
    Event::ControlRequest(ControlRequest {
        source: "ada".into(),
        sequence: 0,
        event_time: Time(0),
        scope: "p".into(),
        request,
        halt,
        who: "ada".to_owned(),
        reason: "a drill".to_owned(),
        despite_breach: true,
    })
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

/// A book of `p`, opened, after a fill that happened at this second.
fn book(filled: Option<i64>, lines: &[(&str, &str)]) -> Holdings {
    let line = |(symbol, quantity): &(&str, &str)| Holding {
        symbol: (*symbol).into(),
        quantity: amount(quantity),
        average_cost: None,
        multiplier: amount("1"),
        currency: "USD".into(),
    };
    Holdings {
        provenance: Provenance::default(),
        id: RecordId::default(),
        event_time: Time(0),
        portfolio: "p".into(),
        currency: "USD".into(),
        opened: true,
        unknown: None,
        filled_at: filled.map(at),
        account: None,
        account_unknown: None,
        profit: None,
        conduct: None,
        holdings: lines.iter().map(line).collect(),
    }
}

/// What was said about trades that break a halt.
fn alerts(outputs: &[Output]) -> Vec<Alert> {
    let alert = |output: &Output| match &output.event {
        Event::Alert(alert) if alert.rule == "halt_broken" => Some(alert.clone()),
        _ => None,
    };
    outputs.iter().filter_map(alert).collect()
}

type Told = (AlertState, Option<String>, Option<Unknown>);

fn told(outputs: &[Output]) -> Vec<Told> {
    alerts(outputs).into_iter().map(|a| (a.state, a.labels.get("symbol").cloned(), a.unknown)).collect()
}

fn fires(symbol: &str) -> Vec<Told> {
    vec![(Firing, Some(symbol.to_owned()), None)]
}

fn untold(unknown: Unknown) -> Vec<Told> {
    vec![(Firing, None, Some(unknown))]
}

/// Alerting alone.
struct Desk(Driver);

impl Desk {
    fn new() -> Self {
        Self(Driver::alerting(parameters()))
    }

    /// A fill at this second, heard of at once.
    fn fill(&mut self, second: i64, lines: &[(&str, &str)]) -> Vec<Told> {
        self.book(second, book(Some(second), lines))
    }

    fn book(&mut self, second: i64, book: Holdings) -> Vec<Told> {
        let out = self.0.see(second, Event::Holdings(book));
        self.0.restart();
        told(&out)
    }

    fn ask(&mut self, second: i64, request: RequestKind, halt: Option<RecordId>) -> Vec<Output> {
        let out = self.0.see(second, asked(request, halt));
        self.0.restart();
        out
    }

    /// A level, acknowledged within the same second.
    fn keep_to(&mut self, second: i64, request: RequestKind) -> RecordId {
        let halt = halt_of(&self.ask(second, request, None));
        assert_eq!(told(&self.ask(second, Acknowledge, Some(halt))), []);
        halt
    }
}

fn halt_of(outputs: &[Output]) -> RecordId {
    let halt = |output: &Output| match &output.event {
        Event::Control(control) => control.halt,
        _ => None,
    };
    outputs.iter().find_map(halt).unwrap()
}

#[test]
fn a_halt_allows_no_fill_once_it_is_acknowledged() {
    let mut d = Desk::new();
    d.fill(1, &[("A", "10")]);
    let halt = halt_of(&d.ask(2, Halt, None));
    // On its way.
    assert_eq!(d.fill(3, &[("A", "12")]), []);
    d.ask(5, Acknowledge, Some(halt));
    assert_eq!(d.book(7, book(Some(5), &[("A", "11")])), []);
    assert_eq!(d.book(8, book(None, &[("A", "11")])), []);

    let broken = d.0.see(9, Event::Holdings(book(Some(9), &[("A", "8")])));
    assert_eq!(told(&broken), fires("A"));
    let alert = &alerts(&broken)[0];
    assert_eq!((alert.severity, alert.scope.as_str()), (Severity::Emergency, "p"));
    assert_eq!((alert.value, alert.threshold), (Some(8.0), Some(11.0)));
    for words in ["p: trading is halted since", "A was traded all the same, from 11 to 8", &halt.to_string()]
    {
        assert!(alert.message.contains(words), "{words}: {}", alert.message);
    }
    // Told once a symbol.
    assert_eq!(d.fill(10, &[("A", "9")]), []);
    assert_eq!(d.fill(11, &[("A", "9"), ("B", "-1")]), fires("B"));
    assert_eq!(d.book(12, book(None, &[("A", "9"), ("B", "-1")])), []);
    // Taken back or not: it was traded.
    assert_eq!(d.book(13, book(None, &[("A", "11")])), []);

    let resumed = told(&d.ask(20, Resume, Some(halt)));
    assert_eq!(resumed, [(Resolved, Some("A".to_owned()), None), (Resolved, Some("B".to_owned()), None)]);
    assert_eq!(d.fill(21, &[("A", "50")]), []);
}

#[test]
fn without_an_acknowledgement_it_is_kept_once_its_time_is_over() {
    let mut d = Desk::new();
    d.fill(1, &[("A", "10")]);
    d.ask(2, Halt, None);
    assert_eq!(d.fill(32, &[("A", "11")]), []);
    assert_eq!(d.fill(33, &[("A", "10")]), fires("A"));
    // A fill that leaves all as it was is a fill.
    let mut d = Desk::new();
    d.fill(1, &[("A", "10")]);
    d.keep_to(2, Halt);
    assert_eq!(d.fill(3, &[("A", "10")]), [(Firing, None, None)]);
}

#[test]
fn what_may_only_reduce_may_not_grow_turn_or_be_bought_back() {
    let all = [("A", "10"), ("B", "-5")];
    let reduce_only = || {
        let mut d = Desk::new();
        d.fill(1, &all);
        d.keep_to(2, ReduceOnly);
        d
    };
    let mut d = reduce_only();
    assert_eq!(d.fill(3, &[("A", "6"), ("B", "-5")]), []);
    assert_eq!(d.fill(4, &[("A", "6")]), []);
    assert_eq!(d.fill(5, &[("A", "7")]), fires("A"));
    assert_eq!(d.fill(6, &[("A", "7"), ("B", "-1")]), fires("B"));
    // Back within, and reduced from there: nothing new, and what was told stands.
    assert_eq!(d.fill(7, &[("A", "3")]), []);
    let resumed = d.ask(8, Resume, None);
    assert_eq!(told(&resumed).len(), 2);

    for (symbol, lines) in [
        ("A", [("A", "10.000000000001"), ("B", "-5")]),
        ("A", [("A", "-0.5"), ("B", "-5")]),
        ("B", [("A", "10"), ("B", "-5.1")]),
        ("B", [("A", "10"), ("B", "5")]),
    ] {
        assert_eq!(reduce_only().fill(3, &lines), fires(symbol), "{lines:?}");
    }
    assert_eq!(reduce_only().fill(3, &[("A", "10"), ("B", "-5"), ("C", "1")]), fires("C"));
    // Turned, and back: of what was sold out nothing may be held.
    let mut d = reduce_only();
    assert_eq!(d.fill(3, &[("A", "-1"), ("B", "-5")]), fires("A"));
    d.ask(4, Resume, None);
    d.fill(5, &[("A", "2")]);
    d.keep_to(6, ReduceOnly);
    assert_eq!(d.fill(7, &[]), []);
    assert_eq!(d.fill(8, &[("A", "1")]), fires("A"));
}

#[test]
fn of_the_next_halt_is_told_anew_and_lowering_it_begins_anew() {
    let mut d = Desk::new();
    d.fill(1, &[("A", "10")]);
    d.keep_to(2, ReduceOnly);
    assert_eq!(d.fill(3, &[("A", "11")]), fires("A"));
    let halt = halt_of(&d.ask(4, Halt, None));
    // Until that is expected to be kept, the lesser level is.
    assert_eq!(d.fill(5, &[("A", "11"), ("B", "1")]), fires("B"));
    assert_eq!(d.fill(6, &[("A", "9"), ("B", "1")]), []);
    d.ask(7, Acknowledge, Some(halt));
    assert_eq!(d.fill(8, &[("A", "8"), ("B", "1")]), fires("A"));
    assert_eq!(d.fill(9, &[("A", "7"), ("B", "1")]), []);

    let lowered = told(&d.ask(10, ResumeReduceOnly, None));
    assert_eq!(lowered.iter().map(|one| one.0).collect::<Vec<_>>(), [Resolved, Resolved]);
    assert_eq!(d.fill(11, &[("A", "5"), ("B", "1")]), []);
    assert_eq!(d.fill(12, &[("A", "6"), ("B", "1")]), fires("A"));
}

#[test]
fn of_changes_alone_nobody_can_tell_whether_they_reduce() {
    let changes = |filled, lines: &[(&str, &str)]| Holdings { opened: false, ..book(filled, lines) };
    let mut d = Desk::new();
    d.book(1, changes(Some(1), &[("A", "-2")]));
    d.keep_to(2, ReduceOnly);
    assert_eq!(d.book(3, changes(None, &[("A", "-2")])), []);
    let smaller = d.book(4, changes(Some(4), &[("A", "-1")]));
    assert_eq!(smaller, [(Firing, Some("A".to_owned()), Some(Unknown::NoOpening))]);
    // It is opened: from here on it can be told.
    assert_eq!(d.book(5, book(None, &[("A", "100"), ("B", "3")])), []);
    assert_eq!(d.fill(6, &[("A", "99"), ("B", "3")]), []);
    assert_eq!(d.fill(7, &[("A", "99"), ("B", "4")]), fires("B"));

    // A halt allows no change, of whatever.
    let mut d = Desk::new();
    d.book(1, changes(Some(1), &[("A", "-2")]));
    d.keep_to(2, Halt);
    assert_eq!(d.book(3, changes(Some(3), &[])), fires("A"));

    // Fills that a person skipped: nobody knows what they did.
    let mut d = Desk::new();
    d.fill(1, &[("A", "10")]);
    d.keep_to(2, ReduceOnly);
    assert_eq!(d.book(3, changes(None, &[("A", "10")])), untold(Unknown::NoOpening));
}

#[test]
fn what_cannot_be_compared_is_not_called_kept() {
    // No book before it.
    let mut d = Desk::new();
    d.keep_to(2, ReduceOnly);
    assert_eq!(d.book(3, book(None, &[("A", "9")])), []);
    assert_eq!(d.fill(4, &[("A", "8")]), []);
    let mut d = Desk::new();
    d.keep_to(2, ReduceOnly);
    assert_eq!(d.fill(3, &[("A", "9")]), untold(Unknown::Missing));
    assert_eq!(d.fill(4, &[("A", "9.5")]), fires("A"));

    // One that came behind a later one is no change of it.
    let mut d = Desk::new();
    d.fill(5, &[("A", "10")]);
    d.keep_to(6, ReduceOnly);
    d.fill(8, &[("A", "9")]);
    let late = Holdings { event_time: at(7), ..book(Some(7), &[("A", "10")]) };
    assert_eq!(told(&d.0.see_at(9, Event::Holdings(late.clone()))), untold(Unknown::Missing));
    assert_eq!(told(&d.0.see_at(9, Event::Holdings(Holdings { filled_at: Some(at(4)), ..late }))), []);
    assert_eq!(d.fill(10, &[("A", "9.5")]), fires("A"));

    // Books that were missed.
    let mut d = Desk::new();
    d.fill(1, &[("A", "10")]);
    d.keep_to(2, ReduceOnly);
    d.fill(3, &[("A", "9")]);
    assert_eq!(told(&d.0.source("holdings.v1", true)), untold(Unknown::SourceDown));
    d.0.restart();
    assert_eq!(d.book(5, book(None, &[("A", "12")])), []);
    assert_eq!(d.fill(6, &[("A", "13")]), fires("A"));
    let mut d = Desk::new();
    d.fill(1, &[("A", "10")]);
    d.keep_to(2, Halt);
    d.fill(3, &[("B", "10")]);
    assert_eq!(told(&d.0.skip("holdings.v1", None)), untold(Unknown::SourceDown));
    assert_eq!(told(&d.0.skip("holdings.v1", None)), []);
    // What is not restricted has nothing to keep.
    let mut d = Desk::new();
    d.fill(1, &[("A", "10")]);
    assert_eq!(told(&d.0.source("holdings.v1", true)), []);
}

#[test]
fn more_symbols_than_are_told_of_are_told_of_together() {
    let mut d = Desk(Driver::alerting(AlertingParameters { max_conditions: 1, ..parameters() }));
    d.fill(1, &[("A", "1")]);
    d.keep_to(2, ReduceOnly);
    let names: Vec<String> = (0..150).map(|n| format!("S{n:03}")).collect();
    let lines: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let all = d.fill(3, &lines);
    assert_eq!(all.iter().filter(|(_, symbol, _)| symbol.is_some()).count(), 100);
    assert_eq!(all.iter().filter(|(_, symbol, _)| symbol.is_none()).count(), 1);
    assert_eq!(told(&d.ask(4, Resume, None)).len(), 101);
}

/// Risk, and alerting behind it.
struct Pair {
    risk: Driver,
    alerting: Desk,
}

impl Pair {
    fn new() -> Self {
        let task = TaskContext { partition: 0, opened_from_zero: true };
        Self { risk: Driver::risk(RiskParameters::default(), task), alerting: Desk::new() }
    }

    fn see(&mut self, second: i64, event: Event) -> Vec<Told> {
        self.risk.run_to(second);
        let out = self.risk.see(second, event);
        self.risk.restart();
        let books = out.iter().filter(|output| matches!(output.event, Event::Holdings(_)));
        let mut all = Vec::new();
        for book in books {
            all.extend(told(&self.alerting.0.see_at(second, book.event.clone())));
        }
        all
    }
}

fn order(n: i64, side: Side, quantity: &str) -> Event {
    execution(fill("p", "A", side, quantity, "100", "0"), n)
}

#[test]
fn a_fill_that_is_undone_or_corrected_is_no_trade() {
    let (first, sold) = (order(1, Side::Buy, "6"), order(2, Side::Sell, "2"));
    for (request, allowed) in [(ReduceOnly, true), (Halt, false)] {
        let mut p = Pair::new();
        assert_eq!(p.see(1, first.clone()), []);
        assert_eq!(p.see(2, sold.clone()), []);
        p.alerting.keep_to(3, request);
        // 4 held. More than before, without a trade: what is held then may be.
        assert_eq!(p.see(4, bust(&sold)), []);
        assert_eq!(p.see(5, correct(&first, "5", "100", "0")), []);
        let reduced = p.see(6, order(3, Side::Sell, "1"));
        assert_eq!(reduced.is_empty(), allowed, "{reduced:?}");
        p.alerting.ask(7, Resume, None);
        p.alerting.keep_to(8, request);
        // 4 held again. A trade that breaks it, undone: what was told stands, and what was held may be held.
        let growing = order(4, Side::Buy, "1");
        assert_eq!(p.see(9, growing.clone()), fires("A"));
        assert_eq!(p.see(10, bust(&growing)), []);
        let told = told(&p.alerting.ask(11, Resume, None));
        assert_eq!(told, [(Resolved, Some("A".to_owned()), None)]);
        // What positions say is no trade either.
        p.alerting.keep_to(12, request);
        assert_eq!(p.see(13, complete("p", &[("A", "9", None)])), []);
    }
}

#[test]
fn a_book_that_is_published_now_and_then_tells_that_something_was_filled() {
    let task = TaskContext { partition: 0, opened_from_zero: true };
    // A book that becomes unknown is published at once.
    let days = std::time::Duration::from_secs(3 * 24 * 3600);
    let freshness = Freshness { executions: days, ..Freshness::default() };
    let parameters = RiskParameters { holdings_at_change: false, freshness, ..RiskParameters::default() };
    let mut p = Pair { risk: Driver::risk(parameters, task), alerting: Desk::new() };
    p.see(1, order(1, Side::Buy, "6"));
    p.see(2, order(2, Side::Sell, "1"));
    let day = 24 * 3600;
    let books = |p: &mut Pair, second| {
        let out = p.risk.run_to(second);
        let all: Vec<_> = out.into_iter().filter(|o| matches!(o.event, Event::Holdings(_))).collect();
        assert_eq!(all.len(), 1);
        let Event::Holdings(book) = all[0].event.clone() else { unreachable!() };
        (book.filled_at, told(&p.alerting.0.see_at(second, all[0].event.clone())))
    };
    assert_eq!(books(&mut p, day), (Some(at(2)), vec![]));
    p.alerting.keep_to(day + 1, Halt);
    p.see(day + 2, order(3, Side::Buy, "1"));
    p.see(day + 3, bust(&order(1, Side::Buy, "6")));
    assert_eq!(books(&mut p, 2 * day), (Some(at(day + 2)), fires("A")));
}

/// The firm monitor of a desk of all portfolios, and alerting behind it.
struct DeskOfAll {
    firm: Driver,
    alerting: Desk,
}

impl DeskOfAll {
    fn new() -> Self {
        let parameters = FirmParameters {
            scopes: vec![ScopeParameters { scope: "desk:d".into(), portfolios: Vec::new() }],
            books: std::time::Duration::from_secs(600),
            ..FirmParameters::default()
        };
        let firm = Driver::new(move || Box::new(FirmMonitor::new(parameters.clone())));
        Self { firm, alerting: Desk::new() }
    }

    /// A book of a portfolio; what was said of the desk by its next level.
    fn book(&mut self, second: i64, portfolio: &str, book: Holdings) -> Vec<Alert> {
        let portfolio = PortfolioId::from(portfolio);
        let mut out = self.firm.see(second, Event::Holdings(Holdings { portfolio, ..book }));
        self.firm.restart();
        out.extend(self.firm.run_to((second / 60 + 1) * 60));
        let figures = out.into_iter().filter(|o| matches!(o.event, Event::RiskMetrics(_)));
        let said: Vec<Output> =
            figures.flat_map(|o| self.alerting.0.see_at((second / 60 + 1) * 60, o.event)).collect();
        self.alerting.0.restart();
        alerts(&said)
    }

    fn ask(&mut self, second: i64, request: RequestKind, halt: Option<RecordId>) -> Vec<Output> {
        let Event::ControlRequest(mut asked) = asked(request, halt) else { unreachable!() };
        asked.scope = "desk:d".into();
        self.alerting.0.see(second, Event::ControlRequest(asked))
    }

    fn keep_to(&mut self, second: i64, request: RequestKind) -> RecordId {
        let halt = halt_of(&self.ask(second, request, None));
        self.ask(second, Acknowledge, Some(halt));
        halt
    }
}

#[test]
fn a_halt_of_a_desk_is_broken_by_a_fill_of_any_of_its_portfolios() {
    let mut d = DeskOfAll::new();
    assert_eq!(d.book(1, "p", book(Some(1), &[("A", "10")])), []);
    assert_eq!(d.book(2, "q", book(Some(2), &[("A", "-10")])), []);
    let halt = d.keep_to(130, Halt);
    // What was filled before it and is heard of now, and what is undone, is no break.
    assert_eq!(d.book(131, "p", book(Some(129), &[("A", "11")])), []);
    assert_eq!(d.book(190, "p", book(None, &[("A", "10")])), []);
    let said = d.book(250, "q", book(Some(250), &[("A", "-9")]));
    assert_eq!((said.len(), said[0].state, said[0].scope.as_str()), (1, Firing, "desk:d"));
    assert!(said[0].message.contains("q traded all the same"), "{}", said[0].message);
    assert_eq!(said[0].labels.get("portfolio").map(String::as_str), Some("q"));
    // Told once a portfolio.
    assert_eq!(d.book(310, "q", book(Some(310), &[("A", "-8")])), []);
    assert_eq!(d.book(370, "p", book(Some(370), &[("A", "9")])).len(), 1);
    let resumed = d.ask(440, Resume, Some(halt));
    assert_eq!(alerts(&resumed).iter().filter(|alert| alert.state == Resolved).count(), 2);
    assert_eq!(d.book(490, "p", book(Some(490), &[("A", "90")])), []);
}

/// What was told of is not told again of the next level, higher or lower, and what comes after it is.
#[test]
fn a_trade_in_a_desk_is_told_of_once_whatever_the_level_becomes() {
    let mut d = DeskOfAll::new();
    d.book(1, "p", book(Some(1), &[("A", "10")]));
    d.keep_to(100, ReduceOnly);
    assert_eq!(d.book(150, "p", book(Some(150), &[("A", "11")])).len(), 1);
    let halt = halt_of(&d.ask(200, Halt, None));
    assert_eq!(d.book(240, "p", book(None, &[("A", "11")])), []);
    let said = d.book(310, "p", book(Some(310), &[("A", "10")]));
    assert_eq!((said.len(), said[0].state), (1, Firing), "it is told anew of this halt: {said:?}");
    let lowered = d.ask(400, ResumeReduceOnly, Some(halt));
    assert_eq!(alerts(&lowered).iter().map(|alert| alert.state).collect::<Vec<_>>(), [Resolved]);
    assert_eq!(d.book(430, "p", book(None, &[("A", "10")])), []);
    assert_eq!(d.book(500, "p", book(Some(500), &[("A", "12")])).len(), 1);
}

#[test]
fn a_desk_that_may_only_reduce_may_not_hold_more_in_any_portfolio() {
    for (lines, broken) in [
        (&[("A", "9"), ("B", "-5")][..], false),
        (&[("A", "10")], false),
        (&[], false),
        (&[("A", "10.5"), ("B", "-5")], true),
        (&[("A", "10"), ("B", "5")], true),
        (&[("A", "10"), ("B", "-5"), ("C", "1")], true),
    ] {
        let mut d = DeskOfAll::new();
        assert_eq!(d.book(1, "p", book(Some(1), &[("A", "10"), ("B", "-5")])), []);
        d.keep_to(130, ReduceOnly);
        let said = d.book(190, "p", book(Some(190), lines));
        assert_eq!(!said.is_empty(), broken, "{lines:?}");
    }
    // Of a portfolio that nobody knew, and of books that are not known, nobody can tell.
    let mut d = DeskOfAll::new();
    d.book(1, "p", book(Some(1), &[("A", "10")]));
    d.keep_to(130, ReduceOnly);
    assert_eq!(d.book(190, "q", book(Some(190), &[("A", "1")])).len(), 1);
    let mut d = DeskOfAll::new();
    d.book(1, "p", book(Some(1), &[("A", "10")]));
    d.keep_to(130, Halt);
    let lost = Holdings { opened: false, unknown: Some(Unknown::NoOpening), ..book(None, &[("A", "10")]) };
    let said = d.book(190, "p", lost);
    assert_eq!((said.len(), said[0].unknown), (1, Some(Unknown::NoOpening)));
    // Known again, it kept to it; a trade is one.
    let said = d.book(250, "p", book(None, &[("A", "10")]));
    assert_eq!(said.iter().map(|alert| alert.state).collect::<Vec<_>>(), [Resolved]);
    assert_eq!(d.book(310, "p", book(Some(310), &[("A", "9")])).len(), 1);
    // Books that were skipped are told of at once.
    let mut d = DeskOfAll::new();
    d.book(1, "p", book(Some(1), &[("A", "10")]));
    d.keep_to(130, Halt);
    d.firm.run_to(190);
    let out = d.firm.skip("holdings.v1", Some(190));
    let said: Vec<Output> = out.into_iter().flat_map(|o| d.alerting.0.see_at(191, o.event)).collect();
    assert_eq!(told(&said), [(Firing, None, Some(Unknown::NoOpening))]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Reduce-only is broken by the first trade that goes beyond the least that was held since, and by none before.
    #[test]
    fn the_first_trade_beyond_the_least_held_breaks_it(
        begun in -9_i64..10, trades in prop::collection::vec(-4_i64..5, 1..20),
    ) {
        let text = |quantity: i64| quantity.to_string();
        let mut d = Desk::new();
        d.fill(1, &[("A", &text(begun))]);
        d.keep_to(2, ReduceOnly);
        let (mut held, mut least) = (begun, begun.abs());
        let mut broken = false;
        for (n, units) in trades.iter().enumerate().filter(|(_, units)| **units != 0) {
            held += units;
            let beyond = held.abs() > least || held * begun < 0;
            let line = text(held);
            let lines: &[(&str, &str)] = if held == 0 { &[] } else { &[("A", &line)] };
            let said = d.fill(3 + n as i64, lines);
            prop_assert_eq!(said, if beyond && !broken { fires("A") } else { vec![] }, "{} of {}", held, begun);
            broken |= beyond;
            least = least.min(held.abs());
        }
    }
}

/// The halt still gave it time: less than a halt does not take that away.
#[test]
fn what_a_halt_left_on_its_way_may_come_after_it_was_lowered() {
    let mut d = Desk::new();
    d.fill(1, &[("A", "10")]);
    let halt = halt_of(&d.ask(10, Halt, None));
    d.ask(12, ResumeReduceOnly, Some(halt));
    assert_eq!(d.fill(13, &[("A", "12")]), []);
    assert_eq!(d.fill(41, &[("A", "13")]), fires("A"));

    // Once it was answered nothing is on its way.
    let mut d = Desk::new();
    d.fill(1, &[("A", "10")]);
    let halt = d.keep_to(10, Halt);
    d.ask(12, ResumeReduceOnly, Some(halt));
    assert_eq!(d.fill(13, &[("A", "12")]), fires("A"));
}
