//! The measurements of the load harness.

pub mod job_e;
pub mod latency;
pub mod r;
