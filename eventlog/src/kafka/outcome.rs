//! What librdkafka's errors mean for a transaction.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::{CommitError, LogError};

/// What became of a transaction that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// To be aborted; then nothing of it was written, and the same may be tried again.
    Abort,
    /// To be aborted; then nothing of it was written, and it never can be as it is.
    Refuse,
    /// To be aborted if that is still ours to do; another has taken our place.
    Fenced,
    /// The same producer will not do, a new one may.
    Broken,
    /// No answer in time.
    Silent,
}

impl Outcome {
    /// Of a step of a transaction.
    pub(super) fn of(error: &KafkaError) -> Self {
        let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
        if is_fenced(code) {
            return Self::Fenced;
        }
        match error {
            KafkaError::Transaction(error) if error.is_fatal() => Self::Broken,
            KafkaError::Transaction(error) if error.txn_requires_abort() => Self::of_code(code),
            KafkaError::Transaction(error) if error.is_retriable() => Self::Silent,
            _ => Self::of_code(code),
        }
    }

    /// Of a record's delivery, or of an error that demands an abort.
    pub(super) fn of_code(code: Code) -> Self {
        match code {
            code if is_fenced(code) => Self::Fenced,
            // InvalidTimestamp: the broker's bound on how far ahead of its clock a record may be.
            Code::InvalidTimestamp
            | Code::MessageSizeTooLarge
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::InvalidTopic
            | Code::PolicyViolation
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::ClusterAuthorizationFailed => Self::Refuse,
            _ => Self::Abort,
        }
    }

    /// The same, of a step before the word to commit: without it no answer means not written.
    pub(super) fn definite(self) -> Self {
        if self == Self::Silent { Self::Abort } else { self }
    }

    /// In our words.
    pub(super) fn error(self, why: LogError) -> CommitError {
        match self {
            Self::Abort | Self::Broken => CommitError::Aborted(why),
            Self::Refuse => CommitError::Refused(why),
            Self::Fenced => CommitError::Fenced(why),
            Self::Silent => CommitError::Unknown(why),
        }
    }
}

/// True if another producer has our id, or the broker took it from us because it had to end a transaction.
pub(super) fn is_replaced(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(is_replacing)
}

fn is_replacing(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::InvalidProducerEpoch | Code::ProducerFenced)
}

/// True if our id or our membership is no longer ours.
fn is_fenced(code: Code) -> bool {
    is_replacing(code)
        || matches!(
            code,
            Code::FencedInstanceId
                | Code::IllegalGeneration
                | Code::UnknownMemberId
                | Code::FencedMemberEpoch
                | Code::StaleMemberEpoch
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_owns_is_fenced_and_not_tried_again() {
        for code in [Code::Fenced, Code::InvalidProducerEpoch, Code::ProducerFenced] {
            assert_eq!(Outcome::of(&KafkaError::MessageProduction(code)), Outcome::Fenced);
            assert!(is_replaced(&KafkaError::MessageProduction(code)));
        }
        // The membership can be had again by joining again; the id was never lost.
        for code in [Code::FencedInstanceId, Code::IllegalGeneration, Code::UnknownMemberId] {
            assert_eq!(Outcome::of_code(code), Outcome::Fenced);
            assert!(!is_replaced(&KafkaError::MessageProduction(code)));
        }
    }

    #[test]
    fn what_can_never_be_written_is_refused_and_the_rest_is_tried_again() {
        for code in [Code::MessageSizeTooLarge, Code::InvalidTimestamp, Code::TopicAuthorizationFailed] {
            assert_eq!(Outcome::of_code(code), Outcome::Refuse);
        }
        for code in [Code::MessageTimedOut, Code::NotEnoughReplicas, Code::PurgeInflight] {
            assert_eq!(Outcome::of_code(code), Outcome::Abort);
        }
    }

    #[test]
    fn silence_is_unknown_only_after_the_word_to_commit() {
        let why = || LogError::Unreachable { log: "kafka:a:1".into(), why: "silence".into() };
        assert!(matches!(Outcome::Silent.error(why()), CommitError::Unknown(_)));
        assert!(matches!(Outcome::Silent.definite().error(why()), CommitError::Aborted(_)));
    }
}
