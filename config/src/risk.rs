//! `[risk]`: what the risk worker measures and bounds.

use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::conduct::{self, Conduct};
use crate::day::Day;
use crate::instruments::{self, Instrument, refuse_doubles};
use crate::layer::Node;
use crate::limit::{LIGHT, Limit, is_light, measure_at};
use crate::liquidity::{self, Liquidity};
use crate::overrides::Override;
use crate::prices::{self, Prices};
use crate::rates::Rate;
use crate::schedule::Schedule;
use crate::section::Section;
use crate::stress::Stress;
use crate::value::{Setting, choice, micros};
use crate::window::WindowLength;

/// Risk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Risk {
    /// The currency stated while neither an account nor a fill has named the portfolio's own.
    pub currency: String,
    /// How often levels are published, in event time.
    #[serde(serialize_with = "micros")]
    pub publish_every: Duration,
    /// How often the whole book is published although it has not changed.
    #[serde(serialize_with = "micros")]
    pub holdings_every: Duration,
    /// Whether it is published at each change too.
    pub holdings_at_change: bool,
    /// How many positions are named with their value in each record at an interval; 0 for none.
    pub positions: u32,
    /// What a fill that closes is against.
    pub pnl_method: PnlMethod,
    /// When a day of profit and loss begins.
    pub day: Day,
    /// Loss from the highest equity.
    pub drawdown: Drawdown,
    /// Value at risk and expected shortfall.
    pub var: ValueAtRisk,
    /// The returns of symbols that the model `revalued` is of.
    pub history: History,
    /// How orders are looked at; none if they are not.
    pub conduct: Option<Conduct>,
    /// How liquidity is looked at; none if it is not.
    pub liquidity: Option<Liquidity>,
    /// How old inputs may be.
    pub freshness: Freshness,
    /// How much state a task may hold.
    pub bounds: Bounds,
    /// Times of the week that limits name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Schedule>,
    /// Pairs of currencies by which money is converted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<Rate>,
    /// Scenarios, in the order in which their losses are published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stress: Vec<Stress>,
    /// Limits, in the order in which they are published.
    pub limits: Vec<Limit>,
    /// Other bounds of limits for a while.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// What one unit of each symbol is worth; a symbol that is not there has multiplier 1. The file's hash
    /// stands for it in the configuration version.
    #[serde(skip)]
    pub instruments: Vec<Instrument>,
}

/// Loss from the highest equity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drawdown {
    /// How far back the trailing one reaches.
    #[serde(serialize_with = "micros")]
    pub window: Duration,
}

/// Value at risk and expected shortfall.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValueAtRisk {
    /// Confidence levels in basis points (0.95 in the file is 9500 here), rising.
    pub levels: Vec<u16>,
    /// Over how many samples, or instants of the history, rising; the first is 1.
    #[serde(skip_serializing_if = "one_step")]
    pub horizons: Vec<u16>,
    /// Which changes the window holds.
    pub window: WindowLength,
    /// Before so many it is unknown (warming up).
    pub minimum: u32,
    /// When a change enters the window.
    pub sample: Sampling,
    /// What changes are taken of.
    pub basis: Basis,
    /// How the tail is taken of the window.
    pub models: Vec<TailModel>,
    /// Which expected shortfall the historical model publishes.
    pub shortfall: Shortfall,
    /// The weight of the past in the models `ewma` and `filtered`, and in exponentially weighted correlations.
    pub lambda: f64,
    /// The weight of a change in the model `age_weighted`, of that of the next one.
    pub age_lambda: f64,
    /// How many positions are named at most with what they contribute to the figures of `revalued`; 0 for none.
    #[serde(skip_serializing_if = "is_none")]
    pub contributions: u32,
    /// How many forecasts a backtest is over; 0 for no backtests.
    pub backtest: u32,
}

/// The returns of symbols.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct History {
    /// Over what: between its boundaries, of event time.
    #[serde(serialize_with = "micros")]
    pub interval: Duration,
    /// Which are kept of each symbol.
    pub window: WindowLength,
    /// With fewer that all that is held shares, what rests on them is unknown (warming up).
    pub minimum: u32,
    /// Of how many symbols; those that appear later have none.
    pub symbols: u32,
    /// What it begins with. The file's hash stands for it in the configuration version.
    #[serde(skip)]
    pub prices: Option<Prices>,
}

/// When a change of profit and loss enters the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampling {
    /// At each boundary of an interval of event time: `"15m"`.
    Every(Duration),
    /// At each fill: `"fill"`.
    #[default]
    EachFill,
}

impl Sampling {
    /// What changes are apart, at least.
    fn interval(self) -> Option<Duration> {
        match self {
            Self::Every(interval) => Some(interval),
            Self::EachFill => None,
        }
    }
}

impl Setting for Sampling {
    fn expected() -> String {
        "an interval such as \"15m\", or \"fill\"".into()
    }
    fn schema() -> Value {
        json!({"type": "string", "description": format!("Expected: {}.", Self::expected())})
    }
    fn read(node: &Node) -> Option<Self> {
        match node {
            Node::Text(text) | Node::Given(text) if text == "fill" => Some(Self::EachFill),
            other => Duration::read(other).filter(|span| !span.is_zero()).map(Self::Every),
        }
    }
}

impl Serialize for Sampling {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Every(span) => micros(span, serializer),
            Self::EachFill => serializer.serialize_str("fill"),
        }
    }
}

choice! {
    /// What a fill that closes some of a position is against.
    PnlMethod {
        /// All of it in equal shares.
        #[default]
        AverageCost = "average_cost",
        /// What was opened first.
        Fifo = "fifo",
        /// What was opened last.
        Lifo = "lifo",
    }
}

choice! {
    /// What changes are taken of.
    Basis {
        /// Equity less deposits and plus withdrawals: needs an account.
        #[default]
        Equity = "equity",
        /// Profit and loss less fees, of the book alone.
        Book = "book",
    }
}

choice! {
    /// How value at risk and expected shortfall are taken of the window.
    TailModel {
        /// The type 7 quantile, and the mean beyond it: `var_95`, `es_95`.
        #[default]
        Historical = "historical",
        /// A normal distribution: `var_95_gaussian`, …
        Gaussian = "gaussian",
        /// Moved by skewness and kurtosis.
        CornishFisher = "cornish_fisher",
        /// A normal distribution with exponentially weighted deviation.
        Ewma = "ewma",
        /// Filtered historical simulation.
        Filtered = "filtered",
        /// The changes, weighted by their age.
        AgeWeighted = "age_weighted",
        /// What is held now, over the return history of its symbols: `var_95_revalued`, …
        Revalued = "revalued",
        /// A normal distribution of the same: `var_95_revalued_gaussian`, …
        RevaluedGaussian = "revalued_gaussian",
        /// Moved by skewness and kurtosis.
        RevaluedCornishFisher = "revalued_cornish_fisher",
        /// A normal distribution whose deviation is exponentially weighted.
        RevaluedEwma = "revalued_ewma",
        /// Filtered historical simulation of the same.
        RevaluedFiltered = "revalued_filtered",
        /// Weighted by age.
        RevaluedAgeWeighted = "revalued_age_weighted",
    }
}

choice! {
    /// How the mean beyond the quantile is taken.
    Shortfall {
        /// The worst n·α values, the last with its fractional weight (Acerbi and Tasche 2002).
        #[default]
        AcerbiTasche = "acerbi_tasche",
        /// All values at or below the quantile.
        MeanBelowQuantile = "mean_below_quantile",
        /// The ⌊(n−1)·α⌋ + 1 worst values.
        Empyrical = "empyrical",
    }
}

/// Bounds on the age of inputs; an older one makes what rests on it unknown (stale).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Freshness {
    /// Of a held symbol's mark.
    #[serde(serialize_with = "micros")]
    pub marks: Duration,
    /// Of the execution reports of a portfolio that has had any.
    #[serde(serialize_with = "micros")]
    pub executions: Duration,
    /// Of a portfolio's account.
    #[serde(serialize_with = "micros")]
    pub accounts: Duration,
    /// Of the latest return of the symbols; at least two intervals of them, or they would be too old between two.
    #[serde(serialize_with = "micros")]
    pub history: Duration,
}

/// How much state a task may hold. A record that would need more is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// Portfolios.
    pub portfolios: u32,
    /// Symbols with marks or holdings.
    pub symbols: u32,
    /// Symbols held by one portfolio.
    pub holdings: u32,
    /// Feeds: pairs of a source and a topic's partition.
    pub feeds: u32,
    /// Latest executions remembered per portfolio, to recognise repeats and undo busts.
    pub executions: u32,
    /// Lots of one position, unless costs are averaged. Where there is one more, the two that would be closed last
    /// become one.
    pub lots: u32,
}

impl Risk {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let history = section.group("history", History::read);
        let var = section.group("var", |group| ValueAtRisk::read(group, &history));
        let conduct = section.group("conduct", Conduct::read);
        let liquidity = section.group("liquidity", Liquidity::read);
        let schedules = section.groups("schedules", Schedule::read);
        refuse_doubles(section, "schedules", "name", schedules.iter().map(|one| one.name.as_str()));
        let known: Vec<&str> = schedules.iter().map(|one| one.name.as_str()).collect();
        let instruments = instruments::read_file(section, "instruments");
        let rates = Rate::read_all(section);
        let stress = section.groups("stress", |one| Stress::read(one, &instruments));
        refuse_doubles(section, "stress", "name", stress.iter().map(|one| one.name.as_str()));
        if stress.len() > Stress::MOST {
            let expected = format!("at most {}", Stress::MOST);
            section.fail("stress", &format!("there are {} scenarios", stress.len()), &expected);
        }
        let groups = [instruments::measures(&instruments), Rate::measures(&rates)].concat();
        let named = [var.measures(), Stress::measures(&stress), groups].concat();
        let limits = section.groups("limits", |limit| Limit::read(limit, &named, &known));
        let looked_at = LookedAt { conduct: conduct.is_some(), liquidity: liquidity.is_some() };
        looked_at.refuse_others(section, limits.iter(), &var, &history);
        refuse_doubles(section, "limits", "name", limits.iter().map(|limit| limit.name.as_str()));
        let overridable: Vec<_> = limits.iter().map(|limit| (limit, limit.portfolios.as_slice())).collect();
        let overrides = Override::read_all(section, "portfolios", &overridable);
        Self {
            currency: section.get_if("currency", |c: &String| !c.is_empty(), "a currency's code"),
            publish_every: above_zero(section, "publish_every"),
            holdings_every: above_zero(section, "holdings_every"),
            holdings_at_change: section.get("holdings_at_change"),
            positions: section.get_if(
                "positions",
                |n| *n <= 1_000,
                "a whole number from 0, for none, to 1000",
            ),
            pnl_method: section.get("pnl_method"),
            day: section.group("day", Day::read),
            drawdown: section.group("drawdown", |group| Drawdown {
                window: group.get_if(
                    "window",
                    |span: &Duration| (60..=315_360_000).contains(&span.as_secs()),
                    "a duration from 1m to 3650d, such as \"30d\"",
                ),
            }),
            freshness: section.group("freshness", |group| Freshness {
                marks: above_zero(group, "marks"),
                executions: above_zero(group, "executions"),
                accounts: above_zero(group, "accounts"),
                history: group.get_if(
                    "history",
                    |span: &Duration| *span >= history.interval.saturating_mul(2),
                    "at least two of risk.history.interval, such as \"7d\"",
                ),
            }),
            bounds: section.group("bounds", |group| Bounds {
                portfolios: count(group, "portfolios"),
                symbols: count(group, "symbols"),
                holdings: count(group, "holdings"),
                feeds: count(group, "feeds"),
                executions: count(group, "executions"),
                lots: count(group, "lots"),
            }),
            instruments,
            rates,
            stress,
            history,
            conduct,
            liquidity,
            var,
            schedules,
            limits,
            overrides,
        }
    }
}

/// What limits may be on, beside what is always looked at.
struct LookedAt {
    conduct: bool,
    liquidity: bool,
}

impl LookedAt {
    /// Refuses limits on what nobody looks at, and on backtests that there are not.
    fn refuse_others<'l>(
        &self,
        section: &Section<'_>,
        limits: impl Iterator<Item = &'l Limit>,
        var: &ValueAtRisk,
        history: &History,
    ) {
        for (at, limit) in limits.enumerate() {
            let measure = limit.measure.as_str();
            let revalued = is_light(measure) && measure.contains(&format!("_{}", TailModel::Revalued));
            let (problem, expected) = if !self.conduct && conduct::MEASURES.contains(&measure) {
                ("is of orders, which are not looked at", "risk.conduct.window, such as \"1m\"")
            } else if !self.liquidity && liquidity::MEASURES.contains(&measure) {
                ("is of liquidity, which is not looked at", "risk.liquidity.participation, such as 0.1")
            } else if var.backtest == 0 && is_light(measure) {
                ("is the light of a backtest, and there are none", "risk.var.backtest of at least 20")
            } else if revalued && var.sample != Sampling::Every(history.interval) {
                (
                    "is of changes over another interval than its forecasts",
                    "risk.var.sample equal to risk.history.interval",
                )
            } else {
                continue;
            };
            let (problem, expected) =
                (format!("{measure} {problem}"), format!("{expected}, or no such limit"));
            section.fail_in("limits", at, "measure", &problem, &expected);
        }
    }
}

impl Risk {
    /// The names of the measures of what is above the portfolio, as far as settings name them: it is always revalued, too.
    pub(crate) fn of_scopes(&self) -> Vec<String> {
        let groups = [instruments::measures(&self.instruments), Rate::measures(&self.rates)].concat();
        let revalued = ValueAtRisk { models: vec![TailModel::Revalued], ..self.var.clone() };
        let tails = [self.var.measures(), revalued.measures()].concat();
        let mut names = [tails, Stress::measures(&self.stress), groups].concat();
        names.extend(liquidity::MEASURES.into_iter().chain(conduct::MEASURES).map(String::from));
        names.sort();
        names.dedup();
        names
    }

    /// Refuses limits of scopes on what nobody looks at.
    pub(crate) fn refuse_unlooked<'l>(&self, section: &Section<'_>, limits: impl Iterator<Item = &'l Limit>) {
        let looked_at = LookedAt { conduct: self.conduct.is_some(), liquidity: self.liquidity.is_some() };
        looked_at.refuse_others(section, limits, &self.var, &self.history);
    }
}

impl Risk {
    /// Refuses horizons over which what is above the portfolio, which is always revalued, would be warming up for ever.
    pub(crate) fn refuse_long_horizons_of_scopes(&self, section: &Section<'_>) {
        if !self.var.models.iter().any(|model| model.is_revalued_over_stretches()) {
            self.var.refuse_longer(section, "scopes", "risk.history", self.history.holds());
        }
    }
}

impl History {
    fn read(section: &mut Section<'_>) -> Self {
        let interval = above_zero(section, "interval");
        let (window, minimum) = window(section, Some(interval), 10_000);
        let symbols = count(section, "symbols");
        Self {
            interval,
            window,
            minimum,
            symbols,
            prices: prices::read_file(section, "prices", symbols, interval),
        }
    }

    /// Its window, how many returns that holds at most, and the fewest that figures are of.
    fn holds(&self) -> (WindowLength, u32, u32) {
        (self.window, self.window.most(Some(self.interval)).unwrap_or(0), self.minimum)
    }
}

/// A window of at most so many observations, and the fewest that figures are of. `interval` is what observations are
/// apart at least; none if they may be at any time.
fn window(section: &mut Section<'_>, interval: Option<Duration>, most: u32) -> (WindowLength, u32) {
    let fits = |window: &WindowLength| window.most(interval).is_none_or(|holds| (2..=most).contains(&holds));
    let expected = format!(
        "a whole number from 2 to {most}, or a stretch of time such as \"365d\" with as many intervals"
    );
    let window = section.get_if("window", fits, &expected);
    if matches!(window, WindowLength::Span(_)) && interval.is_none() {
        let problem = format!("{window} is a stretch of time, in which there may be any number of fills");
        section.fail("window", &problem, "a whole number, or an interval as risk.var.sample");
    }
    // Of what does not fit is said enough.
    let holds = window.most(interval).filter(|holds| *holds > 0).unwrap_or(most);
    let path = section.path_of("window");
    let expected = match window {
        WindowLength::Observations(_) => format!("a whole number from 2 to {path}"),
        WindowLength::Span(_) => {
            format!("a whole number from 2 to {holds}: there are never more in {path} = {window}")
        }
    };
    let minimum = section.get_if("minimum", |n| (2..=holds).contains(n), &expected);
    (window, minimum)
}

impl TailModel {
    /// True if over several steps it is of the history's stretches of so many.
    fn is_revalued_over_stretches(self) -> bool {
        matches!(self, Self::Revalued | Self::RevaluedAgeWeighted)
    }
}

impl ValueAtRisk {
    fn read(section: &mut Section<'_>, history: &History) -> Self {
        let sample: Sampling = section.get("sample");
        let (window, minimum) = window(section, sample.interval(), 1_000_000);
        let levels: Vec<u16> = section
            .values(
                "levels",
                |level: &Decimal| basis_points(*level).is_some(),
                "a level above 0.5 and below 1, to the hundredth of a percent",
            )
            .into_iter()
            .filter_map(basis_points)
            .collect();
        if levels.windows(2).any(|pair| pair[0] >= pair[1]) {
            section.fail("levels", "they do not rise", "rising levels, each once");
        }
        let horizons: Vec<u16> =
            section.values("horizons", |steps| (1..=250).contains(steps), "a whole number from 1 to 250");
        if horizons.len() > HORIZONS {
            let problem = format!("they are {}", horizons.len());
            section.fail("horizons", &problem, &format!("at most {HORIZONS}"));
        }
        if horizons.first() != Some(&1) || horizons.windows(2).any(|pair| pair[0] >= pair[1]) {
            section.fail(
                "horizons",
                "they do not rise from 1",
                "rising whole numbers that begin with 1, such as [1, 10]",
            );
        }
        let errors = section.errors();
        let mut models: Vec<TailModel> = section.values("models", |_| true, "");
        if section.errors() > errors {
            // Nobody knows which were meant: nothing is said of what rests on one that is not there.
            models = TailModel::ALL.to_vec();
        } else if models.is_empty() || (1..models.len()).any(|at| models[..at].contains(&models[at])) {
            section.fail("models", "it names none, or one twice", "at least one model, each once");
        }
        let var = Self {
            levels,
            horizons,
            models,
            lambda: section.get_if(
                "lambda",
                |weight| (0.5..1.0).contains(weight),
                "a weight from 0.5 to below 1, such as 0.94",
            ),
            age_lambda: section.get_if(
                "age_lambda",
                |weight| (0.5..1.0).contains(weight),
                "a weight from 0.5 to below 1, such as 0.99",
            ),
            contributions: section.get_if(
                "contributions",
                |n| *n <= 100,
                "a whole number from 0, for none, to 100",
            ),
            backtest: section.get_if(
                "backtest",
                |n| *n == 0 || (20..=10_000).contains(n),
                "a whole number from 20 to 10000, or 0 for none",
            ),
            window,
            minimum,
            sample,
            basis: section.get("basis"),
            shortfall: section.get("shortfall"),
        };
        var.refuse_long_horizons(section, history);
        var
    }

    /// A horizon over which a window never holds enough overlapping stretches would be warming up for ever.
    fn refuse_long_horizons(&self, section: &Section<'_>, history: &History) {
        let overlapping =
            self.models.iter().any(|model| matches!(model, TailModel::Historical | TailModel::AgeWeighted));
        if overlapping {
            let most = self.window.most(self.sample.interval()).unwrap_or(0);
            self.refuse_longer(section, "horizons", "risk.var", (self.window, most, self.minimum));
        }
        if self.models.iter().any(|model| model.is_revalued_over_stretches()) {
            self.refuse_longer(section, "horizons", "risk.history", history.holds());
        }
    }

    /// `of` has this window, which holds at most so many, and this minimum.
    fn refuse_longer(
        &self,
        section: &Section<'_>,
        key: &str,
        of: &str,
        (window, holds, minimum): (WindowLength, u32, u32),
    ) {
        let most = holds.saturating_add(1).saturating_sub(minimum);
        let longer = self.horizons.iter().find(|over| **over > 1 && u32::from(**over) > most);
        if let Some(over) = longer {
            let problem =
                format!("{of}.window = {window} never holds {of}.minimum = {minimum} stretches of {over}");
            let expected =
                format!("risk.var.horizons up to {}, a longer window, or a smaller minimum", most.max(1));
            section.fail(key, &problem, &expected);
        }
    }

    /// The names of its measures: `var_95`, `es_95_gaussian`, …
    fn measures(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (model, level) in self.models.iter().flat_map(|m| self.levels.iter().map(move |l| (*m, *l))) {
            for kind in ["var", "es"] {
                let name = measure_at(kind, level);
                names.push(if model == TailModel::Historical { name } else { format!("{name}_{model}") });
            }
            let light = format!("{}{LIGHT}", names[names.len() - 2]);
            let one_step = names.len() - 2..names.len();
            for over in self.horizons.iter().skip(1) {
                names.extend(
                    one_step.clone().map(|at| format!("{}{}", names[at], ending(*over))).collect::<Vec<_>>(),
                );
            }
            names.push(light);
        }
        names
    }
}

/// How the names of measures over so many steps end.
fn ending(over: u16) -> String {
    if over == 1 { String::new() } else { format!("_h{over}") }
}

/// True of what there was before there were contributions: it does not change the configuration version.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_none(contributions: &u32) -> bool {
    *contributions == 0
}

/// The most horizons: each has its returns of every symbol, and its figures in every record.
const HORIZONS: usize = 8;

/// True of what there was before there were horizons: it does not change the configuration version.
fn one_step(horizons: &[u16]) -> bool {
    horizons == [1]
}

pub(crate) fn basis_points(level: Decimal) -> Option<u16> {
    let points = level.checked_mul(Decimal::from(10_000))?;
    if points.fract().is_zero() { points.to_u16().filter(|n| (5_001..10_000).contains(n)) } else { None }
}

fn above_zero(section: &mut Section<'_>, key: &'static str) -> Duration {
    section.get_if(key, |span: &Duration| !span.is_zero(), "a duration above 0, such as \"15m\"")
}

fn count(section: &mut Section<'_>, key: &'static str) -> u32 {
    section.get_if(key, |n| *n > 0, "a whole number above 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_exact_basis_points() {
        assert_eq!(basis_points(Decimal::new(95, 2)), Some(9500));
        assert_eq!(basis_points(Decimal::new(9975, 4)), Some(9975));
        for bad in [Decimal::new(5, 1), Decimal::ONE, Decimal::new(99_999, 5), Decimal::MAX] {
            assert_eq!(basis_points(bad), None, "{bad}");
        }
    }

    #[test]
    fn sampling_is_an_interval_or_each_fill() {
        let read = |text: &str| Sampling::read(&Node::Text(text.into()));
        assert_eq!(read("15m"), Some(Sampling::Every(Duration::from_secs(900))));
        assert_eq!(read("fill"), Some(Sampling::EachFill));
        assert_eq!((read("0s"), read("tick")), (None, None));
    }
}
