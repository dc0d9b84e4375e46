//! A read of one row by key, through the proxy and directly, in turn.

use std::time::{Duration, Instant};

use upwrite_e2e::World;

pub(crate) struct Relay {
    client: tokio_postgres::Client,
    select: tokio_postgres::Statement,
    id: String,
}

impl Relay {
    pub(crate) async fn start(world: &World, url: &str) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        let select = client.prepare("select id, last_name, email from salesforce.contact where id = $1").await?;
        let id: String = world.value("select min(id) from salesforce.contact").await.unwrap_or_default();
        Ok(Self { client, select, id })
    }

    pub(crate) async fn once(&self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.client.query_one(&self.select, &[&self.id]).await?;
        Ok(begun.elapsed())
    }
}
