//! What the risk monitor publishes: figures and limit states, and whole books.

use tapewatch_schemas::events::{
    Holding, Holdings, Measure, Occasion, Profit, Provenance, RiskMetrics, Standing, Unknown,
};
use tapewatch_schemas::{Event, RecordId, Scope};

use super::around::Around;
use super::backtest::{Verdict, number};
use super::changes::Changes;
use super::correlation::symbols_of;
use super::currencies;
use super::marks::{Marks, SymbolId};
use super::measure::{Bounded, CONDUCT, Confidence, TailModel};
use super::money::Money;
use super::parameters::WindowParameters;
use super::portfolio::Portfolio;
use crate::kernels::{Horizon, TailRisk};
use crate::monitor::Output;

/// The portfolio's figures and limit states.
pub(super) fn risk_metrics(portfolio: &mut Portfolio, around: &Around<'_>, occasion: Occasion) -> Output {
    let limits = portfolio.limit_states(around);
    let mut measures = measures(portfolio, around);
    if occasion == Occasion::Interval {
        measures.extend(portfolio.contributions(around));
        let (unknown, values) = (portfolio.exposure_unknown(), portfolio.values());
        name_positions(&mut measures, unknown, around.marks, values, around.parameters.positions);
    }
    let currency = portfolio.currency.as_ref().unwrap_or(&around.parameters.default_currency).clone();
    Output {
        ages: around.ages(portfolio),
        event: Event::RiskMetrics(RiskMetrics {
            provenance: Provenance::default(),
            id: RecordId::default(),
            event_time: around.clock,
            scope: Scope(portfolio.id.0.clone()),
            occasion,
            currency,
            measures,
            limits,
        }),
    }
}

/// Names the largest of these positions with their values, at most so many, as far as they are not named already; of equal
/// ones the first by name. None while they are unknown.
pub(super) fn name_positions(
    list: &mut Vec<Measure>,
    unknown: Option<Unknown>,
    marks: &Marks,
    values: impl Iterator<Item = (SymbolId, Money)>,
    most: usize,
) {
    if unknown.is_some() || most == 0 {
        return;
    }
    let symbol = |at: SymbolId| marks.entry(at).symbol.as_str();
    let mut all: Vec<_> = values.filter(|(_, value)| *value != Money::ZERO).collect();
    let larger = |(a, of_a): &(SymbolId, Money), (b, of_b): &(SymbolId, Money)| {
        of_b.abs().cmp(&of_a.abs()).then_with(|| symbol(*a).cmp(symbol(*b)))
    };
    if most < all.len() {
        all.select_nth_unstable_by(most, larger);
        all.truncate(most);
    }
    all.sort_unstable_by(larger);
    for (at, value) in all {
        let name = format!("{}:{}", Bounded::Position, symbol(at));
        if !list.iter().any(|measure| measure.name == name) {
            list.push(money(&name, None, value));
        }
    }
}

fn measures(portfolio: &mut Portfolio, around: &Around<'_>) -> Vec<Measure> {
    let exposure = portfolio.exposure_unknown();
    let equity = portfolio.equity_unknown();
    let book = portfolio.unknowns.book;
    let sums = portfolio.sums;
    let window = &around.parameters.window;
    let realised_today = portfolio.day.realised(portfolio.realised, portfolio.realised_unknown);
    let concentration = portfolio.concentration();
    let symbols = || symbols_of(&portfolio.holdings);
    let together =
        portfolio.correlated.measures(exposure, (around.history, around.marks), symbols, window.lambda);
    let mut list = vec![
        money("equity", equity, portfolio.equity()),
        money("cash", portfolio.cash_unknown(), portfolio.cash()),
        money("gross_exposure", exposure, sums.gross),
        money("net_exposure", exposure, sums.net),
        ratio("leverage", portfolio.leverage()),
        ratio("largest_share", concentration.map(|c| c.largest)),
        ratio("top5_share", concentration.map(|c| c.top5)),
        ratio("herfindahl", concentration.map(|c| c.herfindahl)),
    ];
    list.extend(together);
    list.extend([
        ratio("drawdown", equity.map_or(Ok(portfolio.drawdown.current()), Err)),
        ratio("max_drawdown", equity.map_or(Ok(portfolio.drawdown.largest()), Err)),
        ratio("trailing_drawdown", equity.map_or(Ok(portfolio.drawdown.trailing(around.clock)), Err)),
        ratio("under_water", equity.map_or(Ok(portfolio.drawdown.under_water(around.clock)), Err)),
        result("realised_pnl", portfolio.realised_profit()),
        result("unrealised_pnl", portfolio.unrealised_profit()),
        result("fees", portfolio.fees_paid()),
        result("daily_pnl", portfolio.daily_profit(window.basis)),
        result("daily_realised_pnl", book.map_or_else(|| realised_today.ok_or(Unknown::NoOpening), Err)),
        ratio("daily_loss_share", portfolio.daily_loss_share(window.basis)),
    ]);
    for (model, level) in window.models.iter().flat_map(|model| window.levels.iter().map(|at| (*model, *at)))
    {
        list.extend(window.horizons.iter().flat_map(|over| {
            tail_measures(model, level, *over, portfolio.tail(model, level, *over, window))
        }));
        if window.tries(model, around.parameters.history.interval) {
            backtested(&mut list, &mut portfolio.changes, model, level, window);
        }
    }
    if portfolio.conduct.is_some() {
        list.extend(CONDUCT.map(|measure| ratio(&measure.to_string(), portfolio.conduct(measure, around))));
    }
    list.extend(around.liquidity.measures(exposure, portfolio.sales()));
    list.extend(around.sectors.measures(exposure, sums.gross, portfolio.values()));
    if !around.parameters.rates.is_empty() {
        list.extend(currencies::measures(exposure, sums.gross, around.marks, portfolio.values()));
    }
    list.extend(around.stress.measures(exposure, &portfolio.stressable(around.rates)));
    list.push(ratio("samples", Ok(portfolio.changes.len() as f64)));
    list.push(ratio("duplicate_executions", Ok(portfolio.duplicates as f64)));
    list.push(ratio("observed_for", Ok(around.observed_for(portfolio))));
    list
}

/// Value at risk and expected shortfall, or why they are unknown.
pub(super) fn tail_measures(
    model: TailModel,
    level: Confidence,
    over: Horizon,
    tail: Result<TailRisk, Unknown>,
) -> [Measure; 2] {
    [
        ratio(&Bounded::ValueAtRisk(model, level, over).to_string(), tail.map(|tail| tail.var)),
        ratio(&Bounded::ExpectedShortfall(model, level, over).to_string(), tail.map(|tail| tail.es)),
    ]
}

/// What the backtest of a model at a level says.
pub(super) fn backtested(
    list: &mut Vec<Measure>,
    changes: &mut Changes,
    model: TailModel,
    level: Confidence,
    window: &WindowParameters,
) {
    let said = changes.verdict(model, level, window);
    let var = Bounded::ValueAtRisk(model, level, Horizon::ONE).to_string();
    let of = |name: &str, value: fn(&Verdict) -> f64| {
        ratio(&format!("{var}_{name}"), said.as_ref().map(value).map_err(|unknown| *unknown))
    };
    list.push(of("observations", |said| said.coverage.exceptions.observations() as f64));
    list.push(of("exceptions", |said| said.coverage.exceptions.exceptions() as f64));
    list.push(of("kupiec_p", |said| said.coverage.coverage.p_value));
    list.push(of("independence_p", |said| said.coverage.independence.p_value));
    list.push(of("conditional_p", |said| said.coverage.conditional.p_value));
    list.push(of("light", |said| number(said.zone)));
    let z2 = said.and_then(|said| said.z2.ok_or(Unknown::Missing));
    let es = Bounded::ExpectedShortfall(model, level, Horizon::ONE);
    list.push(ratio(&format!("{es}_acerbi_z2"), z2));
}

pub(super) fn money(name: &str, unknown: Option<Unknown>, value: Money) -> Measure {
    let known = unknown.is_none();
    Measure {
        name: name.to_owned(),
        value: known.then(|| value.to_f64()),
        amount: if known { value.amount() } else { None },
        unknown,
        symbols: Vec::new(),
    }
}

pub(super) fn result(name: &str, value: Result<Money, Unknown>) -> Measure {
    money(name, value.err(), value.unwrap_or_default())
}

pub(super) fn ratio(name: &str, value: Result<f64, Unknown>) -> Measure {
    Measure {
        name: name.to_owned(),
        value: value.ok(),
        amount: None,
        unknown: value.err(),
        symbols: Vec::new(),
    }
}

/// The portfolio's whole book, by symbol; the next one's fills are those after it.
pub(super) fn holdings(portfolio: &mut Portfolio, around: &Around<'_>) -> Output {
    let said = portfolio.says(around.unknowns(portfolio), around.is_settling(portfolio));
    portfolio.said = Some(said);
    let conduct = portfolio.tell_of_orders(around);
    let currency = portfolio.currency.as_ref().unwrap_or(&around.parameters.default_currency);
    let account = said
        .standing
        .and_then(|(beside, flows)| Some(Standing { beside: beside.amount()?, flows: flows.amount()? }));
    let mut lines: Vec<Holding> = portfolio
        .holdings
        .iter()
        .map(|h| Holding {
            symbol: around.marks.entry(h.symbol).symbol.clone(),
            quantity: h.line.quantity,
            average_cost: h.line.average_cost(h.multiplier),
            multiplier: h.multiplier,
            currency: h.currency.clone(),
        })
        .collect();
    lines.sort_unstable_by(|a, b| a.symbol.cmp(&b.symbol));
    Output {
        ages: around.ages(portfolio),
        event: Event::Holdings(Holdings {
            provenance: Provenance::default(),
            id: RecordId::default(),
            event_time: around.clock,
            portfolio: portfolio.id.clone(),
            currency: currency.clone(),
            opened: portfolio.opened,
            unknown: said.book,
            filled_at: portfolio.filled.take(),
            // A sum that does not fit an amount is none that could be relied on.
            account_unknown: said.account.or_else(|| account.is_none().then_some(Unknown::Missing)),
            account,
            profit: profit(portfolio).map(Box::new),
            conduct: conduct.map(Box::new),
            holdings: lines,
        }),
    }
}

/// What the book gained and lost; none of what does not fit an amount.
fn profit(portfolio: &Portfolio) -> Option<Profit> {
    Some(Profit {
        series: portfolio.series,
        realised: portfolio.realised.amount()?,
        realised_unknown: portfolio.unknown_realised(),
        cost: portfolio.sums.cost.amount()?,
        cost_unknown: portfolio.unknown_cost(),
        fees: portfolio.fees.amount()?,
        fees_unknown: portfolio.unknown_fees(),
    })
}
