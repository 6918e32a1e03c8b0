//! What must hold for every sequence of events.

mod drive;

use std::collections::BTreeMap;
use std::time::Duration;

use drive::{Driver, at, bust, fill, stamped};
use proptest::prelude::*;
use tapewatch_monitors::risk::{TailModel, WindowLength};
use tapewatch_monitors::{Output, RiskParameters, TaskContext};
use tapewatch_schemas::events::{Holdings, LimitStatus, RiskMetrics, Side};
use tapewatch_schemas::{Amount, Event};

/// One thing that happens, `after` so many seconds.
#[derive(Clone, Debug)]
struct Happening {
    after: i64,
    /// How late the record is, seconds.
    late: i64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Mark { symbol: usize, price: i64 },
    Fill { portfolio: usize, symbol: usize, quantity: i64, price: i64 },
    Repeat { nth: usize },
    Bust { nth: usize },
    Account { portfolio: usize, equity: i64, deposits: i64 },
    Positions { portfolio: usize, quantity: i64 },
    Beat { ahead: i64 },
    Source { topic: usize, down: bool },
    Restart,
}

const SYMBOLS: [&str; 3] = ["A", "B", "C"];
const PORTFOLIOS: [&str; 2] = ["p", "q"];
const TOPICS: [&str; 3] = ["market.data.v1", "exec.reports.v1", "accounts.v1"];

fn what() -> impl Strategy<Value = What> {
    let price = 50_i64..150;
    // Now and then so much that it cannot be booked.
    let quantity = prop_oneof![20 => -500_i64..500, 1 => Just(9_000_000_000_000_000_i64)];
    prop_oneof![
        8 => (0..3_usize, price.clone()).prop_map(|(symbol, price)| What::Mark { symbol, price }),
        6 => (0..2_usize, 0..3_usize, quantity, price).prop_map(|(portfolio, symbol, quantity, price)| {
            What::Fill { portfolio, symbol, quantity, price }
        }),
        1 => (0..40_usize).prop_map(|nth| What::Repeat { nth }),
        2 => (0..40_usize).prop_map(|nth| What::Bust { nth }),
        3 => (0..2_usize, 1_000_i64..200_000, 0_i64..3)
            .prop_map(|(portfolio, equity, deposits)| What::Account { portfolio, equity, deposits }),
        1 => (0..2_usize, -100_i64..100).prop_map(|(portfolio, quantity)| What::Positions { portfolio, quantity }),
        2 => (-2_i64..3).prop_map(|ahead| What::Beat { ahead }),
        1 => (0..3_usize, any::<bool>()).prop_map(|(topic, down)| What::Source { topic, down }),
        3 => Just(What::Restart),
    ]
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let after = prop_oneof![4 => 0_i64..5, 3 => 10_i64..120, 1 => 300_i64..3000];
    let late = prop_oneof![5 => Just(0_i64), 1 => 0_i64..60];
    let one = (after, late, what()).prop_map(|(after, late, what)| Happening { after, late, what });
    prop::collection::vec(one, 1..120)
}

fn driver(opened_from_zero: bool) -> Driver {
    let mut parameters = RiskParameters::default();
    parameters.window.minimum = 3;
    parameters.window.length = WindowLength::Observations(8);
    parameters.window.sampling = tapewatch_monitors::risk::Sampling::Every(Duration::from_secs(60));
    parameters.freshness.marks = Duration::from_secs(100);
    parameters.freshness.executions = Duration::from_secs(150);
    parameters.freshness.accounts = Duration::from_secs(200);
    parameters.bounds.executions = 10;
    parameters.window.models.push(TailModel::Revalued);
    let history = &mut parameters.history;
    (history.interval, history.window, history.minimum) =
        (Duration::from_secs(60), WindowLength::Observations(6), 2);
    parameters.limits[2].hard = Some(20_000.0);
    Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero })
}

/// The figures that a tick or a record made known.
fn made_known(outputs: &[Output]) -> Vec<String> {
    let metrics = outputs.iter().filter_map(|o| match &o.event {
        Event::RiskMetrics(m) => Some(m),
        _ => None,
    });
    metrics
        .flat_map(|m| &m.limits)
        .filter(|l| l.previous == Some(LimitStatus::Unknown) && l.status != LimitStatus::Unknown)
        .map(|l| l.limit.clone())
        .collect()
}

/// What a run of the happenings says, and what it ended as.
struct Run {
    outputs: Vec<Output>,
    state: Vec<u8>,
    refused: usize,
}

fn run(happenings: &[Happening], opened: bool, restarts: bool) -> Run {
    let mut d = driver(opened);
    let mut fills: Vec<Event> = Vec::new();
    let (mut second, mut refused) = (0, 0);
    for (n, Happening { after, late, what }) in (0_i64..).zip(happenings) {
        second += after;
        let ticked = d.run_to(second);
        for limit in made_known(&ticked) {
            let waits = limit.starts_with("var") || limit == "correlation";
            assert!(waits, "{limit} became known by waiting");
        }
        let event = match what {
            What::Mark { symbol, price } => {
                let price = price.to_string();
                drive::mark(SYMBOLS[*symbol], &price, &price)
            }
            What::Fill { portfolio, symbol, quantity, price } => {
                let side = if *quantity < 0 { Side::Sell } else { Side::Buy };
                let (units, price) = (quantity.abs().to_string(), price.to_string());
                let event = fill(PORTFOLIOS[*portfolio], SYMBOLS[*symbol], side, &units, &price, "0.5");
                let event = drive::execution(event, n);
                fills.push(event.clone());
                event
            }
            What::Repeat { nth } if *nth < fills.len() => fills[*nth].clone(),
            What::Bust { nth } if *nth < fills.len() => bust(&fills[*nth]),
            What::Account { portfolio, equity, deposits } => {
                let equity = equity.to_string();
                let deposits = (deposits * 1000).to_string();
                drive::account_with(PORTFOLIOS[*portfolio], &equity, &equity, &deposits, "0")
            }
            What::Positions { portfolio, quantity } => {
                drive::complete(PORTFOLIOS[*portfolio], &[("A", &quantity.to_string(), Some("100"))])
            }
            What::Beat { ahead } => drive::beat("market.data.v1", 0, (d.offset() + ahead).max(-1)),
            What::Source { topic, down } => {
                d.source(TOPICS[*topic], *down);
                continue;
            }
            What::Restart => {
                if restarts {
                    d.restart();
                }
                continue;
            }
            What::Repeat { .. } | What::Bust { .. } => continue,
        };
        let before = (d.save(), d.deadline());
        if d.try_see(second, stamped(event, at(second - late))).is_err() {
            refused += 1;
            assert_eq!((d.save(), d.deadline()), before, "a refused record changed the state");
        }
    }
    d.run_to(second + 10_000);
    Run { state: d.save(), outputs: d.outputs, refused }
}

fn metrics(outputs: &[Output]) -> impl Iterator<Item = &RiskMetrics> {
    outputs.iter().filter_map(|o| match &o.event {
        Event::RiskMetrics(m) => Some(m),
        _ => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Also, in `run`: a refused record changes nothing, what is unknown becomes known only by a record or a
    /// source that came up, every tick moves the deadline on.
    #[test]
    fn a_restart_anywhere_changes_no_output(happenings in happenings(), opened in any::<bool>()) {
        let through = run(&happenings, opened, false);
        let restarted = run(&happenings, opened, true);
        prop_assert_eq!(through.refused, restarted.refused);
        prop_assert_eq!(through.outputs, restarted.outputs);
        prop_assert_eq!(through.state, restarted.state);
    }

    /// The published book and the last marks give the published exposure.
    #[test]
    fn running_sums_equal_sums_from_scratch(happenings in happenings()) {
        let outputs = run(&happenings, true, false).outputs;
        let mut books: BTreeMap<String, Holdings> = BTreeMap::new();
        for output in &outputs {
            if let Event::Holdings(book) = &output.event {
                books.insert(book.portfolio.to_string(), book.clone());
            }
        }
        let mut marks: BTreeMap<&str, (i64, Amount)> = BTreeMap::new();
        let mut second = 0;
        for happening in &happenings {
            second += happening.after;
            if let What::Mark { symbol, price } = happening.what {
                let time = second - happening.late;
                let known = marks.get(SYMBOLS[symbol]).is_none_or(|(at, _)| *at <= time);
                if known {
                    marks.insert(SYMBOLS[symbol], (time, Amount::from(price)));
                }
            }
        }
        for (portfolio, book) in books {
            let last = metrics(&outputs).filter(|m| m.scope.as_str() == portfolio).last().unwrap();
            let gross = last.measures.iter().find(|m| m.name == "gross_exposure").unwrap();
            let Some(published) = gross.amount else { continue };
            let mut expected = Amount::ZERO;
            for line in &book.holdings {
                let value = line.quantity.checked_mul(marks[line.symbol.as_str()].1).unwrap();
                expected = expected.checked_add(value.abs()).unwrap();
            }
            prop_assert_eq!(published, expected);
        }
    }

    #[test]
    fn a_fill_in_two_parts_earns_what_it_earns_in_one(
        before in -300_i64..300, first in 1_i64..200, second in 1_i64..200, price in 50_i64..150, sell in any::<bool>(),
    ) {
        let profit = |parts: &[i64]| {
            let mut d = driver(true);
            let side = |sell| if sell { Side::Sell } else { Side::Buy };
            d.see(0, drive::account("p", "100000", "100000"));
            d.see(1, drive::mark("A", "100", "100"));
            if before != 0 {
                d.see(2, fill("p", "A", side(before < 0), &before.abs().to_string(), "90", "0"));
            }
            for part in parts {
                d.see(3, fill("p", "A", side(sell), &part.to_string(), &price.to_string(), "0"));
            }
            let level = d.level("p");
            let amount = |name: &str| level.0.measures.iter().find(|m| m.name == name).unwrap().amount.unwrap();
            (amount("equity"), amount("realised_pnl"), amount("unrealised_pnl"))
        };
        let (one, two) = (profit(&[first + second]), profit(&[first, second]));
        prop_assert_eq!(one.0, two.0);
        // The split into realised and unrealised is rounded once a part.
        for (a, b) in [(one.1, two.1), (one.2, two.2)] {
            prop_assert!(a.checked_sub(b).unwrap().abs() <= "0.00000000001".parse().unwrap());
        }
    }

    #[test]
    fn busted_fills_leave_no_trace(
        fills in prop::collection::vec((-200_i64..200, 50_i64..150, any::<bool>()), 1..9),
    ) {
        let book = |all: bool| {
            let mut d = driver(true);
            d.see(0, drive::account("p", "100000", "100000"));
            d.see(1, drive::mark("A", "100", "100"));
            let mut wrong = Vec::new();
            for (n, (quantity, price, right)) in (0_i64..).zip(&fills) {
                if *quantity == 0 || !(all || *right) {
                    continue;
                }
                let side = if *quantity < 0 { Side::Sell } else { Side::Buy };
                let event = fill("p", "A", side, &quantity.abs().to_string(), &price.to_string(), "0.25");
                let event = drive::execution(event, n);
                d.see(2 + n, event.clone());
                if !right {
                    wrong.push(event);
                }
            }
            for event in wrong.iter().rev() {
                d.see(50, bust(event));
            }
            d.see(51, drive::mark("A", "101", "101"));
            let level = d.level("p");
            ["drawdown", "max_drawdown", "trailing_drawdown", "under_water", "observed_for"].into_iter().fold(level, drive::Level::without).measures()
        };
        prop_assert_eq!(book(true), book(false));
    }
}
