//! The process's TLS provider.

/// Makes `ring` the process's TLS provider. To be called once at the start of the process (calls after the first
/// change nothing); without it, building a connector fails.
pub fn install_crypto_provider() {
    // Err means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
