//! `[[risk.schedules]]`: times of the week, by name, during or outside of which limits are in force.

use std::time::Duration;

use serde::Serialize;

use crate::day::Zone;
use crate::limit::{NAME, is_name};
use crate::section::Section;
use crate::value::{choice, micros};

/// The length of a day by clocks that are not changed in it.
const DAY: Duration = Duration::from_secs(86_400);

choice! {
    /// A day of the week.
    Weekday {
        /// Monday.
        #[default]
        Monday = "mon",
        /// Tuesday.
        Tuesday = "tue",
        /// Wednesday.
        Wednesday = "wed",
        /// Thursday.
        Thursday = "thu",
        /// Friday.
        Friday = "fri",
        /// Saturday.
        Saturday = "sat",
        /// Sunday.
        Sunday = "sun",
    }
}

/// A time of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Schedule {
    /// What limits name.
    pub name: String,
    /// By the clocks of which time zone.
    pub time_zone: Zone,
    /// The days on which it begins.
    pub days: Vec<Weekday>,
    /// From this time of day on.
    #[serde(serialize_with = "micros")]
    pub from: Duration,
    /// Until this one: of the next day unless it is later than `from`.
    #[serde(serialize_with = "micros")]
    pub to: Duration,
}

impl Schedule {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let faults = |section: &Section<'_>| section.context().errors.borrow().len();
        let before = faults(section);
        let name = section.get_if("name", |name: &String| is_name(name), NAME);
        let mut days: Vec<Weekday> = section.values("days", |_| true, "");
        if (1..days.len()).any(|at| days[..at].contains(&days[at])) {
            section.fail("days", "it names one twice", "each day once");
        }
        days.sort_unstable();
        let time = "a time after midnight, such as \"9h30m\"";
        let from = section
            .optional_if("from", |at: &Duration| *at < DAY, &format!("{time}, below 24 hours"))
            .unwrap_or_default();
        let to = section
            .optional_if("to", |at: &Duration| *at <= DAY, &format!("{time}, at most 24 hours"))
            .unwrap_or_default();
        // What does not fit is not there.
        let is_read = faults(section) == before;
        if is_read && matches!(days.len(), 0 | 7) && (from == to || from + DAY == to) {
            section.fail("days", "it is all of the time", "days, or a part of the day: from, to");
        }
        Self { name, time_zone: section.optional("time_zone").unwrap_or_default(), days, from, to }
    }

    /// True if it begins on this day: on all if none is named.
    pub fn is_on(&self, day: Weekday) -> bool {
        self.days.is_empty() || self.days.contains(&day)
    }
}

/// When a limit is in force: during or outside of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// While the schedule of this name holds.
    During(String),
    /// While it does not.
    Outside(String),
}

impl When {
    /// None if a limit is always in force; `known` are the names of the schedules.
    pub(crate) fn read(section: &mut Section<'_>, known: &[&str]) -> Option<Self> {
        let expected = match known {
            [] => "a name of risk.schedules, of which there are none".to_owned(),
            _ => format!("one of risk.schedules: {}", known.join(", ")),
        };
        let is_known = |name: &String| known.contains(&name.as_str());
        let during = section.optional_if("during", is_known, &expected);
        let outside = section.optional_if("outside", is_known, &expected);
        if during.is_some() && outside.is_some() {
            section.fail("outside", "during is there, too", "during or outside");
        }
        during.map(Self::During).or(outside.map(Self::Outside))
    }

    /// The schedule's name, and true if it is meant to be outside of it.
    pub fn schedule(&self) -> (&str, bool) {
        match self {
            Self::During(name) => (name, false),
            Self::Outside(name) => (name, true),
        }
    }
}
