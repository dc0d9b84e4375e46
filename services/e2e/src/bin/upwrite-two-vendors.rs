//! Upwrite with the vendors that it is shipped with, and the invented one: for tests only.

use std::process::ExitCode;

use upwrite_ledger::connector::LedgerVendor;

fn main() -> ExitCode {
    let mut vendors = upwrite::VENDORS.to_vec();
    vendors.push(&LedgerVendor);
    upwrite::main(vendors.leak())
}
