//! Topics as people name them.

use tapewatch_eventlog::Log;
use tapewatch_schemas::catalogue::DEFAULT_RETENTION;
use tapewatch_schemas::catalogue::{Pattern, TOPICS, plan};

use crate::CliError;

/// The partitions of a topic on the log.
///
/// # Errors
/// [`CliError::Input`] with the nearest name if there is no such topic, [`CliError::Topics`] if there is one
/// and the log does not have it.
pub(crate) fn partitions(log: &dyn Log, name: &str) -> Result<i32, CliError> {
    let topics = log.topics()?;
    if let Some(found) = topics.iter().find(|topic| topic.name.as_str() == name) {
        return Ok(found.partitions);
    }
    if Pattern::of(name).is_some() {
        if plan(1, DEFAULT_RETENTION).iter().all(|topic| topic.name.as_str() != name) {
            let log = log.address();
            return Err(CliError::Topics(format!(
                "the topic {name} is not on {log}, and no program of this release reads or writes it"
            )));
        }
        let log = log.address();
        return Err(CliError::Topics(format!(
            "the topic {name} is not on {log}: create it with `tapewatch topics create --log {log}`"
        )));
    }
    let mut known: Vec<String> = topics.iter().map(|topic| topic.name.to_string()).collect();
    known.extend(TOPICS.iter().map(|topic| topic.name.to_owned()));
    known.extend(plan(1, DEFAULT_RETENTION).into_iter().map(|topic| topic.name.to_string()));
    Err(CliError::Input(match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("there is no topic `{name}`. Did you mean {near}?"),
        None => format!("there is no topic `{name}`. `tapewatch topics list` shows those there are"),
    }))
}

/// The nearest name, if it is near enough to be what was meant: a few letters off, or the same but for the
/// version at the end.
pub(crate) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| {
            let bare = name.strip_suffix(".v1").unwrap_or(name);
            (strsim::damerau_levenshtein(written, name).min(strsim::damerau_levenshtein(written, bare)), name)
        })
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_name_that_is_nearly_right_is_offered() {
        let known = ["alerts.v1", "accounts.v1", "exec.reports.v1"];
        let near = |written| nearest(written, known.into_iter());
        assert_eq!(near("exec.report.v1"), Some("exec.reports.v1"));
        assert_eq!(near("alerts"), Some("alerts.v1"));
        assert_eq!(near("something.else"), None);
    }
}
