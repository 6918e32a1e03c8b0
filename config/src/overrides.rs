//! `[[risk.overrides]]` and `[[firm.overrides]]`: other bounds of a limit for a while, with who and why.

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::nearest;
use crate::layer::Node;
use crate::limit::Limit;
use crate::section::Section;
use crate::value::Setting;

/// Bytes of a name or a reason.
const LONGEST_WORDS: usize = 512;

/// An instant: microseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Instant(pub i64);

impl Setting for Instant {
    fn expected() -> String {
        "a time with an offset such as \"2026-05-02T12:00:00Z\"".into()
    }
    fn schema() -> Value {
        json!({"type": "string", "format": "date-time"})
    }
    fn read(node: &Node) -> Option<Self> {
        let (Node::Text(text) | Node::Given(text) | Node::Datetime(text)) = node else { return None };
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1000)).ok().map(Self)
    }
}

/// Other bounds of a limit for a while.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Override {
    /// The limit's name.
    pub limit: String,
    /// The portfolios or scopes that it is for; all that the limit is on if empty.
    pub on: Vec<String>,
    /// Warn over this; the limit's own if none.
    pub soft: Option<f64>,
    /// Breached over this; the limit's own if none.
    pub hard: Option<f64>,
    /// From this instant on; from the beginning if none.
    pub from: Option<Instant>,
    /// Until this one, when it ends by itself.
    pub until: Instant,
    /// Who answers for it.
    pub who: String,
    /// The reason.
    pub why: String,
}

/// A limit that may be overridden, and what it is on: all if empty.
pub(crate) type Overridable<'a> = (&'a Limit, &'a [String]);

impl Override {
    /// All of a section. `on` is the setting that names what one is for, such as `portfolios`.
    pub(crate) fn read_all(
        section: &mut Section<'_>,
        on: &'static str,
        limits: &[Overridable<'_>],
    ) -> Vec<Self> {
        let overrides = section.groups("overrides", |one| Self::read(one, on, limits));
        for (at, one) in overrides.iter().enumerate() {
            let clash = |other: &Self| !one.limit.is_empty() && other.limit == one.limit && one.meets(other);
            if let Some(earlier) = overrides[..at].iter().position(clash) {
                let problem = format!("overrides[{earlier}] is for the same limit at the same time");
                section.fail_in("overrides", at, "until", &problem, "one at a time for each of its");
            }
        }
        overrides
    }

    fn read(section: &mut Section<'_>, on: &'static str, limits: &[Overridable<'_>]) -> Self {
        let name: String = section.get("limit");
        let limit = limits.iter().find(|(limit, _)| limit.name == name);
        if limit.is_none() && !name.is_empty() {
            let names: Vec<&str> = limits.iter().map(|(limit, _)| limit.name.as_str()).collect();
            let near = nearest(&name, names.iter().copied());
            let expected =
                near.map_or_else(|| format!("one of {}", names.join(", ")), |near| format!("{near:?}"));
            section.fail("limit", &format!("there is no limit {name:?}"), &expected);
        }
        let is_on = |one: &String| limit.is_none_or(|(_, of)| of.is_empty() || of.contains(one));
        let on = section.values(
            on,
            |one: &String| !one.is_empty() && is_on(one),
            &format!("some of what the limit is on as {on}"),
        );
        let bound = |bound: &f64| *bound >= 0.0;
        let expected = "a number of at least 0";
        let words = |words: &String| !words.trim().is_empty() && words.len() <= LONGEST_WORDS;
        let said = format!("words, at most {LONGEST_WORDS} bytes");
        let one = Self {
            limit: name,
            on,
            soft: section.optional_if("soft", bound, expected),
            hard: section.optional_if("hard", bound, expected),
            from: section.optional("from"),
            until: section.get("until"),
            who: section.get_if("who", words, &said),
            why: section.get_if("why", words, &said),
        };
        one.check(section, limit.map(|(limit, _)| *limit));
        one
    }

    fn check(&self, section: &Section<'_>, limit: Option<&Limit>) {
        if self.soft.is_none() && self.hard.is_none() {
            section.fail("hard", "it bounds nothing", "soft, hard or both");
        }
        let soft = self.soft.or(limit.and_then(|limit| limit.soft));
        let hard = self.hard.or(limit.and_then(|limit| limit.hard));
        if let (Some(soft), Some(hard)) = (soft, hard)
            && soft > hard
        {
            let (key, problem) = if self.soft.is_some() {
                ("soft", format!("{soft} is over hard, which is {hard}"))
            } else {
                ("hard", format!("{hard} is under the limit's own soft, which is {soft}"))
            };
            section.fail(key, &problem, "soft at most as high as hard, here or in the limit");
        }
        // The default stands in where there is none that can be read, which was said already.
        if self.until != Instant::default() && self.from.is_some_and(|from| from >= self.until) {
            section.fail("until", "it is not after from", "an instant after from");
        }
    }

    /// True if some portfolio or scope would be under both at one instant.
    fn meets(&self, other: &Self) -> bool {
        let begins = |one: &Self| one.from.unwrap_or(Instant(i64::MIN));
        let shared =
            self.on.is_empty() || other.on.is_empty() || self.on.iter().any(|one| other.on.contains(one));
        shared && begins(self) < other.until && begins(other) < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(on: &[&str], from: Option<i64>, until: i64) -> Override {
        Override {
            limit: "a".into(),
            on: on.iter().map(|one| (*one).into()).collect(),
            soft: None,
            hard: Some(1.0),
            from: from.map(Instant),
            until: Instant(until),
            who: "ada".into(),
            why: "a reason".into(),
        }
    }

    #[test]
    fn two_meet_where_something_is_under_both_at_once() {
        let one = with(&["p", "q"], Some(10), 20);
        for (on, from, until, meets) in [
            (&["q"][..], Some(19), 30, true),
            (&["q"], Some(20), 30, false),
            (&["r"], Some(10), 20, false),
            (&[], Some(0), 11, true),
            (&[], Some(0), 10, false),
            (&["p"], None, 11, true),
        ] {
            let other = with(on, from, until);
            assert_eq!((one.meets(&other), other.meets(&one)), (meets, meets), "{other:?}");
        }
    }

    #[test]
    fn an_instant_has_an_offset() {
        let read = |text: &str| Instant::read(&Node::Text(text.into()));
        assert_eq!(read("1970-01-01T01:00:01+01:00"), Some(Instant(1_000_000)));
        assert_eq!((read("2026-05-02"), read("2026-05-02T12:00:00")), (None, None));
    }
}
