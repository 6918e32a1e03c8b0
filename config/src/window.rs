//! How long a window is: so many observations, or a stretch of time.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::layer::Node;
use crate::value::{Setting, spelled};

/// How long a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowLength {
    /// The last so many: `500`.
    Observations(u32),
    /// Those of the last stretch of time: `"365d"`.
    Span(Duration),
}

impl WindowLength {
    /// How many it holds at most, where there is one at each boundary of an interval; none without an interval.
    pub(crate) fn most(self, interval: Option<Duration>) -> Option<u32> {
        match self {
            Self::Observations(count) => Some(count),
            Self::Span(span) => {
                let interval = interval.filter(|interval| !interval.is_zero())?;
                Some(u32::try_from(span.as_nanos().div_ceil(interval.as_nanos())).unwrap_or(u32::MAX))
            }
        }
    }
}

impl Default for WindowLength {
    fn default() -> Self {
        Self::Observations(0)
    }
}

impl Setting for WindowLength {
    fn expected() -> String {
        "a whole number, or a stretch of time such as \"365d\"".into()
    }
    fn schema() -> Value {
        json!({"anyOf": [u32::schema(), Duration::schema()]})
    }
    fn read(node: &Node) -> Option<Self> {
        let count = u32::read(node).map(Self::Observations);
        count.or_else(|| Duration::read(node).map(Self::Span))
    }
}

/// As it is written in the file.
impl fmt::Display for WindowLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Observations(count) => write!(f, "{count}"),
            Self::Span(span) => write!(f, "{:?}", spelled(*span)),
        }
    }
}

impl Serialize for WindowLength {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Observations(count) => serializer.serialize_u32(*count),
            Self::Span(span) => serializer.serialize_str(&spelled(*span)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_count_or_a_stretch_of_time() {
        let read = |node: Node| WindowLength::read(&node).map(|window| window.to_string());
        assert_eq!(read(Node::Number("1_000".into())).unwrap(), "1000");
        assert_eq!(read(Node::Given("1000".into())).unwrap(), "1000");
        assert_eq!(read(Node::Text("1000d".into())).unwrap(), "\"1000d\"");
        assert_eq!(read(Node::Given("36h".into())).unwrap(), "\"1d12h\"");
        assert_eq!((read(Node::Text("1000".into())), read(Node::Number("1.5".into()))), (None, None));
    }

    #[test]
    fn a_stretch_holds_an_observation_at_each_boundary_that_can_be_in_it() {
        let hours = |count: u64| Duration::from_secs(count * 3600);
        let most = |span, interval| WindowLength::Span(hours(span)).most(Some(hours(interval)));
        assert_eq!((most(48, 24), most(49, 24), most(1, 24)), (Some(2), Some(3), Some(1)));
        assert_eq!(WindowLength::Observations(7).most(None), Some(7));
        assert_eq!(WindowLength::Span(hours(1)).most(None), None);
    }
}
