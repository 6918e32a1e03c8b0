//! The risk worker: [`RiskMonitor`] as the settings want it.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::SmolStr;
use tapewatch_config::{
    Action, Basis as BasisSetting, Of, PnlMethod as MethodSetting, Sampling as SamplingSetting, Schedule,
    Settings, Shortfall, TailModel as ModelSetting, Weekday, When, WindowLength as LengthSetting, Zone,
};
use tapewatch_monitors::kernels::{Horizon, ShortfallConvention};
use tapewatch_monitors::risk::{
    Basis, Bounded, Bounds, Calendar, ConductParameters, Confidence, DayParameters, Freshness,
    HistoryParameters, Instrument, LimitParameters, LiquidityParameters, Moves, Override, Pair, PnlMethod,
    Range, ReferencePrices, RiskMonitor, RiskParameters, Sampling, Scenario, Schedule as LimitSchedule,
    Shock, ShockedMarket, TailModel, TaskContext, WindowLength, WindowParameters,
};
use tapewatch_schemas::events::TradingLevel;
use tapewatch_schemas::{Amount, Symbol, Time};

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
        positions: risk.positions as usize,
        default_currency: risk.currency.as_str().into(),
        pnl_method: match risk.pnl_method {
            MethodSetting::AverageCost => PnlMethod::AverageCost,
            MethodSetting::Fifo => PnlMethod::Fifo,
            MethodSetting::Lifo => PnlMethod::Lifo,
        },
        day: day(settings),
        drawdown_window: risk.drawdown.window,
        window: window(settings),
        history: history(settings),
        conduct: risk.conduct.as_ref().map(|conduct| ConductParameters {
            window: conduct.window,
            duplicates_within: conduct.duplicates_within,
            orders: conduct.orders as usize,
        }),
        liquidity: liquidity(settings),
        stress: stress(settings),
        freshness: Freshness {
            marks: risk.freshness.marks,
            executions: risk.freshness.executions,
            accounts: risk.freshness.accounts,
        },
        limits: {
            let terms = Terms::new(&risk.schedules, &risk.overrides);
            risk.limits.iter().map(|one| terms.limit(one)).collect()
        },
        instruments: risk
            .instruments
            .iter()
            .map(|one| {
                let multiplier = Amount::new(one.multiplier).expect("the configuration checks its digits");
                (one.symbol.as_str().into(), Instrument { multiplier })
            })
            .collect(),
        rates: rates(settings),
        sectors: sectors(settings),
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

pub(super) fn window(settings: &Settings) -> WindowParameters {
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
        length: length(var.window),
        minimum: var.minimum as usize,
        levels: var.levels.iter().map(|level| Confidence(*level)).collect(),
        horizons: horizons(settings),
        models: var.models.iter().map(|model| tail_model(*model)).collect(),
        lambda: var.lambda,
        age_lambda: var.age_lambda,
        contributions: var.contributions as usize,
        backtest: var.backtest as usize,
        shortfall: shortfall(var.shortfall),
    }
}

/// Over how many steps figures are.
pub(super) fn horizons(settings: &Settings) -> Vec<Horizon> {
    let horizon = |steps: &u16| Horizon::new(*steps).expect("the configuration checks each horizon");
    settings.risk.var.horizons.iter().map(horizon).collect()
}

/// When a day begins.
pub(super) fn day(settings: &Settings) -> DayParameters {
    let day = &settings.risk.day;
    DayParameters { starts: day.starts, offsets: offsets(&day.time_zone) }
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
        freshness: settings.risk.freshness.history,
        window: length(history.window),
        minimum: history.minimum as usize,
        symbols: history.symbols as usize,
        reference,
    }
}

fn length(window: LengthSetting) -> WindowLength {
    match window {
        LengthSetting::Observations(count) => WindowLength::Observations(count as usize),
        LengthSetting::Span(span) => WindowLength::Span(span),
    }
}

/// The pairs of currencies by which money is converted.
pub(super) fn rates(settings: &Settings) -> Vec<Pair> {
    let pair = |rate: &tapewatch_config::Rate| Pair {
        symbol: rate.symbol.as_str().into(),
        base: rate.base.as_str().into(),
        quote: rate.quote.as_str().into(),
    };
    settings.risk.rates.iter().map(pair).collect()
}

/// How liquidity is looked at.
pub(super) fn liquidity(settings: &Settings) -> Option<LiquidityParameters> {
    settings.risk.liquidity.as_ref().map(|liquidity| LiquidityParameters {
        participation: liquidity.participation,
        days: liquidity.days as usize,
        minimum: liquidity.minimum as usize,
    })
}

/// The sectors of symbols.
pub(super) fn sectors(settings: &Settings) -> BTreeMap<Symbol, SmolStr> {
    let of = |one: &tapewatch_config::Instrument| {
        Some((one.symbol.as_str().into(), one.sector.as_deref()?.into()))
    };
    settings.risk.instruments.iter().filter_map(of).collect()
}

/// The scenarios of losses. A sector is the symbols that the file of instruments has in it.
pub(super) fn stress(settings: &Settings) -> Vec<Scenario> {
    let symbols = |shock: &tapewatch_config::Shock| {
        let in_sectors = |sector: &String| shock.sectors.contains(sector);
        let instruments = settings.risk.instruments.iter();
        let of_sectors = instruments.filter(|one| one.sector.as_ref().is_some_and(in_sectors));
        let named = shock.symbols.iter().chain(of_sectors.map(|one| &one.symbol));
        named.map(|symbol| symbol.as_str().into()).collect()
    };
    let shock = |shock: &tapewatch_config::Shock| Shock { symbols: symbols(shock), millionths: shock.price };
    let moves = |one: &tapewatch_config::Stress| {
        let shocks = || Moves::Shocks(one.shocks.iter().map(shock).collect());
        let past = |range: tapewatch_config::Range| {
            Moves::Past(Range { from: Time(range.from), until: Time(range.until) })
        };
        one.range.map_or_else(shocks, past)
    };
    let scenario = |one: &tapewatch_config::Stress| Scenario {
        name: one.name.parse().expect("the configuration checks the scenario's name"),
        moves: moves(one),
        market: one.market.map(|market| ShockedMarket {
            volatility: market.volatility,
            correlation: market.correlation,
            level: Confidence(market.level),
        }),
    };
    settings.risk.stress.iter().map(scenario).collect()
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
        ModelSetting::RevaluedGaussian => TailModel::RevaluedGaussian,
        ModelSetting::RevaluedCornishFisher => TailModel::RevaluedCornishFisher,
        ModelSetting::RevaluedEwma => TailModel::RevaluedEwma,
        ModelSetting::RevaluedFiltered => TailModel::RevaluedFiltered,
        ModelSetting::RevaluedAgeWeighted => TailModel::RevaluedAgeWeighted,
    }
}

/// How far a zone's clocks are ahead of UTC.
fn offsets(zone: &Zone) -> Vec<(Time, i32)> {
    zone.offsets().into_iter().map(|(from, ahead)| (Time::from_secs(from), ahead)).collect()
}

/// What limits name, and what names them.
pub(super) struct Terms<'a> {
    calendars: Vec<(&'a str, Arc<Calendar>)>,
    overrides: &'a [tapewatch_config::Override],
}

impl<'a> Terms<'a> {
    pub(super) fn new(schedules: &'a [Schedule], overrides: &'a [tapewatch_config::Override]) -> Self {
        let calendar = |one: &'a Schedule| {
            let calendar = Calendar {
                days: Weekday::ALL.map(|day| one.is_on(day)),
                from: one.from,
                to: one.to,
                offsets: offsets(&one.time_zone),
            };
            (one.name.as_str(), Arc::new(calendar))
        };
        Self { calendars: schedules.iter().map(calendar).collect(), overrides }
    }

    /// A bound, wherever it is on.
    pub(super) fn limit(&self, limit: &tapewatch_config::Limit) -> LimitParameters {
        let measure: Bounded = limit.measure.parse().expect("the configuration checks the measure's name");
        let overrides = self.overrides.iter().filter(|one| one.limit == limit.name).map(overriding);
        LimitParameters {
            on_soft: level(limit.on_soft),
            on_hard: level(limit.on_hard),
            hysteresis: limit.hysteresis,
            of_equity: limit.of == Some(Of::Equity),
            schedule: limit.when.as_ref().map(|when| self.schedule(when)),
            overrides: overrides.collect(),
            portfolios: limit.portfolios.iter().map(|id| id.as_str().into()).collect(),
            symbols: limit.symbols.iter().map(|id| id.as_str().into()).collect(),
            ..LimitParameters::new(&limit.name, measure, limit.soft, limit.hard)
        }
    }

    fn schedule(&self, when: &When) -> LimitSchedule {
        let (name, outside) = when.schedule();
        let found = self.calendars.iter().find(|(one, _)| *one == name);
        let (_, calendar) = found.expect("the configuration checks the schedule's name");
        LimitSchedule { calendar: Arc::clone(calendar), outside }
    }
}

fn overriding(one: &tapewatch_config::Override) -> Override {
    Override {
        scopes: one.on.iter().map(|id| id.as_str().into()).collect(),
        soft: one.soft,
        hard: one.hard,
        from: one.from.map_or(Time::MIN, |from| Time(from.0)),
        until: Time(one.until.0),
        who: one.who.as_str().into(),
        why: one.why.as_str().into(),
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
        let shapes = ["gaussian", "cornish_fisher", "ewma", "filtered", "age_weighted"];
        let mut models = vec!["historical".to_owned()];
        models.extend(shapes.map(String::from));
        models.push("revalued".to_owned());
        models.extend(shapes.map(|shape| format!("revalued_{shape}")));
        let mut text = format!(
            "[risk.var]\nmodels = {models:?}\nlevels = [0.95, 0.975]\nhorizons = [1, 10]\ncontributions = 7\nlambda = 0.97\n"
        );
        let mut names = Vec::new();
        for level in ["95", "97_5"] {
            for model in &models {
                let model = if model == "historical" { String::new() } else { format!("_{model}") };
                for over in ["", "_h10"] {
                    names.extend(["var", "es"].map(|kind| format!("{kind}_{level}{model}{over}")));
                }
                names.push(format!("var_{level}{model}_light"));
            }
        }
        text.extend(
            names
                .iter()
                .map(|name| format!("[[risk.limits]]\nname = \"{name}\"\nmeasure = \"{name}\"\nhard = 1\n")),
        );
        // Those of a scope can be on all of them, and on how orders are sent.
        text.push_str("[risk.conduct]\nwindow = \"1m\"\n[[firm.scopes]]\nscope = \"firm:all\"\n");
        let of_scopes: Vec<String> = names.iter().cloned().chain(["message_rate".into()]).collect();
        text.extend(
            of_scopes
                .iter()
                .map(|name| format!("[[firm.limits]]\nname = \"{name}\"\nmeasure = \"{name}\"\nhard = 1\n")),
        );
        std::fs::write(file.path(), text).unwrap();
        let settings = Settings::load(Some(file.path()), None, std::iter::empty()).unwrap();
        let firm = super::super::firm_risk::parameters(&settings);
        let parameters = parameters(&settings);
        let bounded: Vec<String> = parameters.limits.iter().map(|limit| limit.measure.to_string()).collect();
        assert_eq!(bounded, names);
        let bounded: Vec<String> = firm.limits.iter().map(|one| one.limit.measure.to_string()).collect();
        assert_eq!(bounded, of_scopes);
        assert_eq!(firm.conduct, parameters.conduct.map(|conduct| conduct.window));
        assert_eq!(parameters.window.contributions, 7);
        assert_eq!(firm.window, parameters.window);
        assert_eq!(parameters.window.horizons, [Horizon::ONE, Horizon::new(10).unwrap()]);
        assert_eq!((parameters.window.models, parameters.window.lambda), (TailModel::ALL.to_vec(), 0.97));

        // One of a model or a horizon that is not wanted is refused.
        for measure in ["var_95_ewma", "var_95_h10"] {
            let text = format!("[[risk.limits]]\nname = \"a\"\nmeasure = \"{measure}\"\nhard = 1\n");
            std::fs::write(file.path(), text).unwrap();
            let refused =
                Settings::load(Some(file.path()), None, std::iter::empty()).unwrap_err().to_string();
            assert!(refused.contains(measure), "{refused}");
        }
    }

    #[test]
    fn limits_have_the_schedules_and_the_overrides_that_the_settings_give_them() {
        let text = "\
[[risk.schedules]]
name = \"session\"
time_zone = \"America/New_York\"
days = [\"fri\"]
from = \"9h30m\"
to = \"16h\"

[[risk.limits]]
name = \"night\"
measure = \"position\"
of = \"equity\"
outside = \"session\"
hard = 0.5

[[risk.limits]]
name = \"day\"
measure = \"position\"
during = \"session\"
hard = 1_000

[[risk.overrides]]
limit = \"night\"
portfolios = [\"alpha\"]
soft = 0.4
from = 2021-07-02T12:00:00Z
until = \"2021-07-02T15:00:00+02:00\"
who = \"ada\"
why = \"a reason\"
";
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let settings = Settings::load(Some(file.path()), None, std::iter::empty()).unwrap();
        let limits = parameters(&settings).limits;
        let [night, day] = &limits[..] else { panic!("not two limits") };
        assert!(night.of_equity && !day.of_equity && day.overrides.is_empty());
        let at = |text: &str| Time::parse_rfc3339(text).unwrap();
        let schedule = night.schedule.as_ref().unwrap();
        // A Friday, by clocks four hours behind.
        let begins = at("2021-07-02T13:30:00Z");
        assert_eq!(schedule.next(at("2021-06-28T00:00:00Z")), Some(begins));
        assert!(!schedule.holds(begins) && day.schedule.as_ref().unwrap().holds(begins));
        assert_eq!(schedule.next(begins), Some(at("2021-07-02T20:00:00Z")));
        let expected = Override {
            scopes: vec!["alpha".into()],
            soft: Some(0.4),
            hard: None,
            from: at("2021-07-02T12:00:00Z"),
            until: at("2021-07-02T13:00:00Z"),
            who: "ada".into(),
            why: "a reason".into(),
        };
        assert_eq!(night.overrides, [expected]);
    }

    #[test]
    fn limits_can_be_on_liquidity_where_it_is_looked_at() {
        let names = ["relative_spread", "beyond_touch", "days_to_liquidate", "liquidation_cost"];
        let limits = names
            .map(|name| format!("[[risk.limits]]\nname = \"{name}\"\nmeasure = \"{name}\"\nhard = 1\n"))
            .concat();
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), format!("[risk.liquidity]\nparticipation = 0.2\ndays = 7\n{limits}"))
            .unwrap();
        let settings = Settings::load(Some(file.path()), None, std::iter::empty()).unwrap();
        let parameters = parameters(&settings);
        assert_eq!(
            parameters.liquidity,
            Some(LiquidityParameters { participation: 0.2, days: 7, minimum: 5 })
        );
        assert_eq!(parameters.limits.iter().map(|l| l.measure.to_string()).collect::<Vec<_>>(), names);
    }

    /// A sector is the symbols that the file of instruments has in it, and limits can be on every scenario.
    #[test]
    fn scenarios_shock_symbols_and_sectors_or_are_of_the_past() {
        let folder = tempfile::tempdir().unwrap();
        let instruments = "[[instruments]]\nsymbol = \"ES\"\nmultiplier = 50\n\
             [[instruments]]\nsymbol = \"ADA\"\nmultiplier = 1\nsector = \"alts\"\n\
             [[instruments]]\nsymbol = \"DOT\"\nmultiplier = 1\nsector = \"alts\"\n";
        std::fs::write(folder.path().join("instruments.toml"), instruments).unwrap();
        let limits = ["stress_crash", "stress_october", "stress_worst"]
            .map(|name| format!("[[risk.limits]]\nname = \"{name}\"\nmeasure = \"{name}\"\nhard = 1\n"))
            .concat();
        let text = format!(
            "[risk]\ninstruments = \"instruments.toml\"\n[[risk.stress]]\nname = \"crash\"\n\
             shocks = [{{ symbols = [\"BTC\"], sectors = [\"alts\"], price = -0.35 }}, {{ price = -0.1 }}]\nvolatility = 2\n\
             [[risk.stress]]\nname = \"october\"\nfrom = 2025-10-10T20:45:00Z\nuntil = \"2025-10-10T22:45:00+01:00\"\n\
             {limits}"
        );
        std::fs::write(folder.path().join("t.toml"), text).unwrap();
        let settings = Settings::load(Some(&folder.path().join("t.toml")), None, std::iter::empty()).unwrap();
        let shock = |symbols: &[&str], millionths| Shock {
            symbols: symbols.iter().map(|symbol| (*symbol).into()).collect(),
            millionths,
        };
        let expected = [
            ("crash", Moves::Shocks(vec![shock(&["BTC", "ADA", "DOT"], -350_000), shock(&[], -100_000)])),
            ("october", {
                let time = |text| Time::parse_rfc3339(text).unwrap();
                Moves::Past(Range { from: time("2025-10-10T20:45:00Z"), until: time("2025-10-10T21:45:00Z") })
            }),
        ];
        let mut expected: Vec<Scenario> = expected
            .map(|(name, moves)| Scenario { name: name.parse().unwrap(), moves, market: None })
            .into();
        expected[0].market =
            Some(ShockedMarket { volatility: 2.0, correlation: 0.0, level: Confidence(9900) });
        assert_eq!(parameters(&settings).stress, expected);
        assert_eq!(super::super::firm_risk::parameters(&settings).stress, expected);
        let bounded = parameters(&settings).limits;
        assert_eq!(bounded.last().unwrap().measure, Bounded::StressWorst);
        assert_eq!(bounded[0].measure.to_string(), "stress_crash");
    }
}
