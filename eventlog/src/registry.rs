//! A schema registry that speaks Confluent's REST protocol: Confluent's own, Apicurio's, Karapace, Redpanda's.
//!
//! A registry that does not answer, or answers nonsense, is an environment failure: it is said and tried again,
//! and no record becomes a dead letter for it. A breaker leaves it alone while it fails.

mod answer;
mod enrol;
mod tls;

pub use self::enrol::{EnrolError, Enrolled, Subjects, enrol};

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tapewatch_schemas::codec::RegistryId;
use ureq::Agent;
use ureq::http::{Method, Request};

use crate::edge::{EdgeBreaker, EdgeParameters};

/// No answer may be longer: a schema is a few kilobytes.
const MAX_ANSWER: u64 = 4 << 20;
/// What the protocol calls its documents.
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// How to reach a registry.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Its address, such as `http://127.0.0.1:8081`; with the path under which it speaks the protocol.
    pub url: String,
    /// User and password, sent with every request.
    pub login: Option<(String, String)>,
    /// Certificates of the authorities to trust, in PEM; the system's if none.
    pub trust: Option<Vec<u8>>,
    /// How long a request may take.
    pub timeout: Duration,
    /// When it is left alone.
    pub breaker: EdgeParameters,
}

/// Why a registry was of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It does not answer, or says that it cannot now.
    #[error("the schema registry {url} does not answer ({doing}): {why}")]
    Unavailable {
        /// Its address.
        url: String,
        /// What was asked.
        doing: String,
        /// What happened.
        why: String,
    },
    /// It failed so often that it is left alone for a while.
    #[error("the schema registry {url} is left alone for {} ms more, after failures", left.as_millis())]
    LeftAlone {
        /// Its address.
        url: String,
        /// For how long.
        left: Duration,
    },
    /// It answered, and not as a registry does.
    #[error(
        "the schema registry {url} gave an answer that cannot be understood ({doing}): {found}. Is it the address \
         of a registry that speaks Confluent's protocol?"
    )]
    Nonsense {
        /// Its address.
        url: String,
        /// What was asked.
        doing: String,
        /// What it said.
        found: String,
    },
    /// It understood, and refuses.
    #[error("the schema registry {url} refuses ({doing}): {why}")]
    Refused {
        /// Its address.
        url: String,
        /// What was asked.
        doing: String,
        /// Its words.
        why: String,
    },
    /// The address needs a part that this program was built without.
    #[error(
        "the schema registry {url} is reached by TLS, and this program was built without: use one with the feature `tls`"
    )]
    NoTls {
        /// Its address.
        url: String,
    },
}

impl RegistryError {
    /// True if waiting may help.
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::LeftAlone { .. } | Self::Nonsense { .. })
    }
}

/// A connection to a registry. Shared by threads; a request at a time holds none of the others up.
#[derive(Debug)]
pub struct Registry {
    agent: Agent,
    url: String,
    authorization: Option<String>,
    breaker: Mutex<EdgeBreaker>,
    slow_call: Duration,
    since: Instant,
}

impl Registry {
    /// A connection. Nothing is asked yet.
    ///
    /// # Errors
    /// [`RegistryError::NoTls`], or a certificate that is none.
    pub fn new(options: &RegistryOptions) -> Result<Self, RegistryError> {
        let url = options.url.trim_end_matches('/').to_owned();
        let mut config = Agent::config_builder()
            .timeout_global(Some(options.timeout))
            .http_status_as_error(false)
            .max_redirects(3)
            .user_agent(concat!("tapewatch/", env!("CARGO_PKG_VERSION")));
        if url.starts_with("https:") {
            config = tls::secure(config, &url, options.trust.as_deref())?;
        }
        let basic = |(user, password): &(String, String)| {
            format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
        };
        Ok(Self {
            agent: config.build().new_agent(),
            url,
            authorization: options.login.as_ref().map(basic),
            breaker: Mutex::new(EdgeBreaker::new(options.breaker.clone())),
            slow_call: options.breaker.slow_call,
            since: Instant::now(),
        })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// True while it is left alone after failures.
    pub fn is_left_alone(&self) -> bool {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner).is_open()
    }

    /// The text of the Avro schema that has this id; none if the registry has no such id.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn schema(&self, id: RegistryId) -> Result<Option<String>, RegistryError> {
        let path = match id {
            RegistryId::Number(id) => format!("/schemas/ids/{id}"),
            RegistryId::Guid(guid) => format!("/schemas/guids/{}", uuid::Uuid::from_bytes(guid)),
        };
        let doing = format!("asking for {id}");
        let (status, body) = self.ask(Method::GET, &path, None, &doing)?;
        match status {
            200 => self.text_of(&body, &doing).map(Some),
            // 40403 and its neighbours: it has no such thing. A path that is none has other codes, or none.
            404 if answer::is_absent(&body) => Ok(None),
            _ => Err(self.unexpected(status, &body, &doing)),
        }
    }

    /// The id of a schema under a subject; none if it is not registered there.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn id(&self, subject: &str, text: &str) -> Result<Option<u32>, RegistryError> {
        let doing = format!("looking up the schema of subject {subject}");
        let (status, body) = self.ask(
            Method::POST,
            &format!("/subjects/{subject}"),
            Some(&json!({ "schema": text })),
            &doing,
        )?;
        match status {
            200 => self.number(&body, &doing).map(Some),
            404 if answer::is_absent(&body) => Ok(None),
            _ => Err(self.unexpected(status, &body, &doing)),
        }
    }

    /// Registers a schema under a subject. Its id; the same again if it is there already.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] if the subject's rule forbids it.
    pub fn register(&self, subject: &str, text: &str) -> Result<u32, RegistryError> {
        let doing = format!("registering the schema of subject {subject}");
        let path = format!("/subjects/{subject}/versions");
        let (status, body) = self.ask(Method::POST, &path, Some(&json!({ "schema": text })), &doing)?;
        match status {
            200 => self.number(&body, &doing),
            _ => Err(self.unexpected(status, &body, &doing)),
        }
    }

    /// What the subject's rule has against a schema; empty if nothing, or if the subject is not there yet.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn incompatible(&self, subject: &str, text: &str) -> Result<Vec<String>, RegistryError> {
        let doing = format!("checking the schema of subject {subject}");
        let path = format!("/compatibility/subjects/{subject}/versions/latest?verbose=true");
        let (status, body) = self.ask(Method::POST, &path, Some(&json!({ "schema": text })), &doing)?;
        match (status, answer::compatible(&body)) {
            (200, Some(problems)) => Ok(problems),
            (404, _) if answer::is_absent(&body) => Ok(Vec::new()),
            _ => Err(self.unexpected(status, &body, &doing)),
        }
    }

    fn number(&self, body: &str, doing: &str) -> Result<u32, RegistryError> {
        let id = answer::parsed(body).and_then(|answer| answer.get("id")?.as_u64());
        id.and_then(|id| u32::try_from(id).ok()).ok_or_else(|| self.nonsense(200, body, doing))
    }

    fn text_of(&self, body: &str, doing: &str) -> Result<String, RegistryError> {
        let answer = answer::parsed(body).ok_or_else(|| self.nonsense(200, body, doing))?;
        match (answer.get("schema").and_then(Value::as_str), answer.get("schemaType").and_then(Value::as_str))
        {
            (Some(text), None | Some("AVRO")) => Ok(text.to_owned()),
            // It is one, and not one that can be read: the text says so where the record is refused.
            (Some(_), Some(other)) => Ok(format!("a schema of type {other}; expected AVRO")),
            (None, _) => Err(self.nonsense(200, body, doing)),
        }
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        doing: &str,
    ) -> Result<(u16, String), RegistryError> {
        if let Err(left) = self.breaker().permit(self.since.elapsed()) {
            return Err(RegistryError::LeftAlone { url: self.url.clone(), left });
        }
        let begun = Instant::now();
        let answer = self.send(method, path, body);
        let failed = match &answer {
            Ok((status, body)) => *status >= 500 || *status == 429 || answer::parsed(body).is_none(),
            Err(_) => true,
        };
        let took = begun.elapsed();
        if self.breaker().note(self.since.elapsed(), took, failed) {
            let open = self.is_left_alone();
            tracing::warn!(url = %self.url, open, slow = took >= self.slow_call, "the schema registry's breaker changed");
        }
        answer.map_err(|error| RegistryError::Unavailable {
            url: self.url.clone(),
            doing: doing.to_owned(),
            why: error.to_string(),
        })
    }

    fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, String), ureq::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("accept", format!("{MEDIA_TYPE}, application/json"));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let mut answer = match body {
            None => self.agent.run(request.body(())?)?,
            Some(body) => {
                self.agent.run(request.header("content-type", MEDIA_TYPE).body(body.to_string())?)?
            }
        };
        let text = answer.body_mut().with_config().limit(MAX_ANSWER).lossy_utf8(true).read_to_string()?;
        Ok((answer.status().as_u16(), text))
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, EdgeBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unexpected(&self, status: u16, body: &str, doing: &str) -> RegistryError {
        let (url, doing_now) = (self.url.clone(), doing.to_owned());
        match (status, answer::message(body)) {
            (408 | 429 | 500.., said) => {
                let why = said
                    .map_or_else(|| format!("status {status}"), |said| format!("status {status}: {said}"));
                RegistryError::Unavailable { url, doing: doing_now, why }
            }
            (401 | 403, _) => {
                let why = format!("status {status}: check registry.username and registry.password_file");
                RegistryError::Refused { url, doing: doing_now, why }
            }
            (400..=499, Some(why)) => RegistryError::Refused { url, doing: doing_now, why },
            _ => self.nonsense(status, body, doing),
        }
    }

    fn nonsense(&self, status: u16, body: &str, doing: &str) -> RegistryError {
        let start: String = body.chars().take(80).collect();
        RegistryError::Nonsense {
            url: self.url.clone(),
            doing: doing.to_owned(),
            found: format!("status {status}, `{start}`"),
        }
    }
}
