//! How many single-row inserts are answered in a second, with many sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use upwrite_e2e::Site;

use crate::stats::Sample;

const SESSIONS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(10);

/// Sessions are spread over the proxies.
pub(crate) async fn measure(site: &Site, urls: &[String]) -> anyhow::Result<()> {
    let count = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut sessions = JoinSet::new();
    for number in 0..SESSIONS {
        let client = upwrite_e2e::connect(&urls[number % urls.len()]).await?;
        let count = Arc::clone(&count);
        sessions.spawn(async move {
            let sql = "insert into salesforce.contact (last_name, email) values ('Load', $1)";
            let insert = client.prepare(sql).await?;
            let mut sample = Sample::default();
            let mut own = 0;
            while begun.elapsed() < WARM_UP + MEASURED {
                own += 1;
                let statement = Instant::now();
                client.execute(&insert, &[&format!("load-{number}-{own}@example.com")]).await?;
                if begun.elapsed() >= WARM_UP && begun.elapsed() < WARM_UP + MEASURED {
                    count.fetch_add(1, Ordering::Relaxed);
                    sample.add(statement.elapsed());
                }
            }
            Ok::<Sample, tokio_postgres::Error>(sample)
        });
    }
    let mut all = Sample::default();
    while let Some(session) = sessions.join_next().await {
        all.extend(session??);
    }
    let per_second = count.load(Ordering::Relaxed) as f64 / MEASURED.as_secs_f64();
    let partitions = site.options.partitions;
    println!("\n{SESSIONS} sessions, {partitions} partitions, single-row INSERT, for {MEASURED:?}");
    println!("{per_second:>10.0} mutations/s");
    println!("{}", all.line("held write, upstream's time included"));
    Ok(())
}
