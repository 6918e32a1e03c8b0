//! `[log.kafka.tls]`: certificates.

use std::path::PathBuf;

use crate::section::Section;
use crate::value::{Secret, read_secret};

/// Whom to trust and who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of the authorities to trust; the system's if none.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, for brokers that ask for one.
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// The key's password.
    pub key_password: Option<Secret>,
    /// Whether the broker's certificate must be of its host name.
    pub verify_host: bool,
}

impl Tls {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let tls = Self {
            ca_file: file(section, "ca_file"),
            certificate_file: file(section, "certificate_file"),
            key_file: file(section, "key_file"),
            key_password: read_secret(section, "key_password", "key_password_file"),
            verify_host: section.optional("verify_host").unwrap_or(true),
        };
        if tls.certificate_file.is_some() != tls.key_file.is_some() {
            let problem = "a certificate and its key go together, and one of them is missing";
            section.fail("certificate_file", problem, "both certificate_file and key_file, or neither");
        }
        tls
    }
}

fn file(section: &mut Section<'_>, key: &'static str) -> Option<PathBuf> {
    let written = section.optional::<String>(key)?;
    let path = section.resolve(&written);
    if !path.is_file() {
        section.fail(key, &format!("there is no file {}", path.display()), "a file that is there");
    }
    Some(path)
}
