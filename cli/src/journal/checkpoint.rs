//! A signed statement of where a worker's journals stood.

use ed25519_dalek::{Signature, Signer as _, SigningKey};
use serde::{Deserialize, Serialize};
use tapewatch_schemas::{Time, WorkerName};

use super::key::Public;
use super::line::{hex, unhex};

/// What is signed begins with this, so that no signature of another kind can pass for one.
pub(crate) const PREFIX: &str = "tapewatch journal checkpoint 1\n";

/// A signed checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    /// What is signed.
    #[serde(rename = "checkpoint")]
    pub(crate) statement: Statement,
    /// The public key, hex.
    pub(crate) key: String,
    /// Hex.
    pub(crate) signature: String,
}

/// Where the journals of a worker stood.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statement {
    /// The worker.
    pub(crate) worker: WorkerName,
    /// When it was signed.
    pub(crate) time: Time,
    /// The last record of every partition that has one, by partition.
    pub(crate) heads: Vec<Head>,
}

/// The last record of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// The partition.
    pub(crate) partition: i32,
    /// The record's sequence number.
    pub(crate) sequence: i64,
    /// The record's hash, hex.
    pub(crate) hash: String,
}

impl Statement {
    fn bytes(&self) -> Vec<u8> {
        let statement = serde_json::to_vec(self).expect("a statement is plain data");
        [PREFIX.as_bytes(), &statement].concat()
    }

    /// Signs it.
    pub(crate) fn sign(self, key: &SigningKey) -> Checkpoint {
        let signature = hex(&key.sign(&self.bytes()).to_bytes());
        let public = Public(key.verifying_key());
        Checkpoint { statement: self, key: public.to_string(), signature }
    }
}

impl Checkpoint {
    /// The key that signed it, if it did.
    pub(crate) fn signer(&self) -> Option<Public> {
        let public = Public::parse(&self.key)?;
        let signature = Signature::from_slice(&unhex(&self.signature)?).ok()?;
        public.0.verify_strict(&self.statement.bytes(), &signature).ok()?;
        Some(public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_stands_only_as_it_was_signed() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let heads = vec![Head { partition: 0, sequence: 4, hash: "00".into() }];
        let signed = Statement { worker: "risk".into(), time: Time(5), heads }.sign(&key);
        assert_eq!(signed.signer(), Some(Public(key.verifying_key())));
        let again: Checkpoint = serde_json::from_str(&serde_json::to_string(&signed).unwrap()).unwrap();
        assert!(again.signer().is_some());

        let mut later = signed.clone();
        later.statement.heads[0].sequence = 3;
        assert_eq!(later.signer(), None);
        let other = Public(SigningKey::from_bytes(&[8; 32]).verifying_key());
        assert_eq!(Checkpoint { key: other.to_string(), ..signed }.signer(), None);
    }
}
