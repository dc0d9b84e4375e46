//! The control API: where it listens, and where `upwrite ctl` finds it.

use std::net::SocketAddr;
use std::path::PathBuf;

use upwrite_settings::{Secret, Section};

use super::file::file;

#[derive(Debug, Clone)]
pub struct Control {
    pub listen: SocketAddr,
    /// What callers must show. Needed where others than this machine can reach it.
    pub token: Option<Secret>,
    pub tls_certificate: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
}

/// `None`: there is no section `[control]`.
pub(super) fn control(root: &Section<'_, '_>) -> Option<Control> {
    let section = root.section("control");
    if !section.is_present() {
        return None;
    }
    let listen: SocketAddr = section
        .parsed("listen", "an address and port, like 127.0.0.1:6433")
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 6433)));
    let token = section.secret("token");
    let (tls_certificate, tls_key) = (file(&section, "tls_certificate"), file(&section, "tls_key"));
    if tls_certificate.is_some() != tls_key.is_some() {
        section.wrong("tls_certificate", "tls_certificate and tls_key go together");
    }
    if !listen.ip().is_loopback() && token.is_none() && !section.section("token").is_present() {
        section.wrong("token", "is missing: others than this machine can reach that address");
    }
    Some(Control { listen, token, tls_certificate, tls_key })
}
