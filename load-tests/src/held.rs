//! Held single-row inserts through the proxy, upstream's own time subtracted.

use std::time::{Duration, Instant, SystemTime};

use upwrite_e2e::World;
use upwrite_events::unix_us;

pub(crate) struct Held {
    client: tokio_postgres::Client,
    insert: tokio_postgres::Statement,
    count: u64,
    /// Upstream requests that were looked at.
    seen: u64,
}

/// One write.
pub(crate) struct Write {
    /// Without upstream's time.
    pub(crate) own: Duration,
    pub(crate) upstream: Duration,
    /// Unix microseconds, when the statement was sent and when it was answered.
    pub(crate) begun_us: i64,
    pub(crate) ended_us: i64,
}

impl Held {
    pub(crate) async fn start(world: &World) -> anyhow::Result<Self> {
        let client = world.client().await;
        let sql = "insert into salesforce.contact (first_name, last_name, email) values ($1, $2, $3)";
        let insert = client.prepare(sql).await?;
        Ok(Self { client, insert, count: 0, seen: 0 })
    }

    pub(crate) async fn once(&mut self, world: &World) -> anyhow::Result<Write> {
        self.count += 1;
        let email = format!("bench{}@example.com", self.count);
        let (begun_us, begun) = (unix_us(SystemTime::now()), Instant::now());
        self.client.execute(&self.insert, &[&"Bench", &"Mark", &email]).await?;
        let (took, ended_us) = (begun.elapsed(), unix_us(SystemTime::now()));
        let timing = world.sandbox.timing(self.seen).await?;
        self.seen = timing.each.last().map_or(self.seen, |call| call.request);
        let upstream = Duration::from_micros(timing.total_us);
        Ok(Write { own: took.saturating_sub(upstream), upstream, begun_us, ended_us })
    }
}
