//! Schemas by the ids that a registry gave them: what was learnt of each, and which id our own have.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::plan::Plan;
use crate::events::EventKind;

/// No codec keeps more ids. A topic has a handful of schemas; more ids are made up, by poison.
const MAX_IDS: usize = 10_000;

/// How a registry names a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegistryId {
    /// Confluent framing: four bytes after `0x00`.
    Number(u32),
    /// The schema's GUID, in the header [`GUID_HEADER`].
    Guid([u8; 16]),
}

/// The header that holds `0x01` and the GUID of the value's schema. The value is then the bare body.
pub const GUID_HEADER: &str = "__value_schema_id";

impl fmt::Display for RegistryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => write!(f, "registry id {id}"),
            Self::Guid(bytes) => write!(f, "registry GUID {}", uuid::Uuid::from_bytes(*bytes)),
        }
    }
}

/// What is known of a registry's id.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// The registry has no such id.
    Absent,
    /// A schema, and how its records become the events of each topic that can read them; else why not.
    Schema(Arc<Readings>),
}

/// How a schema's records are read, per topic.
#[derive(Debug)]
pub(super) struct Readings {
    pub(super) plans: Vec<(EventKind, Plan)>,
    /// Why no topic reads it, if none does.
    pub(super) problem: Option<String>,
}

/// The ids that a codec has learnt.
#[derive(Debug, Default)]
pub(super) struct Ids(RwLock<BTreeMap<RegistryId, Known>>);

impl Ids {
    pub(super) fn get(&self, id: RegistryId) -> Option<Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    pub(super) fn set(&self, id: RegistryId, known: Known) {
        let mut ids = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if ids.len() >= MAX_IDS {
            // What is forgotten is asked for again.
            ids.retain(|_, known| matches!(known, Known::Schema(readings) if readings.problem.is_none()));
            if ids.len() >= MAX_IDS {
                ids.clear();
            }
        }
        ids.insert(id, known);
    }

    pub(super) fn forget_absent(&self) {
        let mut ids = self.0.write().unwrap_or_else(PoisonError::into_inner);
        ids.retain(|_, known| !matches!(known, Known::Absent));
    }
}

/// The registry's id that a record names; none if it names none.
pub fn registry_id(value: &[u8], header: Option<&[u8]>) -> Option<RegistryId> {
    if let Some([0x01, guid @ ..]) = header
        && let Ok(guid) = <[u8; 16]>::try_from(guid)
    {
        return Some(RegistryId::Guid(guid));
    }
    match value {
        [0x00, a, b, c, d, ..] => Some(RegistryId::Number(u32::from_be_bytes([*a, *b, *c, *d]))),
        _ => None,
    }
}
