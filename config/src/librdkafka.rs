//! The connection's settings under librdkafka's names.

use std::collections::BTreeMap;
use std::path::Path;

use crate::log::{Kafka, Mechanism, Sasl};
use crate::tls::Tls;
use crate::value::Secret;

impl Kafka {
    /// Everything that librdkafka must be told to connect, secrets in clear text: not to be printed.
    pub fn librdkafka(&self) -> BTreeMap<String, String> {
        let mut all = self.properties.clone();
        let mut set = |name: &str, text: &str| {
            all.insert(name.to_owned(), text.to_owned());
        };
        set("security.protocol", self.security.as_str());
        if let Some(sasl) = &self.sasl {
            set_login(sasl, &mut set);
        }
        if let Some(tls) = &self.tls {
            set_tls(tls, &mut set);
        }
        all
    }
}

fn set_login(sasl: &Sasl, set: &mut impl FnMut(&str, &str)) {
    set("sasl.mechanism", sasl.mechanism.as_str());
    let (user, password) = if sasl.mechanism == Mechanism::OauthBearer {
        set("sasl.oauthbearer.method", "oidc");
        ("sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret")
    } else {
        ("sasl.username", "sasl.password")
    };
    let given = [
        (user, sasl.username.as_deref()),
        (password, sasl.password.as_ref().map(Secret::expose)),
        ("sasl.oauthbearer.token.endpoint.url", sasl.token_url.as_deref()),
        ("sasl.oauthbearer.scope", sasl.scope.as_deref()),
    ];
    for (name, text) in given {
        if let Some(text) = text {
            set(name, text);
        }
    }
}

fn set_tls(tls: &Tls, set: &mut impl FnMut(&str, &str)) {
    let files = [
        ("ssl.ca.location", tls.ca_file.as_deref()),
        ("ssl.certificate.location", tls.certificate_file.as_deref()),
        ("ssl.key.location", tls.key_file.as_deref()),
    ];
    for (name, path) in files {
        if let Some(path) = path.map(Path::to_string_lossy) {
            set(name, &path);
        }
    }
    if let Some(password) = &tls.key_password {
        set("ssl.key.password", password.expose());
    }
    set("ssl.endpoint.identification.algorithm", if tls.verify_host { "https" } else { "none" });
}
