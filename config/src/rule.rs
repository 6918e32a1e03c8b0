//! `[[alerting.rules]]`: one condition that is an alert while it holds.

use std::time::Duration;

use serde::Serialize;

use crate::limit::{NAME, is_name, pattern};
use crate::section::Section;
use crate::value::{choice, micros};

choice! {
    /// How bad an alert is.
    Severity {
        /// To know.
        #[default]
        Info = "info",
        /// To look at.
        Warning = "warning",
        /// To act on.
        Critical = "critical",
        /// To act on now.
        Emergency = "emergency",
    }
}

choice! {
    /// What a rule looks at.
    Subject {
        /// A measure's value.
        #[default]
        Measure = "measure",
        /// Where a limit stands.
        Limit = "limit",
        /// How a component of the pipeline is.
        Health = "health",
    }
}

choice! {
    /// When a value is bad.
    Comparison {
        /// Over the threshold.
        #[default]
        Above = ">",
        /// At the threshold or over it.
        AtLeast = ">=",
        /// Under the threshold.
        Below = "<",
        /// At the threshold or under it.
        AtMost = "<=",
    }
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rule {
    /// Its name, in alerts.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it looks at.
    pub on: Subject,
    /// Which of them: the measure's name, the limit's, or the health event's kind; a beginning and `*` is a
    /// pattern.
    pub subject: String,
    /// The scopes or components it is on: a name, or a beginning and `*`.
    pub scope: String,
    /// (limits and health) The states that are bad.
    pub status: Vec<String>,
    /// (measures) When the value is bad.
    pub comparison: Comparison,
    /// (measures) Against what.
    pub threshold: Option<f64>,
    /// (measures) The value must pass this one to be good again; the threshold if none.
    pub clear: Option<f64>,
    /// For how long it must be bad, on the task's clock, before the alert fires.
    #[serde(rename = "for", serialize_with = "micros")]
    pub lasting: Duration,
}

impl Rule {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let on = section.get("on");
        let mut rule = Self {
            name: section.get_if("name", |name: &String| is_name(name), NAME),
            severity: section.get("severity"),
            on,
            subject: pattern(section, "subject"),
            scope: pattern(section, "scope"),
            lasting: section.optional("for").unwrap_or_default(),
            ..Self::default()
        };
        match on {
            Subject::Measure => rule.read_threshold(section),
            Subject::Limit => rule.read_status(section, &["warning", "breached", "unknown"]),
            Subject::Health => rule.read_status(section, &["degraded", "failed"]),
        }
        rule
    }

    fn read_threshold(&mut self, section: &mut Section<'_>) {
        self.comparison = section.get("comparison");
        self.threshold = Some(section.get("threshold"));
        self.clear = section.optional("clear");
        let (Some(threshold), Some(clear)) = (self.threshold, self.clear) else { return };
        let (good_side, fits) = match self.comparison {
            Comparison::Above | Comparison::AtLeast => ("at most", clear <= threshold),
            Comparison::Below | Comparison::AtMost => ("at least", clear >= threshold),
        };
        if !fits {
            let expected = format!("{good_side} the threshold, which is {threshold}");
            section.fail("clear", &format!("{clear} is on the bad side"), &expected);
        }
    }

    fn read_status(&mut self, section: &mut Section<'_>, known: &[&str]) {
        let fits = |status: &String| known.contains(&status.as_str());
        self.status = section.values("status", fits, &format!("one of {}", known.join(", ")));
        if self.status.is_empty() && section.peek("status").is_none() {
            section.fail("status", "it is missing", &format!("a list of some of {}", known.join(", ")));
        }
        self.status.sort();
        self.status.dedup();
    }
}
