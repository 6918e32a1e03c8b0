use std::time::Duration;

use serde_json::Value;
use tapewatch_config::Zone;
use tapewatch_monitors::RiskParameters;
use tapewatch_monitors::risk::DayParameters;
use tapewatch_schemas::{Amount, Time};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered, wrong};
use super::super::worker::{Worker, account};

pub(crate) static FAMILY: Family = Family {
    name: "daily_pnl",
    aliases: &["daily"],
    about: "profit and loss by the day, from an account's equity",
    convention: "through the risk worker's monitor. The change of equity less deposits plus withdrawals since the day began. A day \
                 begins at starts by the clocks of time_zone, with what was last known before it; the first one with what is first \
                 known. What is of the instant at which a day ends is of that day. A day in which nothing came is left out.",
    columns: Columns::Records("accounts"),
    takes: &[
        (
            "accounts",
            "in order of time: time, equity; if wanted deposits and withdrawals, each what was paid in or out so far",
        ),
        ("time_zone", "whose clocks (default UTC)"),
        ("starts", "hours after midnight, from 0 to below 24 (default 0)"),
    ],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let day = day(question)?;
    let mut worker = Worker::new(RiskParameters { day: day.clone(), ..RiskParameters::default() });
    let mut days: Vec<(Time, Option<f64>)> = Vec::new();
    for record in question.records("accounts", &["time", "equity", "deposits", "withdrawals"])? {
        let time = record.wanted("time", "the time of the record", record.time()?)?;
        let paid = |field| Ok::<_, Unanswered>(record.amount(field)?.unwrap_or(Amount::ZERO));
        let equity = record.amount_of("equity")?;
        worker.see(&record.place, time, account(equity, paid("deposits")?, paid("withdrawals")?))?;
        let ends = day.ends(time);
        let level = worker.level();
        let measure = level.iter().flat_map(|level| &level.measures).find(|one| one.name == "daily_pnl");
        let profit = measure.and_then(|one| one.value);
        match days.last_mut() {
            Some(last) if last.0 == ends => last.1 = profit,
            _ => days.push((ends, profit)),
        }
    }
    let mut figures = Figures::default();
    figures.put("days", days.len());
    let ends: Vec<Value> = days.iter().map(|(ends, _)| ends.to_string().into()).collect();
    figures.put("day_ends", ends);
    let worst = days.iter().filter_map(|(_, profit)| *profit).reduce(f64::min);
    figures.put("daily_pnl", days.into_iter().map(|(_, profit)| profit.into()).collect::<Vec<Value>>());
    figures.put("worst_day", worst);
    Ok(figures)
}

fn day(question: &Question<'_>) -> Result<DayParameters, Unanswered> {
    let name = question.text_if("time_zone")?.unwrap_or("UTC");
    let expected = "a time zone's name, such as UTC or America/New_York";
    let zone = Zone::named(name).ok_or_else(|| wrong("time_zone", expected, &name.into()))?;
    let hours = question.number_or("starts", 0.0)?;
    if !(0.0..24.0).contains(&hours) {
        return Err(wrong("starts", "hours after midnight, from 0 to below 24", &hours.into()));
    }
    let offsets = zone.offsets().into_iter().map(|(from, ahead)| (Time::from_secs(from), ahead)).collect();
    Ok(DayParameters { starts: Duration::from_secs_f64((hours * 3600.0).round()), offsets })
}
