#![doc = include_str!("../README.md")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test")]

mod fleet;
mod kafka;
mod options;
mod site;
mod topic;
mod upstream;
mod world;

pub use fleet::{Crew, Fleet, Member};
pub use kafka::Kafka;
pub use options::{Log, Options};
pub use site::{LIMIT, Site};
pub use topic::Published;
pub use upstream::Vendor;
pub use world::World;

/// A connection to a URL, served in the background.
pub async fn connect(url: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
