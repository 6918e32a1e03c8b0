//! A record's body, read as its topic's event.

use serde::de::DeserializeOwned;

use super::error::DecodeError;
use super::plan::Plan;
use super::read::{Input, Place, Reader, Wrong};
use crate::events::{Event, EventKind};

/// Reads a body that begins `offset` bytes into its value.
pub(super) fn read(kind: EventKind, plan: &Plan, body: &[u8], offset: usize) -> Result<Event, DecodeError> {
    Ok(match kind {
        EventKind::MarketData => Event::MarketData(body_of(plan, body, offset)?),
        EventKind::Signal => Event::Signal(body_of(plan, body, offset)?),
        EventKind::ExecReport => Event::ExecReport(body_of(plan, body, offset)?),
        EventKind::Position => Event::Position(body_of(plan, body, offset)?),
        EventKind::Account => Event::Account(body_of(plan, body, offset)?),
        EventKind::Heartbeat => Event::Heartbeat(body_of(plan, body, offset)?),
        EventKind::RiskMetrics => Event::RiskMetrics(body_of(plan, body, offset)?),
        EventKind::Holdings => Event::Holdings(body_of(plan, body, offset)?),
        EventKind::SystemHealth => Event::SystemHealth(body_of(plan, body, offset)?),
        EventKind::Alert => Event::Alert(body_of(plan, body, offset)?),
        EventKind::Control => Event::Control(body_of(plan, body, offset)?),
        EventKind::ControlRequest => Event::ControlRequest(body_of(plan, body, offset)?),
    })
}

fn body_of<T: DeserializeOwned>(plan: &Plan, body: &[u8], offset: usize) -> Result<T, DecodeError> {
    let mut input = Input::new(body);
    match T::deserialize(Reader { plan, input: &mut input }) {
        Ok(_) if input.left() > 0 => {
            Err(DecodeError::TrailingBytes { position: offset + input.position(), count: input.left() })
        }
        Ok(value) => Ok(value),
        Err(fault) => Err(located(fault.into_place(), offset)),
    }
}

#[cold]
fn located(place: Place, offset: usize) -> DecodeError {
    let mut path = String::new();
    for part in place.path.iter().rev() {
        if !path.is_empty() && !part.starts_with('[') {
            path.push('.');
        }
        path.push_str(part);
    }
    let position = offset + place.position.unwrap_or(0);
    match place.wrong {
        Wrong::Truncated => DecodeError::Truncated { position, path },
        Wrong::Value(problem) => DecodeError::BadValue { position, path, problem },
    }
}
