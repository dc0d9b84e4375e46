//! Where the sources are.

use std::path::Path;

/// The root folder of the checkout in which this crate was built: `deploy/` and `target/tools/` are in it.
pub fn checkout() -> &'static Path {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.ancestors().nth(2).unwrap_or(folder)
}
