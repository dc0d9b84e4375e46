//! The current snapshot, and its renewal.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{Catalog, load};

/// Cheap handle to the current snapshot.
#[derive(Clone)]
pub struct CatalogCache {
    inner: Arc<Inner>,
}

struct Inner {
    pool: PgPool,
    current: RwLock<Arc<Catalog>>,
    /// Held while a snapshot is taken: who comes meanwhile waits for it and takes it.
    loading: Mutex<()>,
}

impl CatalogCache {
    /// Takes the first snapshot. `pool` logs in as `upwrite_service`.
    pub async fn load(pool: PgPool) -> Result<Self, sqlx::Error> {
        let mut first = load::load(&pool).await?;
        first.generation = 1;
        Ok(Self { inner: Arc::new(Inner { pool, current: RwLock::new(Arc::new(first)), loading: Mutex::new(()) }) })
    }

    /// The current snapshot, without waiting.
    pub fn current(&self) -> Arc<Catalog> {
        self.inner.current.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// A snapshot taken after this call began: for an unknown relation, another number of fields, or a relayed statement
    /// that met the veto (UW001).
    pub async fn refresh(&self) -> Result<Arc<Catalog>, sqlx::Error> {
        let _loading = self.inner.loading.lock().await;
        let mut next = load::load(&self.inner.pool).await?;
        let current = self.current();
        next.generation = current.generation;
        if next == *current {
            return Ok(current);
        }
        next.generation = current.generation.saturating_add(1);
        let next = Arc::new(next);
        *self.inner.current.write().unwrap_or_else(std::sync::PoisonError::into_inner) = next.clone();
        Ok(next)
    }

    /// Renews the snapshot until shutdown. A failure keeps the last one.
    pub async fn keep_fresh(self, every: Duration, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "the catalog could not be read; the last snapshot stays in use");
            }
        }
    }
}
