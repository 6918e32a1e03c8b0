//! TLS to a registry, where the program was built with it.

use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

use super::RegistryError;

type Builder = ConfigBuilder<AgentScope>;

/// Sets whom to trust: the authorities of `pem`, or the system's.
#[cfg(feature = "tls")]
pub(super) fn secure(config: Builder, url: &str, pem: Option<&[u8]>) -> Result<Builder, RegistryError> {
    use ureq::tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

    let mut trusted = RootCerts::PlatformVerifier;
    if let Some(pem) = pem {
        let items: Result<Vec<_>, _> = parse_pem(pem).collect();
        let items = items.map_err(|error| RegistryError::Refused {
            url: url.to_owned(),
            doing: "reading the certificates to trust".to_owned(),
            why: error.to_string(),
        })?;
        let certificates: Vec<_> = items
            .into_iter()
            .filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            })
            .collect();
        trusted = RootCerts::new_with_certs(&certificates);
    }
    Ok(config.tls_config(TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(trusted).build()))
}

/// There is none.
#[cfg(not(feature = "tls"))]
pub(super) fn secure(_config: Builder, url: &str, _pem: Option<&[u8]>) -> Result<Builder, RegistryError> {
    Err(RegistryError::NoTls { url: url.to_owned() })
}
