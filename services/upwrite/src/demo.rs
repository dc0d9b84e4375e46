//! `upwrite demo`: a private Postgres, a stand-in for Salesforce, Upwrite itself, and a tour of real statements.
//! Everything lives in a temporary folder and in child processes that end with this one.

mod paint;
mod processes;
mod psql;
mod tour;

use std::io::IsTerminal as _;

use processes::Processes;

use crate::signals::Signals;

/// Takes the tour, with the log in Postgres or on Kafka; on a terminal then waits for Ctrl-C.
pub async fn demo(kafka: bool) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        signal = signals.next() => anyhow::bail!("stopped by {signal}"),
        ended = tour(kafka) => {
            let processes = ended?;
            if std::io::stdout().is_terminal() {
                println!("\nEverything stays up until Ctrl-C. Try your own statements.");
                signals.next().await;
            }
            processes.stop().await
        }
    }
}

async fn tour(kafka: bool) -> anyhow::Result<Processes> {
    let mut processes = Processes::start(kafka).await?;
    println!("{}", processes.instructions());
    tour::take(&mut processes).await?;
    Ok(processes)
}
