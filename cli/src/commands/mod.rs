//! The commands, a file each: its arguments and what it does.

pub mod config;
pub mod topics;
