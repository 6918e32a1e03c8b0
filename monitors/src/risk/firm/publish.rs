//! The records that the monitor publishes.

use tapewatch_schemas::events::{Measure, Occasion, Provenance, RiskMetrics};
use tapewatch_schemas::{Event, RecordId};

use super::scope::{ScopeState, Surroundings, symbols_of};
use crate::monitor::Output;
use crate::risk::currencies;
use crate::risk::measure::Bounded;
use crate::risk::publish::{backtested, money, name_positions, ratio, tail_measures};

/// The scope's figures and limit states.
pub(super) fn risk_metrics(scope: &mut ScopeState, around: &Surroundings<'_>, occasion: Occasion) -> Output {
    let limits = &around.parameters.limits;
    let mut measures = measures(scope, around);
    if occasion == Occasion::Interval {
        measures.extend(scope.contributions(around));
        let (unknown, values) = (scope.unknown(), scope.values());
        name_positions(&mut measures, unknown, around.marks, values, around.parameters.positions);
    }
    let tracks = scope.limits.tracks.iter_mut();
    let limits =
        tracks.map(|track| track.state(&limits[track.place()].limit, around.marks, around.sectors)).collect();
    Output {
        ages: around.ages(scope),
        event: Event::RiskMetrics(RiskMetrics {
            provenance: Provenance::default(),
            id: RecordId::default(),
            event_time: around.clock,
            scope: scope.scope.clone(),
            occasion,
            currency: around.parameters.currency.clone(),
            measures,
            limits,
        }),
    }
}

fn measures(scope: &mut ScopeState, around: &Surroundings<'_>) -> Vec<Measure> {
    let window = &around.parameters.window;
    let unknown = scope.unknown();
    let known = |value: f64| unknown.map_or(Ok(value), Err);
    let concentration = scope.concentration();
    let with_book = around.books.keys().filter(|portfolio| around.members.has(portfolio)).count();
    let observed = scope.first_record.map_or(0, |first| around.clock.since(first));
    let equity = |measure: Bounded| {
        let value = scope.of_equity(measure, window.basis, around.clock).expect("it rests on equity");
        ratio(&measure.to_string(), value)
    };
    let day = scope.daily_profit(window.basis);
    let mut list = vec![
        money("equity", scope.equity_unknown(), scope.equity()),
        money("gross_exposure", unknown, scope.sums.gross),
        money("net_exposure", unknown, scope.sums.net),
        money("netted_exposure", unknown, scope.sums.netted),
        ratio("largest_share", known(concentration.largest)),
        ratio("top5_share", known(concentration.top5)),
        ratio("herfindahl", known(concentration.herfindahl)),
        equity(Bounded::Leverage),
        equity(Bounded::Drawdown),
        equity(Bounded::MaxDrawdown),
        equity(Bounded::TrailingDrawdown),
        equity(Bounded::UnderWater),
        money("daily_pnl", day.err(), day.unwrap_or_default()),
        equity(Bounded::DailyLossShare),
    ];
    list.extend(scope.profit_measures());
    let symbols = || symbols_of(&scope.held);
    list.extend(scope.correlated.measures(unknown, (around.history, around.marks), symbols, window.lambda));
    for (model, level) in window.models.iter().flat_map(|model| window.levels.iter().map(|at| (*model, *at)))
    {
        list.extend(
            window
                .horizons
                .iter()
                .flat_map(|over| tail_measures(model, level, *over, scope.tail(model, level, *over, window))),
        );
        if window.tries(model, around.parameters.history.interval) {
            backtested(&mut list, &mut scope.changes, model, level, window);
        }
    }
    list.extend(scope.orders.measures());
    list.extend(around.liquidity.measures(unknown, scope.sales()));
    list.extend(around.sectors.measures(unknown, scope.sums.netted, scope.values()));
    if !around.parameters.rates.is_empty() {
        list.extend(currencies::measures(unknown, scope.sums.netted, around.marks, scope.values()));
    }
    list.extend(around.stress.measures(unknown, &scope.stressable(around)));
    list.extend(scope.trades.measures(scope.books_unknown));
    list.push(ratio("samples", Ok(scope.changes.len() as f64)));
    list.push(ratio("portfolios", Ok(with_book as f64)));
    list.push(ratio("observed_for", Ok(observed as f64 / 1e6)));
    list
}
