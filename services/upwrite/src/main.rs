//! The executable: Upwrite with the vendors that it is shipped with.

use std::process::ExitCode;

fn main() -> ExitCode {
    upwrite::main(upwrite::VENDORS)
}
