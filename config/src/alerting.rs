//! `[alerting]`: what is an alert.

use std::time::Duration;

use serde::Serialize;

use crate::condition::Condition;
use crate::instruments::refuse_doubles;
use crate::rule::Rule;
use crate::section::Section;
use crate::value::micros;

/// Alerting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alerting {
    /// The most conditions of a task that hold at once, over all rules.
    pub max_conditions: u32,
    /// The most heartbeat sources that a task watches for silence.
    pub max_sources: u32,
    /// How long a young portfolio may lack something without an alert.
    pub grace: Grace,
    /// Who may end a halt.
    pub control: Control,
    /// The rules, in their order.
    pub rules: Vec<Rule>,
}

/// How long after a portfolio's first record an unknown limit raises no alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grace {
    /// While the reason is that an input never came.
    #[serde(serialize_with = "micros")]
    pub missing: Duration,
    /// While the reason is that a window is still filling.
    #[serde(serialize_with = "micros")]
    pub warming_up: Duration,
    /// The same of a limit on the light of a backtest.
    #[serde(serialize_with = "micros")]
    pub backtest: Duration,
}

/// Who may end a halt. Whoever may write to `control.requests.v1` may begin one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Control {
    /// The role that lowering a level needs.
    pub resume_role: String,
    /// The people that are known.
    pub people: Vec<Person>,
}

/// A person who may ask for more than a halt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The name that requests give.
    pub name: String,
    /// Their roles.
    pub roles: Vec<String>,
}

impl Control {
    fn read(section: &mut Section<'_>) -> Self {
        let word = |word: &String| !word.trim().is_empty();
        let people = section.groups("people", |one| Person {
            name: one.get_if("name", word, "a name"),
            roles: one.values("roles", word, "a role's name"),
        });
        refuse_doubles(section, "people", "name", people.iter().map(|person| person.name.as_str()));
        Self { resume_role: section.get_if("resume_role", word, "a role's name"), people }
    }
}

impl Alerting {
    pub(crate) fn read(section: &mut Section<'_>, limits: &[&str]) -> Self {
        let rules = section.groups("rules", |one| {
            let rule = Rule::read(one);
            if let Condition::Limit { limit: Some(name), .. } = &rule.condition
                && !limits.contains(&name.as_str())
            {
                let expected = format!("one of {}, or none for all", limits.join(", "));
                one.fail("limit", &format!("there is no limit {name:?}"), &expected);
            }
            rule
        });
        refuse_doubles(section, "rules", "name", rules.iter().map(|rule| rule.name.as_str()));
        Self {
            max_conditions: section.get_if("max_conditions", |n| *n > 0, "a whole number above 0"),
            max_sources: section.get_if("max_sources", |n| *n > 0, "a whole number above 0"),
            grace: section.group("grace", |group| Grace {
                missing: group.get("missing"),
                warming_up: group.get("warming_up"),
                backtest: group.get("backtest"),
            }),
            control: section.group("control", Control::read),
            rules,
        }
    }
}
