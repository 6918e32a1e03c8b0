//! The firm's risk worker: [`FirmMonitor`] as the settings want it.

use std::sync::Arc;

use tapewatch_config::Settings;
use tapewatch_monitors::risk::firm::{FirmBounds, FirmMonitor, FirmParameters, ScopeLimit, ScopeParameters};
use tapewatch_monitors::risk::{TailModel, WindowParameters};

use super::risk;
use crate::core::MonitorFactory;

/// Makes the monitor of its one task.
pub(super) fn factory(settings: &Settings) -> MonitorFactory {
    let parameters = parameters(settings);
    Arc::new(move |_, _| Box::new(FirmMonitor::new(parameters.clone())))
}

/// The monitor's parameters.
pub fn parameters(settings: &Settings) -> FirmParameters {
    let (risk, firm) = (&settings.risk, &settings.firm);
    let terms = risk::Terms::new(&risk.schedules, &firm.overrides);
    FirmParameters {
        publish_interval: firm.publish_every,
        positions: risk.positions as usize,
        currency: risk.currency.as_str().into(),
        rates: risk::rates(settings),
        scopes: firm
            .scopes
            .iter()
            .map(|one| ScopeParameters {
                scope: one.scope.as_str().into(),
                portfolios: one.portfolios.iter().map(|id| id.as_str().into()).collect(),
            })
            .collect(),
        limits: firm
            .limits
            .iter()
            .map(|one| ScopeLimit {
                scopes: one.scopes.iter().map(|scope| scope.as_str().into()).collect(),
                limit: terms.limit(&one.limit),
            })
            .collect(),
        window: window(settings),
        history: risk::history(settings),
        day: risk::day(settings),
        drawdown_window: settings.risk.drawdown.window,
        conduct: risk.conduct.as_ref().map(|conduct| conduct.window),
        liquidity: risk::liquidity(settings),
        stress: risk::stress(settings),
        sectors: risk::sectors(settings),
        marks: risk.freshness.marks,
        books: firm.books,
        bounds: FirmBounds {
            // Those of all tasks.
            portfolios: risk.bounds.portfolios as usize * settings.topics.partitions as usize,
            symbols: risk.bounds.symbols as usize,
            holdings: risk.bounds.holdings as usize,
            feeds: risk.bounds.feeds as usize,
        },
    }
}

/// As of portfolios; what is held is always revalued, since that is what can be said of a scope from the first day.
fn window(settings: &Settings) -> WindowParameters {
    let mut window = risk::window(settings);
    if !window.models.contains(&TailModel::Revalued) {
        window.models.push(TailModel::Revalued);
    }
    window
}
