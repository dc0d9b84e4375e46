use std::path::PathBuf;

use upwrite_settings::Section;

/// The path of a file that can be read.
pub(super) fn file(section: &Section<'_, '_>, name: &str) -> Option<PathBuf> {
    let path = section.string(name).map(PathBuf::from)?;
    if let Err(error) = std::fs::metadata(&path) {
        section.wrong(name, format!("{} cannot be read: {error}", path.display()));
    }
    Some(path)
}
