//! Which dead letters are meant.

use clap::builder::PossibleValuesParser;
use tapewatch_consumers::redrive::Filter;
use tapewatch_consumers::workers::NAMES;
use tapewatch_schemas::{Reason, Time};

use crate::CliError;
use crate::commands::in_order;

const HEADING: &str = "Which dead letters; all, unless said otherwise";

/// Options that choose dead letters.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct FilterArgs {
    /// Of this worker
    #[arg(long, value_name = "WORKER", value_parser = PossibleValuesParser::new(NAMES), help_heading = HEADING)]
    worker: Option<String>,
    /// For this reason, as `dlq list` names it
    #[arg(long, value_name = "REASON", value_parser = reason, help_heading = HEADING)]
    reason: Option<Reason>,
    /// Of this key
    #[arg(long, value_name = "KEY", help_heading = HEADING)]
    key: Option<String>,
    /// Dead-lettered at or after this time
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = HEADING)]
    from: Option<Time>,
    /// Dead-lettered before this time
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = HEADING)]
    to: Option<Time>,
    /// In this partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..), help_heading = HEADING)]
    partition: Option<i32>,
    /// Letters from offset A to offset B, both included, as `dlq show` counts them
    #[arg(long, value_name = "A..B", value_parser = offsets, requires = "partition", help_heading = HEADING)]
    offsets: Option<(i64, i64)>,
}

impl FilterArgs {
    pub(super) fn filter(self) -> Result<Filter, CliError> {
        let Self { worker, reason, key, from, to, partition, offsets } = self;
        in_order(from, to)?;
        Ok(Filter { worker, reason, key: key.map(String::into_bytes), from, to, partition, offsets })
    }
}

fn reason(text: &str) -> Result<Reason, String> {
    Reason::of(text).ok_or_else(|| {
        let all: Vec<&str> = Reason::ALL.into_iter().map(Reason::as_str).collect();
        format!("expected one of {}", all.join(", "))
    })
}

fn time(text: &str) -> Result<Time, String> {
    Time::parse(text).map_err(|_| "expected a time such as 2026-05-02T12:00:00Z".into())
}

fn offsets(text: &str) -> Result<(i64, i64), String> {
    let parts = text.split_once("..").unwrap_or((text, text));
    match (parts.0.parse::<i64>(), parts.1.parse::<i64>()) {
        (Ok(first), Ok(last)) if 0 <= first && first <= last => Ok((first, last)),
        _ => Err("expected an offset such as 17, or offsets such as 17..42".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        assert_eq!(offsets("17..42"), Ok((17, 42)));
        assert_eq!(offsets("17"), Ok((17, 17)));
        assert!(["", "a..b", "5..4", "-1..4", "5.."].iter().all(|bad| offsets(bad).is_err()));
        assert_eq!(reason("truncated"), Ok(Reason::Truncated));
        assert!(reason("broken").unwrap_err().contains("misrouted"));
    }
}
