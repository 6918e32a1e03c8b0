//! The risk worker: [`RiskMonitor`] as the settings want it.

use std::sync::Arc;

use tapewatch_config::{
    Action, Basis as BasisSetting, PnlMethod as MethodSetting, Sampling as SamplingSetting, Settings,
    Shortfall, TailModel as ModelSetting,
};
use tapewatch_monitors::kernels::ShortfallConvention;
use tapewatch_monitors::risk::{
    Basis, Bounded, Bounds, ConductParameters, Confidence, DayParameters, Freshness, HistoryParameters,
    Instrument, LimitParameters, PnlMethod, ReferencePrices, RiskMonitor, RiskParameters, Sampling,
    TailModel, TaskContext, WindowParameters,
};
use tapewatch_schemas::events::TradingLevel;
use tapewatch_schemas::{Amount, Time};

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
        pnl_method: match risk.pnl_method {
            MethodSetting::AverageCost => PnlMethod::AverageCost,
            MethodSetting::Fifo => PnlMethod::Fifo,
            MethodSetting::Lifo => PnlMethod::Lifo,
        },
        day: day(settings),
        window: window(settings),
        history: history(settings),
        conduct: risk.conduct.as_ref().map(|conduct| ConductParameters {
            window: conduct.window,
            duplicates_within: conduct.duplicates_within,
            orders: conduct.orders as usize,
        }),
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
            lots: risk.bounds.lots as usize,
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
        models: var.models.iter().map(|model| tail_model(*model)).collect(),
        lambda: var.lambda,
        age_lambda: var.age_lambda,
        backtest: var.backtest as usize,
        shortfall: shortfall(var.shortfall),
    }
}

/// When a day begins.
pub(super) fn day(settings: &Settings) -> DayParameters {
    let day = &settings.risk.day;
    let offsets = day.time_zone.offsets().into_iter().map(|(from, ahead)| (Time::from_secs(from), ahead));
    DayParameters { starts: day.starts, offsets: offsets.collect() }
}

/// The returns of symbols.
pub(super) fn history(settings: &Settings) -> HistoryParameters {
    let history = &settings.risk.history;
    let reference = history.prices.as_ref().map(|file| {
        let instants = file.instants.iter().map(|at| Time(*at)).collect();
        let columns = file.columns.iter();
        let columns = columns.map(|(symbol, prices)| (symbol.as_str().into(), prices.clone())).collect();
        Arc::new(ReferencePrices::new(file.hash, instants, columns))
    });
    HistoryParameters {
        interval: history.interval,
        window: history.window as usize,
        minimum: history.minimum as usize,
        symbols: history.symbols as usize,
        reference,
    }
}

/// Which expected shortfall it is.
pub(super) fn shortfall(shortfall: Shortfall) -> ShortfallConvention {
    match shortfall {
        Shortfall::AcerbiTasche => ShortfallConvention::AcerbiTasche,
        Shortfall::MeanBelowQuantile => ShortfallConvention::MeanBelowQuantile,
        Shortfall::Empyrical => ShortfallConvention::Empyrical,
    }
}

fn tail_model(model: ModelSetting) -> TailModel {
    match model {
        ModelSetting::Historical => TailModel::Historical,
        ModelSetting::Gaussian => TailModel::Gaussian,
        ModelSetting::CornishFisher => TailModel::CornishFisher,
        ModelSetting::Ewma => TailModel::Ewma,
        ModelSetting::Filtered => TailModel::Filtered,
        ModelSetting::AgeWeighted => TailModel::AgeWeighted,
        ModelSetting::Revalued => TailModel::Revalued,
    }
}

/// A bound, wherever it is on.
pub(super) fn limit(limit: &tapewatch_config::Limit) -> LimitParameters {
    let measure: Bounded = limit.measure.parse().expect("the configuration checks the measure's name");
    LimitParameters {
        on_soft: level(limit.on_soft),
        on_hard: level(limit.on_hard),
        hysteresis: limit.hysteresis,
        portfolios: limit.portfolios.iter().map(|id| id.as_str().into()).collect(),
        symbols: limit.symbols.iter().map(|id| id.as_str().into()).collect(),
        ..LimitParameters::new(&limit.name, measure, limit.soft, limit.hard)
    }
}

fn level(action: Action) -> TradingLevel {
    match action {
        Action::Alert => TradingLevel::Normal,
        Action::ReduceOnly => TradingLevel::ReduceOnly,
        Action::Halt => TradingLevel::Halt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that a settings' limit may have are those that the monitor publishes.
    #[test]
    fn a_limit_can_be_on_the_tail_of_every_model_and_level() {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        let models = "[\"historical\", \"gaussian\", \"cornish_fisher\", \"ewma\", \"filtered\", \"age_weighted\", \"revalued\"]";
        let mut text = format!("[risk.var]\nmodels = {models}\nlevels = [0.95, 0.975]\nlambda = 0.97\n");
        let mut names = Vec::new();
        for level in ["95", "97_5"] {
            for model in
                ["", "_gaussian", "_cornish_fisher", "_ewma", "_filtered", "_age_weighted", "_revalued"]
            {
                names.extend(["var", "es"].map(|kind| format!("{kind}_{level}{model}")));
                names.push(format!("var_{level}{model}_light"));
            }
        }
        text.extend(
            names
                .iter()
                .map(|name| format!("[[risk.limits]]\nname = \"{name}\"\nmeasure = \"{name}\"\nhard = 1\n")),
        );
        std::fs::write(file.path(), text).unwrap();
        let settings = Settings::load(Some(file.path()), None, std::iter::empty()).unwrap();
        let parameters = parameters(&settings);
        let bounded: Vec<String> = parameters.limits.iter().map(|limit| limit.measure.to_string()).collect();
        assert_eq!(bounded, names);
        assert_eq!((parameters.window.models, parameters.window.lambda), (TailModel::ALL.to_vec(), 0.97));

        // One of a model that is not wanted is refused.
        std::fs::write(file.path(), "[[risk.limits]]\nname = \"a\"\nmeasure = \"var_95_ewma\"\nhard = 1\n")
            .unwrap();
        let refused = Settings::load(Some(file.path()), None, std::iter::empty()).unwrap_err().to_string();
        assert!(refused.contains("var_95_ewma"), "{refused}");
    }
}
