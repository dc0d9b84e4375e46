//! A schema registry that speaks Confluent's API, as tests see it.

use std::ops::Deref;

use anyhow::Result;
use tokio::sync::OnceCell;
use upwrite_private_servers::kafka::{self as private, RegistryOptions};

use crate::must::must;

/// As [`private::Registry`], of which it has all methods; those here panic where that has errors.
pub struct Registry(private::Registry);

impl Deref for Registry {
    type Target = private::Registry;

    fn deref(&self) -> &private::Registry {
        &self.0
    }
}

impl Registry {
    /// A new, empty registry that serves clients.
    pub async fn start() -> Self {
        Self::try_start(RegistryOptions::default()).await.unwrap_or_else(|error| panic!("no registry: {error:#}"))
    }

    /// As [`Registry::start`], with options.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub async fn try_start(options: RegistryOptions) -> Result<Self> {
        Ok(Self(private::Registry::start(options).await?))
    }

    /// The registry that all tests of this process share; subjects are told apart by [`super::unique_prefix`]. Do not
    /// kill this one.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Registry> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// Kills it (SIGKILL), and returns when it is gone.
    pub async fn kill9(&self) {
        must(self.0.kill9().await);
    }

    /// Kills it and starts it again on the same port: empty, unless its settings keep its content elsewhere.
    pub async fn restart(&mut self) {
        must(self.0.restart().await);
    }
}
