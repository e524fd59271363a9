//! The program; all of it is in the library, of which `bench/compare` uses parts.

use std::process::ExitCode;

fn main() -> ExitCode {
    kijimuna_loadtest::main()
}
