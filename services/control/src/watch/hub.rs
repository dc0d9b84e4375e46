//! Hears verdicts for all watches, on one connection.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{OVERFLOW, VERDICT_CHANNEL};
use uuid::Uuid;

/// News that a watch may lag behind.
pub(super) const WAITING: usize = 4_096;
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// A mutation got its verdict or was released.
    Changed(Uuid),
    /// Some may have gone by unheard.
    Lost,
}

#[derive(Debug, Clone)]
pub(crate) struct Hub(broadcast::Sender<News>);

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

    pub(super) fn subscribe(&self) -> broadcast::Receiver<News> {
        self.0.subscribe()
    }

    async fn listen(&self, own: &PgPool) {
        loop {
            if let Err(error) = self.hear(own).await {
                tracing::debug!(%error, "verdicts cannot be listened for; watches look every second");
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn hear(&self, own: &PgPool) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(own).await?;
        listener.listen(VERDICT_CHANNEL).await?;
        loop {
            // What was said before is not heard, now and after each loss of the connection (`None`).
            self.tell(News::Lost);
            while let Some(notification) = listener.try_recv().await? {
                notification.payload().split_ascii_whitespace().filter_map(news).for_each(|one| self.tell(one));
            }
        }
    }

    fn tell(&self, news: News) {
        // Nobody may be watching.
        let _ = self.0.send(news);
    }
}

fn news(item: &str) -> Option<News> {
    if item == OVERFLOW { Some(News::Lost) } else { item.parse().ok().map(News::Changed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items() {
        let id = Uuid::from_u128(3);
        assert_eq!(news(&id.to_string()), Some(News::Changed(id)));
        assert_eq!(news("*"), Some(News::Lost));
        assert_eq!(news("something else"), None);
    }
}
