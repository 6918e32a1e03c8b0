//! Which id the schemas of what we write have: looked up or registered once, before the first record.

use tapewatch_schemas::Codec;

use super::{Registry, RegistryError};

/// How a schema's subject is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subjects {
    /// `<topic>-value`.
    #[default]
    Topic,
    /// The record's full name.
    Record,
    /// `<topic>-<the record's full name>`.
    TopicRecord,
}

impl Subjects {
    /// The subject of a topic's values.
    pub fn of(self, topic: &str, record: &str) -> String {
        match self {
            Self::Topic => format!("{topic}-value"),
            Self::Record => record.to_owned(),
            Self::TopicRecord => format!("{topic}-{record}"),
        }
    }
}

/// One schema of ours and what the registry calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The topic.
    pub topic: &'static str,
    /// Its subject.
    pub subject: String,
    /// Its id.
    pub id: u32,
}

/// Why a schema has no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolError {
    /// The registry was of no use.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The subject's rule forbids it.
    #[error("subject {subject}: this release's schema of {topic} is not compatible with the registered one: {}", problems.join("; "))]
    Incompatible {
        /// The topic.
        topic: &'static str,
        /// Its subject.
        subject: String,
        /// The registry's words.
        problems: Vec<String>,
    },
    /// It is not registered, and registering is not allowed.
    #[error(
        "subject {subject}: this release's schema of {topic} is not registered, and registry.register is false. \
         `tapewatch registry register` does it, by someone who may"
    )]
    Missing {
        /// The topic.
        topic: &'static str,
        /// Its subject.
        subject: String,
    },
}

/// Finds the id of each topic's current schema, registering those that are missing if `register` is set.
///
/// # Errors
/// Everything that is wrong with any of them; nothing is registered if one is incompatible.
pub fn enrol(
    registry: &Registry,
    codec: &Codec,
    topics: &[&str],
    subjects: Subjects,
    register: bool,
) -> Result<Vec<Enrolled>, Vec<EnrolError>> {
    let (mut enrolled, mut missing, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (topic, record, text) in codec.schemas().filter(|(topic, ..)| topics.contains(topic)) {
        let subject = subjects.of(topic, &record);
        match registry.id(&subject, text) {
            Ok(Some(id)) => enrolled.push(Enrolled { topic, subject, id }),
            Ok(None) if !register => errors.push(EnrolError::Missing { topic, subject }),
            Ok(None) => match registry.incompatible(&subject, text) {
                Ok(problems) if problems.is_empty() => missing.push((topic, subject, text)),
                Ok(problems) => errors.push(EnrolError::Incompatible { topic, subject, problems }),
                Err(error) => errors.push(error.into()),
            },
            // One that does not answer is not asked for the rest.
            Err(error) => return Err(vec![error.into()]),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    for (topic, subject, text) in missing {
        match registry.register(&subject, text) {
            Ok(id) => enrolled.push(Enrolled { topic, subject, id }),
            Err(error) => errors.push(error.into()),
        }
    }
    if errors.is_empty() { Ok(enrolled) } else { Err(errors) }
}
