//! `[log]`: where the log is and how to connect. Outside the configuration version.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::section::Section;
use crate::tls::Tls;
use crate::value::{Secret, choice, read_secret};

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `sqlite:PATH` or `kafka:HOST:PORT[,HOST:PORT…]`. A relative path is relative to where the command runs.
    pub url: String,
    /// How long to wait for another process that is writing to the embedded file.
    pub busy_timeout: Duration,
    /// What only Kafka needs.
    pub kafka: Kafka,
}

choice! {
    /// How the connection to a broker is protected.
    Security {
        /// Not at all.
        #[default]
        Plaintext = "plaintext",
        /// By TLS.
        Ssl = "ssl",
        /// By a login alone.
        SaslPlaintext = "sasl_plaintext",
        /// By a login inside TLS.
        SaslSsl = "sasl_ssl",
    }
}

choice! {
    /// How to log in.
    Mechanism {
        /// User and password as they are.
        #[default]
        Plain = "PLAIN",
        /// Salted challenge and response with SHA-256.
        ScramSha256 = "SCRAM-SHA-256",
        /// Salted challenge and response with SHA-512.
        ScramSha512 = "SCRAM-SHA-512",
        /// A token from an identity provider (OIDC).
        OauthBearer = "OAUTHBEARER",
    }
}

/// A connection to Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    /// Copies of every topic that we create.
    pub replication: u32,
    /// How the connection is protected.
    pub security: Security,
    /// The login, if the connection has one.
    pub sasl: Option<Sasl>,
    /// Certificates, if the connection has TLS.
    pub tls: Option<Tls>,
    /// Any other of librdkafka's settings, by its name there.
    pub properties: BTreeMap<String, String>,
}

/// A login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// How.
    pub mechanism: Mechanism,
    /// User, or the client's id with OAUTHBEARER.
    pub username: Option<String>,
    /// Password, or the client's secret with OAUTHBEARER.
    pub password: Option<Secret>,
    /// Where OAUTHBEARER gets its tokens.
    pub token_url: Option<String>,
    /// What OAUTHBEARER asks for.
    pub scope: Option<String>,
}

/// What is not left to `properties`, and the reason or the setting that has it.
const OWNED: [(&str, &str); 11] = [
    ("bootstrap.servers", "log.url"),
    ("security.protocol", "log.kafka.security"),
    ("sasl.", "log.kafka.sasl"),
    ("ssl.", "log.kafka.tls"),
    ("group.", "no such property: workers name their groups"),
    ("transactional.id", "no such property: workers name their transactions"),
    ("isolation.level", "no such property: uncommitted records are never read"),
    ("enable.auto.", "no such property: positions are committed with the outputs"),
    ("enable.idempotence", "no such property: writers are always idempotent"),
    ("partition.assignment.strategy", "no such property: co-partitioning needs `range`"),
    ("acks", "no such property: writers always wait for all replicas"),
];

impl Log {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self {
            url: section.get_if(
                "url",
                |url: &String| is_address(url),
                "sqlite:PATH or kafka:HOST:PORT[,HOST:PORT…]",
            ),
            busy_timeout: section.get("busy_timeout"),
            kafka: section.group("kafka", Kafka::read),
        }
    }
}

fn is_address(url: &str) -> bool {
    match url.split_once(':') {
        Some(("sqlite", path)) => !path.is_empty(),
        Some(("kafka", brokers)) => brokers.split(',').all(|broker| {
            broker
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        }),
        _ => false,
    }
}

impl Kafka {
    fn read(section: &mut Section<'_>) -> Self {
        let security = section.get("security");
        let sasl = section.optional_group("sasl", Sasl::read);
        let tls = section.optional_group("tls", Tls::read);
        let wants_sasl = matches!(security, Security::SaslPlaintext | Security::SaslSsl);
        let wants_tls = matches!(security, Security::Ssl | Security::SaslSsl);
        if wants_sasl && sasl.is_none() {
            let problem = format!("it is {security}, and there is no login");
            section.fail("security", &problem, "the login under [log.kafka.sasl]");
        }
        if sasl.is_some() && !wants_sasl {
            let problem = format!("there is a login, and log.kafka.security is {security}");
            section.fail("sasl", &problem, "log.kafka.security = \"sasl_ssl\" (or \"sasl_plaintext\")");
        }
        if tls.is_some() && !wants_tls {
            let problem = format!("there are certificates, and log.kafka.security is {security}");
            section.fail("tls", &problem, "log.kafka.security = \"ssl\" (or \"sasl_ssl\")");
        }
        Self {
            replication: section.get_if(
                "replication",
                |n| (1..=100).contains(n),
                "a whole number from 1 to 100",
            ),
            security,
            sasl,
            tls,
            properties: properties(section),
        }
    }
}

fn properties(section: &mut Section<'_>) -> BTreeMap<String, String> {
    let given = section.texts("properties");
    for (name, (_, origin)) in &given {
        if let Some((_, instead)) = OWNED.iter().find(|(owned, _)| name.starts_with(owned)) {
            let path = format!("{}.\"{name}\"", section.path_of("properties"));
            section.push(path, origin, "this property is not set here".into(), (*instead).into());
        }
    }
    given.into_iter().map(|(name, (text, _))| (name, text)).collect()
}

impl Sasl {
    fn read(section: &mut Section<'_>) -> Self {
        let sasl = Self {
            mechanism: section.get("mechanism"),
            username: section.optional("username"),
            password: read_secret(section, "password", "password_file"),
            token_url: section.optional_if(
                "token_url",
                |url: &String| url.starts_with("https://") || url.starts_with("http://"),
                "an http or https address",
            ),
            scope: section.optional("scope"),
        };
        for (key, missing) in [("username", sasl.username.is_none()), ("password", sasl.password.is_none())] {
            if missing {
                let expected = "it, because there is a login (password also as password_file = \"PATH\")";
                section.fail(key, "it is missing", expected);
            }
        }
        if sasl.mechanism == Mechanism::OauthBearer && sasl.token_url.is_none() {
            section.fail("token_url", "it is missing", "where to get tokens, because of OAUTHBEARER");
        }
        sasl
    }
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn a_log_is_a_file_or_brokers() {
        for good in ["sqlite:tapewatch.db", "kafka:a:9092,b:9093"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "sqlite:", "kafka:a", "kafka:a:9092,b", "http://x"] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
