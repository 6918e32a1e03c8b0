//! `[risk.day]`: when a day of profit and loss begins.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::layer::Node;
use crate::section::Section;
use crate::value::{Setting, micros};

/// Where changes of the clocks that are still to come are no longer listed: 2200-01-01T00:00:00Z.
const HORIZON: i64 = 7_258_118_400;

/// When a day begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Day {
    /// By the clocks of which time zone.
    pub time_zone: Zone,
    /// At which time of day.
    #[serde(serialize_with = "micros")]
    pub starts: Duration,
}

impl Day {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let below_a_day = |at: &Duration| *at < Duration::from_secs(86_400);
        Self {
            time_zone: section.get("time_zone"),
            starts: section.get_if(
                "starts",
                below_a_day,
                "a time after midnight below 24 hours, such as \"17h\"",
            ),
        }
    }
}

/// A time zone of the IANA database, of the release that is built in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Of this name, in the release that is built in.
    pub fn named(name: &str) -> Option<Self> {
        // Not the machine's own database: results may not depend on when it was brought up to date.
        TimeZoneDatabase::bundled().get(name).ok().map(Self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// How far its clocks are ahead of UTC, in seconds, each from an instant on (seconds since 1970), rising. The
    /// first holds from the beginning of time; the last changes listed are those of 2199.
    pub fn offsets(&self) -> Vec<(i64, i32)> {
        let first = (i64::MIN, self.0.to_offset(Timestamp::MIN).seconds());
        let changes = self
            .0
            .following(Timestamp::MIN)
            .map(|change| (change.timestamp().as_second(), change.offset().seconds()));
        std::iter::once(first).chain(changes.take_while(|(from, _)| *from < HORIZON)).collect()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Setting for Zone {
    fn expected() -> String {
        "a time zone's name, such as \"UTC\" or \"America/New_York\"".into()
    }
    fn schema() -> Value {
        json!({"type": "string", "description": format!("Expected: {}.", Self::expected())})
    }
    fn read(node: &Node) -> Option<Self> {
        match node {
            Node::Text(text) | Node::Given(text) => Self::named(text),
            _ => None,
        }
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Option<Zone> {
        Zone::read(&Node::Text(name.into()))
    }

    #[test]
    fn a_zone_is_named_as_the_database_names_it() {
        assert_eq!(zone("america/new_york").unwrap().name(), "America/New_York");
        assert_eq!(zone("UTC").unwrap().name(), "UTC");
        assert_eq!((zone("Mars/Olympus"), zone("")), (None, None));
        assert_eq!(serde_json::to_value(Zone::default()).unwrap(), "UTC");
    }

    #[test]
    fn offsets_rise_and_go_on() {
        let of = zone("America/New_York").unwrap().offsets();
        // 2021-03-14T07:00:00Z and 2021-11-07T06:00:00Z.
        assert!(of.contains(&(1_615_705_200, -4 * 3600)) && of.contains(&(1_636_264_800, -5 * 3600)));
        assert!(of.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(of.last().unwrap().0 > 7_226_582_400, "the last is in 2199");
        assert_eq!(zone("UTC").unwrap().offsets(), [(i64::MIN, 0)]);
    }
}
