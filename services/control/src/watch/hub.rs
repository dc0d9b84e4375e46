//! Hears verdicts for all watches, on one connection.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{OVERFLOW, VERDICT_CHANNEL};
use uuid::Uuid;

/// Notices that a watch may lag behind.
pub(super) const WAITING: usize = 4_096;
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// A mutation got its verdict or was released.
    Changed(Uuid),
    /// Some may have gone by unheard.
    Lost,
}

#[derive(Debug, Clone)]
pub(crate) struct Hub(broadcast::Sender<Notice>);

impl Hub {
    pub(super) fn start(pool: &PgPool, shutdown: CancellationToken) -> Self {
        let hub = Self(broadcast::Sender::new(WAITING));
        // A connection of its own: it is never given back.
        let options = pool.connect_options().as_ref().clone().application_name("upwrite control listener");
        let own =
            PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None).connect_lazy_with(options);
        let listening = hub.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = listening.listen(&own) => {}
                () = shutdown.cancelled() => {}
            }
        });
        hub
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.0.subscribe()
    }

    async fn listen(&self, own: &PgPool) {
        loop {
            if let Err(error) = self.forward(own).await {
                tracing::debug!(%error, "verdicts cannot be listened for; watches look every second");
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn forward(&self, own: &PgPool) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(own).await?;
        listener.listen(VERDICT_CHANNEL).await?;
        loop {
            // What was said before is not heard, now and after each loss of the connection (`None`).
            self.publish(Notice::Lost);
            while let Some(notification) = listener.try_recv().await? {
                notification.payload().split_ascii_whitespace().filter_map(notice).for_each(|one| self.publish(one));
            }
        }
    }

    fn publish(&self, notice: Notice) {
        // There may be no watch.
        let _ = self.0.send(notice);
    }
}

fn notice(item: &str) -> Option<Notice> {
    if item == OVERFLOW { Some(Notice::Lost) } else { item.parse().ok().map(Notice::Changed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items() {
        let id = Uuid::from_u128(3);
        assert_eq!(notice(&id.to_string()), Some(Notice::Changed(id)));
        assert_eq!(notice("*"), Some(Notice::Lost));
        assert_eq!(notice("something else"), None);
    }
}
