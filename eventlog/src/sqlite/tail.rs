//! The newest records of all partitions in memory, bounded in bytes, the oldest commit going first.

use std::collections::VecDeque;
use std::sync::Arc;

use super::stream::Stream;
use crate::Batch;

/// Owned by the writer thread; what it holds is in the streams.
pub(super) struct Tail {
    bound: usize,
    bytes: usize,
    /// One entry a push: whose oldest batch goes next.
    order: VecDeque<Arc<Stream>>,
}

/// What a batch costs beside its bytes.
const OVERHEAD: usize = 512;

impl Tail {
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, bytes: 0, order: VecDeque::new() }
    }

    pub(super) fn push(&mut self, stream: &Arc<Stream>, batch: Arc<Batch>) {
        self.bytes += batch.bytes();
        self.bytes -= stream.push(batch);
        self.order.push_back(Arc::clone(stream));
        while self.bytes + self.order.len() * OVERHEAD > self.bound {
            let Some(oldest) = self.order.pop_front() else { return };
            self.bytes -= oldest.evict();
        }
    }
}
