//! Instants and spans: microseconds, UTC, no clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant in microseconds since 1970-01-01T00:00:00Z (Avro `timestamp-micros`).
///
/// In Avro it is a long. In JSON it is written as RFC 3339 (integer microseconds outside the years 0 to
/// 9999) and read from RFC 3339 with an offset, or from integer microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// Before every instant that a record can carry.
    pub const MIN: Self = Self(i64::MIN);
    /// After every instant that a record can carry.
    pub const MAX: Self = Self(i64::MAX);

    /// From whole milliseconds since the epoch; saturates.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// From whole seconds since the epoch; saturates.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The span from `earlier` to `self` in microseconds; negative if `earlier` is later; saturates.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The last boundary of `interval` at or before this instant, counted from the epoch.
    ///
    /// An interval of zero has every instant as a boundary.
    pub fn floor_to(self, interval: Duration) -> Self {
        let step = micros_of(interval);
        if step == 0 { self } else { Self(self.0.div_euclid(step) * step) }
    }

    /// Reads RFC 3339 with an offset, or integer microseconds.
    ///
    /// # Errors
    /// Says what was expected if the text is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(micros) = text.parse::<i64>() {
            return Ok(Self(micros));
        }
        Self::parse_rfc3339(text).ok_or_else(|| {
            format!(
                "`{text}` is not a time: write RFC 3339 with an offset (2026-05-02T12:00:00Z) or integer \
                 microseconds since 1970"
            )
        })
    }

    /// Reads RFC 3339 with an offset; digits behind the microseconds are cut off.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1000)).ok().map(Self)
    }
}

/// A span in whole microseconds, saturating at the end of time.
pub fn micros_of(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros_of(span)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros_of(span)))
    }
}

impl Time {
    /// RFC 3339 in UTC; none for instants outside the years 0 to 9999, which it cannot write.
    fn rfc3339(self) -> Option<String> {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000).ok()?;
        at.format(&Rfc3339).ok()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rfc3339() {
            Some(text) => f.write_str(&text),
            None => write!(f, "{}us", self.0),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = if serializer.is_human_readable() { self.rfc3339() } else { None };
        match text {
            Some(text) => serializer.serialize_str(&text),
            None => serializer.serialize_i64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Instant;
        impl Visitor<'_> for Instant {
            type Value = Time;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time as RFC 3339 with an offset or integer microseconds")
            }
            fn visit_i64<E: de::Error>(self, micros: i64) -> Result<Time, E> {
                Ok(Time(micros))
            }
            fn visit_u64<E: de::Error>(self, micros: u64) -> Result<Time, E> {
                i64::try_from(micros).map(Time).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                Time::parse(text).map_err(E::custom)
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Instant)
        } else {
            deserializer.deserialize_i64(Instant)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_any_offset_and_written_in_utc() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2021-05-02T12:00:00Z", 1_619_956_800_000_000),
            ("2021-05-02T14:00:00.000123+02:00", 1_619_956_800_000_123),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("2021-05-02T12:00:00.0000019Z", 1_619_956_800_000_001),
            ("1619956800000123", 1_619_956_800_000_123),
            ("-1", -1),
        ] {
            assert_eq!(Time::parse(text), Ok(Time(micros)), "{text}");
        }
        assert_eq!(Time(1_619_956_800_000_123).to_string(), "2021-05-02T12:00:00.000123Z");
        assert_eq!(Time(-1).to_string(), "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "now", "2021-05-02", "2021-05-02T12:00:00", "2021-13-02T12:00:00Z", "1.5", "1e3"] {
            let error = Time::parse(text).unwrap_err();
            assert!(error.contains("RFC 3339"), "{error}");
        }
        assert_eq!(Time::parse_rfc3339("1619956800000123"), None);
    }

    #[test]
    fn the_ends_of_time_survive_json() {
        for time in [Time::MIN, Time::MAX, Time(0), Time(253_402_300_800_000_000)] {
            let text = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<Time>(&text).unwrap(), time, "{text}");
        }
        assert_eq!(Time::MAX + Duration::from_secs(1), Time::MAX);
        assert_eq!(Time::MIN.since(Time::MAX), i64::MIN);
    }

    #[test]
    fn floors_also_before_the_epoch() {
        let quarter = Duration::from_secs(900);
        assert_eq!(Time::from_secs(901).floor_to(quarter), Time::from_secs(900));
        assert_eq!(Time(-1).floor_to(quarter), Time::from_secs(-900));
        assert_eq!(Time(7).floor_to(Duration::ZERO), Time(7));
        assert_eq!(Time(-1).millis(), -1);
    }
}
