//! The `tapewatch` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    tapewatch::main()
}
