//! The risk worker: [`RiskMonitor`] as the settings want it.

use std::sync::Arc;

use tapewatch_config::{Basis as BasisSetting, Sampling as SamplingSetting, Settings, Shortfall};
use tapewatch_monitors::kernels::ShortfallConvention;
use tapewatch_monitors::risk::{
    Basis, Bounded, Bounds, Confidence, Freshness, Instrument, LimitParameters, RiskMonitor, RiskParameters,
    Sampling, TaskContext, WindowParameters,
};
use tapewatch_schemas::Amount;

use crate::core::MonitorFactory;

/// Makes the monitor of each task.
pub(super) fn factory(settings: &Settings) -> MonitorFactory {
    let parameters = parameters(settings);
    Arc::new(move |start, partition| {
        let task = TaskContext { partition, opened_from_zero: start.from_zero };
        Box::new(RiskMonitor::new(parameters.clone(), task))
    })
}

/// The monitor's parameters.
pub fn parameters(settings: &Settings) -> RiskParameters {
    let risk = &settings.risk;
    RiskParameters {
        publish_interval: risk.publish_every,
        holdings_interval: risk.holdings_every,
        holdings_at_change: risk.holdings_at_change,
        default_currency: risk.currency.as_str().into(),
        window: window(settings),
        freshness: Freshness {
            marks: risk.freshness.marks,
            executions: risk.freshness.executions,
            accounts: risk.freshness.accounts,
        },
        limits: risk.limits.iter().map(limit).collect(),
        instruments: risk
            .instruments
            .iter()
            .map(|one| {
                let multiplier = Amount::new(one.multiplier).expect("the configuration checks its digits");
                (one.symbol.as_str().into(), Instrument { multiplier })
            })
            .collect(),
        bounds: Bounds {
            portfolios: risk.bounds.portfolios as usize,
            symbols: risk.bounds.symbols as usize,
            holdings: risk.bounds.holdings as usize,
            feeds: risk.bounds.feeds as usize,
            executions: risk.bounds.executions as usize,
        },
    }
}

fn window(settings: &Settings) -> WindowParameters {
    let var = &settings.risk.var;
    WindowParameters {
        sampling: match var.sample {
            SamplingSetting::Every(interval) => Sampling::Every(interval),
            SamplingSetting::EachFill => Sampling::EachFill,
        },
        basis: match var.basis {
            BasisSetting::Equity => Basis::Equity,
            BasisSetting::Book => Basis::Book,
        },
        samples: var.window as usize,
        minimum: var.minimum as usize,
        levels: var.levels.iter().map(|level| Confidence(*level)).collect(),
        shortfall: match var.shortfall {
            Shortfall::AcerbiTasche => ShortfallConvention::AcerbiTasche,
            Shortfall::MeanBelowQuantile => ShortfallConvention::MeanBelowQuantile,
            Shortfall::Empyrical => ShortfallConvention::Empyrical,
        },
    }
}

fn limit(limit: &tapewatch_config::Limit) -> LimitParameters {
    let measure: Bounded = limit.measure.parse().expect("the configuration checks the measure's name");
    LimitParameters {
        hysteresis: limit.hysteresis,
        portfolios: limit.portfolios.iter().map(|id| id.as_str().into()).collect(),
        symbols: limit.symbols.iter().map(|id| id.as_str().into()).collect(),
        ..LimitParameters::new(&limit.name, measure, limit.soft, limit.hard)
    }
}
