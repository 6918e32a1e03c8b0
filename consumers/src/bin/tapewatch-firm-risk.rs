//! The firm's risk worker.

use std::process::ExitCode;

use tapewatch_consumers::program;
use tapewatch_schemas::catalogue;

fn main() -> ExitCode {
    program::main(catalogue::FIRM_RISK)
}
