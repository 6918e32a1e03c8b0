//! The schema registry of the settings: connected, our schemas enrolled, and asked for those of others.

use std::fs;
use std::sync::Arc;

use tapewatch_config::{Edge, Settings, Subjects as Named};
use tapewatch_eventlog::edge::EdgeParameters;
use tapewatch_eventlog::registry::{Registry, RegistryError, RegistryOptions, Subjects, enrol};
use tapewatch_eventlog::{Batch, LogError};
use tapewatch_schemas::Codec;
use tapewatch_schemas::codec::{GUID_HEADER, registry_id};

/// A connection to the registry of the settings; none if they name none. Nothing is asked yet.
///
/// # Errors
/// A file of certificates that cannot be read, or a program without TLS.
pub fn connect(settings: &Settings) -> Result<Option<Arc<Registry>>, LogError> {
    let settings = &settings.registry;
    let Some(url) = &settings.url else { return Ok(None) };
    let failed = |why: String| LogError::Registry { why };
    let trust = settings.ca_file.as_ref().map(|path| {
        fs::read(path).map_err(|error| failed(format!("registry.ca_file {}: {error}", path.display())))
    });
    let login = settings.username.clone().zip(settings.password.as_ref().map(|it| it.expose().to_owned()));
    let options = RegistryOptions {
        url: url.clone(),
        login,
        trust: trust.transpose()?,
        timeout: settings.timeout,
        breaker: edge(&settings.breaker),
    };
    Ok(Some(Arc::new(Registry::new(&options).map_err(|error| failed(error.to_string()))?)))
}

/// Lets `codec` write events of `topics` with the ids that the registry has for our schemas.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn frame(
    settings: &Settings,
    registry: &Registry,
    codec: &mut Codec,
    topics: &[&str],
) -> Result<(), LogError> {
    let enrolled = enrol(registry, codec, topics, subjects(settings), settings.registry.register);
    let enrolled = enrolled.map_err(|errors| LogError::Registry {
        why: errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    })?;
    for schema in enrolled {
        tracing::info!(topic = schema.topic, subject = %schema.subject, id = schema.id, "schema enrolled");
        codec.frame(schema.topic, schema.id);
    }
    Ok(())
}

/// How subjects are named.
pub fn subjects(settings: &Settings) -> Subjects {
    match settings.registry.subjects {
        Named::Topic => Subjects::Topic,
        Named::Record => Subjects::Record,
        Named::TopicRecord => Subjects::TopicRecord,
    }
}

/// Asks the registry for the schemas that a batch's records name and the codec does not know.
///
/// # Errors
/// The first that could not be found out; what was is kept.
pub fn resolve(registry: &Registry, codec: &Codec, batch: &Batch) -> Result<(), RegistryError> {
    for record in batch.iter() {
        let id = registry_id(record.value.unwrap_or_default(), record.headers.get(GUID_HEADER));
        if let Some(id) = id.filter(|id| !codec.knows(*id)) {
            let text = registry.schema(id)?;
            tracing::info!(topic = %record.topic, partition = record.partition, offset = record.offset,
                schema = %id, found = text.is_some(), "schema asked for");
            codec.learn_id(id, text.as_deref());
        }
    }
    Ok(())
}

/// The settings of a breaker on an outgoing edge, as it takes them.
pub fn edge(edge: &Edge) -> EdgeParameters {
    EdgeParameters {
        window: edge.window,
        minimum_calls: edge.minimum_calls,
        failure_rate: edge.failure_rate,
        slow_call: edge.slow_call,
        slow_rate: edge.slow_rate,
        wait: edge.wait,
        permitted: edge.permitted,
    }
}
