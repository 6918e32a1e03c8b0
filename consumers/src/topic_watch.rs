//! Looks from time to time whether the partition counts are still what the worker started with.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use tapewatch_eventlog::Log;

use crate::topics::{Counts, TopicsError, unchanged};

/// A watch on its own thread, because asking a log may take its time. Dropping it ends it.
#[derive(Debug)]
pub struct TopicWatch {
    found: Arc<OnceLock<TopicsError>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TopicWatch {
    /// Compares the counts with `before` every so often.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn start(log: Arc<dyn Log>, before: Counts, every: Duration) -> io::Result<Self> {
        let found = Arc::new(OnceLock::new());
        let (stop, stopped) = channel();
        let result = Arc::clone(&found);
        let body = move || watch(&*log, &before, every, &stopped, &result);
        let thread = std::thread::Builder::new().name("topics".into()).spawn(body)?;
        Ok(Self { found, stop: Some(stop), thread: Some(thread) })
    }

    /// What has changed, if something has.
    pub fn problem(&self) -> Option<TopicsError> {
        self.found.get().cloned()
    }
}

fn watch(
    log: &dyn Log,
    before: &Counts,
    every: Duration,
    stopped: &Receiver<()>,
    result: &OnceLock<TopicsError>,
) {
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        match unchanged(before, log) {
            Ok(()) => {}
            // A log that does not answer is the loop's to notice.
            Err(TopicsError::Log(error)) => tracing::debug!(%error, "partition counts were not looked at"),
            Err(changed) => {
                // It is set once: the watch ends here.
                let _ = result.set(changed);
                return;
            }
        }
    }
}

impl Drop for TopicWatch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported where it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tapewatch_eventlog::{OpenOptions, TopicSpec, open};

    use super::*;

    #[test]
    fn a_changed_count_is_found() {
        let log = open("sqlite::memory:", &OpenOptions::default()).unwrap();
        let name = "exec.reports.v1";
        let spec =
            TopicSpec { name: name.into(), partitions: 3, replication: 1, retention: None, compacted: false };
        log.create(&[spec]).unwrap();
        let before = Counts::from([(name.into(), 2)]);
        let watch = TopicWatch::start(log, before, Duration::from_millis(1)).unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while watch.problem().is_none() && Instant::now() < until {
            std::thread::yield_now();
        }
        let text = watch.problem().expect("found").to_string();
        assert!(text.contains("from 2 to 3"), "{text}");
    }
}
