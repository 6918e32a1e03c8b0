//! The key that signs checkpoints: made once, kept in a file that nobody else may read.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use ed25519_dalek::{SigningKey, VerifyingKey};

use super::line::{hex, unhex};
use crate::CliError;

/// How a key's file begins.
const HEAD: &str = "tapewatch journal key 1";

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Public(pub(crate) VerifyingKey);

impl fmt::Display for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(self.0.as_bytes()))
    }
}

impl fmt::Debug for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Public {
    /// From its 64 hex digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = unhex(text.trim())?.try_into().ok()?;
        VerifyingKey::from_bytes(&bytes).ok().map(Self)
    }

    /// From 64 hex digits, or a file that holds them, or a key's file.
    pub(crate) fn named(text: &str) -> Result<Self, CliError> {
        if let Some(public) = Self::parse(text) {
            return Ok(public);
        }
        let wrong = |why: String| {
            let expected =
                "expected the 64 hex digits that `tapewatch journal key` printed, or a file with them";
            CliError::Input(format!("--key {text}: {why}; {expected}"))
        };
        let words = fs::read_to_string(text).map_err(|error| wrong(error.to_string()))?;
        let of_key = words.lines().find_map(|line| line.strip_prefix("public "));
        Self::parse(of_key.unwrap_or(&words)).ok_or_else(|| wrong("there is no public key in it".to_owned()))
    }
}

/// Makes a key from the system's randomness, in a file that must not be there yet.
pub(crate) fn make(path: &Path) -> Result<Public, CliError> {
    let mut secret = [0; 32];
    File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut secret))?;
    let key = SigningKey::from_bytes(&secret);
    let public = Public(key.verifying_key());
    let text = format!("{HEAD}\nsecret {}\npublic {public}\n", hex(&secret));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all())).map_err(
        |error| {
            let path = path.display();
            CliError::Input(format!("{path}: the key cannot be written: {error}. A key is never overwritten"))
        },
    )?;
    Ok(public)
}

/// Reads a key's file.
pub(crate) fn read(path: &Path) -> Result<SigningKey, CliError> {
    let named = path.display();
    let wrong = |why: &str| CliError::Input(format!("{named}: {why}"));
    let file = fs::metadata(path).and_then(|found| Ok((found, fs::read_to_string(path)?)));
    let (found, text) =
        file.map_err(|error| wrong(&format!("{error}; expected a key of `tapewatch journal key FILE`")))?;
    if found.permissions().mode() & 0o077 != 0 {
        return Err(wrong(&format!("others may read this secret; expected mode 600: `chmod 600 {named}`")));
    }
    let secret = text.strip_prefix(HEAD).and_then(|rest| {
        let secret = rest.lines().find_map(|line| line.strip_prefix("secret "))?;
        <[u8; 32]>::try_from(unhex(secret)?).ok()
    });
    let key = secret.map(|secret| SigningKey::from_bytes(&secret));
    let key = key.ok_or_else(|| wrong("it is no key of `tapewatch journal key FILE`"))?;
    let public = text.lines().find_map(|line| line.strip_prefix("public ")).and_then(Public::parse);
    if public != Some(Public(key.verifying_key())) {
        return Err(wrong("its public key is not that of its secret: it was changed"));
    }
    Ok(key)
}
