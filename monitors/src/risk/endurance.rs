//! Ten million updates of what a portfolio, its windows and its symbols keep.

mod book;
mod drawdown;
mod orders;
mod past;
mod returns;
mod samples;
mod volumes;
