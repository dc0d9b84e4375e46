//! What other processes append: heard by `NOTIFY`, and looked for should a notification be lost.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio_util::sync::CancellationToken;
use upwrite_events::{Partition, Position, Stream};

use super::reader::Reader;
use super::tails::PartitionTails;
use crate::LOG_CHANNEL;

/// Hears from other processes that they have appended. A lost notification costs one `poll`.
pub(crate) async fn listen(tails: Arc<PartitionTails>, pool: PgPool, reader: Reader, shutdown: CancellationToken) {
    // A connection of its own: it is never given back.
    let options = pool.connect_options().as_ref().clone().application_name("upwrite log listener");
    let own = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None).connect_lazy_with(options);
    while !shutdown.is_cancelled() {
        tokio::select! {
            heard = hear(&tails, &own, &reader) => {
                if let Err(error) = heard {
                    tracing::debug!(%error, "listening for appends of other processes ended; starting again");
                }
            }
            () = shutdown.cancelled() => break,
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = shutdown.cancelled() => break,
        }
    }
}

async fn hear(tails: &PartitionTails, pool: &PgPool, reader: &Reader) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(LOG_CHANNEL).await?;
    // What was said before is not heard, now and after each loss of the connection.
    look(tails, reader).await;
    loop {
        match listener.try_recv().await? {
            Some(notification) => {
                for (partition, end) in notification.payload().split(' ').filter_map(parse) {
                    tails.raise(partition, end);
                }
            }
            None => look(tails, reader).await,
        }
    }
}

/// `<stream>/<partition>:<end>`.
fn parse(item: &str) -> Option<(Partition, Position)> {
    let (stream, rest) = item.split_once('/')?;
    let (number, end) = rest.split_once(':')?;
    let stream = [Stream::Mutations, Stream::Observations].into_iter().find(|known| known.as_str() == stream)?;
    Some((Partition { stream, number: number.parse().ok()? }, Position(end.parse().ok()?)))
}

/// Reads the ends of all partitions every `every`.
pub(crate) async fn poll(tails: Arc<PartitionTails>, reader: Reader, every: Duration, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => look(&tails, &reader).await,
            () = shutdown.cancelled() => return,
        }
    }
}

async fn look(tails: &PartitionTails, reader: &Reader) {
    let known: Vec<_> = tails.all().collect();
    let found = match reader.ends().await {
        Ok(found) => found,
        Err(error) => return tails.away(&error),
    };
    tails.back();
    for (partition, end) in found {
        // An end that was known before it was asked for cannot be further on than the answer.
        if known.iter().any(|(of, before)| *of == partition && *before > end) {
            tails.lower(partition, end);
        } else {
            tails.raise(partition, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads() {
        let partition = Partition { stream: Stream::Observations, number: 3 };
        assert_eq!(parse("observations/3:128"), Some((partition, Position(128))));
        for foreign in ["", "observations/3", "observations/3:x", "other/3:1", "mutations/99999999:1", "*"] {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
    }
}
