use std::fmt::Write;
use std::time::Duration;

use serde::Serializer;
use serde_json::{Value, json};

use super::Setting;
use crate::layer::Node;

const UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

impl Setting for Duration {
    fn expected() -> String {
        "a duration such as \"5ms\", \"30s\", \"15m\" or \"1d12h\"".into()
    }
    fn schema() -> Value {
        json!({"type": "string", "pattern": "^([0-9]+(us|ms|s|m|h|d) ?)+$"})
    }
    fn read(node: &Node) -> Option<Self> {
        match node {
            Node::Text(text) | Node::Given(text) => parse(text),
            _ => None,
        }
    }
}

/// One or more whole numbers, each with its unit.
fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (count, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len()));
        let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(count.parse::<u64>().ok()?.checked_mul(*micros)?)?;
        rest = after.trim_start();
    }
    Some(Duration::from_micros(total))
}

/// As it may be written: the largest units first, each once.
pub(crate) fn spelled(span: Duration) -> String {
    let mut rest = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, micros) in UNITS.iter().rev() {
        let count = rest / micros;
        rest %= micros;
        if count > 0 {
            write!(text, "{count}{unit}").expect("a text takes what is written to it");
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// Whole microseconds, for the canonical form.
pub(crate) fn micros<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_may_have_several() {
        assert_eq!(parse("5ms"), Some(Duration::from_millis(5)));
        assert_eq!(parse("1d12h"), Some(Duration::from_secs(36 * 3600)));
        assert_eq!(parse("1h 30m"), Some(Duration::from_secs(5400)));
        for bad in ["", "5", "ms", "-5s", "5 parsecs", "1.5s", "99999999999999999999d"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_spelled_is_read_back() {
        for (span, text) in
            [(0, "0s"), (129_600_000_000, "1d12h"), (86_400_000_000_000, "1000d"), (61_000_001, "1m1s1us")]
        {
            assert_eq!(spelled(Duration::from_micros(span)), text);
            assert_eq!(parse(text), Some(Duration::from_micros(span)));
        }
    }
}
