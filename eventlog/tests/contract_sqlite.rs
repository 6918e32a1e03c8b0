//! The contract over the embedded log, in a file and in memory.

mod contract;

use std::sync::Arc;
use std::time::Duration;

use contract::Backend;
use tapewatch_eventlog::{Log, OpenOptions, open};

/// A file of its own for each test.
struct File {
    folder: tempfile::TempDir,
}

impl File {
    fn fresh() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }
}

impl Backend for File {
    fn open(&self) -> Arc<dyn Log> {
        let path = self.folder.path().join("log.db");
        open(&format!("sqlite:{}", path.display()), &OpenOptions::default()).expect("the log opens")
    }

    fn session(&self) -> Duration {
        Duration::from_millis(600)
    }

    fn compacts_at_once(&self) -> bool {
        true
    }
}

contract::suite!(Some(File::fresh()));

/// In memory: every connection is the same one, since no other process can have one.
mod memory {
    use super::*;

    struct Memory(Arc<dyn Log>);

    impl Memory {
        fn fresh() -> Self {
            Self(open("sqlite::memory:", &OpenOptions::default()).expect("the log opens"))
        }
    }

    impl Backend for Memory {
        fn open(&self) -> Arc<dyn Log> {
            Arc::clone(&self.0)
        }

        fn session(&self) -> Duration {
            Duration::from_millis(600)
        }

        fn compacts_at_once(&self) -> bool {
            true
        }
    }

    contract::suite!(Some(Memory::fresh()));
}
