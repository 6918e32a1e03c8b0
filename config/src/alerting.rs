//! `[alerting]`: what is an alert.

use serde::Serialize;

use crate::instruments::refuse_doubles;
use crate::rule::Rule;
use crate::section::Section;

/// Alerting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alerting {
    /// Alerts that a task keeps at most, firing or pending.
    pub max_alerts: u32,
    /// The rules, in their order.
    pub rules: Vec<Rule>,
}

impl Alerting {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let rules = section.groups("rules", Rule::read);
        refuse_doubles(section, "rules", "name", rules.iter().map(|rule| rule.name.as_str()));
        Self { max_alerts: section.get_if("max_alerts", |n| *n > 0, "a whole number above 0"), rules }
    }
}
