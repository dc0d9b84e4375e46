//! Which database and which log belong together: the binding. Setup records it, every start compares it: a database or
//! log that was restored, promoted from behind, or swapped for another one is noticed, never continued.

use sqlx::{PgConnection, PgPool, Row as _};

/// The log, as far as a deployment is bound to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBinding {
    /// `postgres` or `kafka`.
    pub engine: &'static str,
    /// The Kafka cluster's id; `None` where the log is in the database itself.
    pub cluster: Option<String>,
}

impl Default for LogBinding {
    fn default() -> Self {
        Self { engine: "postgres", cluster: None }
    }
}

/// What a deployment was recorded as, and what is here now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Recorded {
    system_identifier: String,
    timeline: i32,
    engine: String,
    cluster: Option<String>,
    partitions: i32,
    /// Why nothing may start: a recovery that has not ended.
    barrier: Option<String>,
}

/// Of the database: system identifier, and the timeline that it writes on. Fails on a standby, which is right.
const HERE: &str = "/* binding.here */
    select s.system_identifier::text, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
    from pg_control_system() s";

const RECORDED: &str = "/* binding.recorded */
    select system_identifier, timeline, log_engine, log_cluster, partitions::int, recovery_barrier from upwrite.deployment";

pub(super) async fn here(connection: &mut PgConnection) -> sqlx::Result<(String, i32)> {
    let row = sqlx::query(HERE).fetch_one(connection).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Everything that is not as recorded; empty: this database and this log belong together. `None`: never set up.
pub async fn mismatches(pool: &PgPool, log: &LogBinding, partitions: u16) -> sqlx::Result<Option<Vec<String>>> {
    let mut connection = pool.acquire().await?;
    let (system_identifier, timeline) = here(&mut connection).await?;
    let Some(row) = sqlx::query(RECORDED).fetch_optional(&mut *connection).await? else { return Ok(None) };
    let recorded = Recorded {
        system_identifier: row.try_get(0)?,
        timeline: row.try_get(1)?,
        engine: row.try_get(2)?,
        cluster: row.try_get(3)?,
        partitions: row.try_get(4)?,
        barrier: row.try_get(5)?,
    };
    let here = Recorded {
        system_identifier,
        timeline,
        engine: log.engine.to_owned(),
        cluster: log.cluster.clone(),
        partitions: i32::from(partitions),
        barrier: None,
    };
    Ok(Some(differences(&recorded, &here)))
}

fn differences(recorded: &Recorded, here: &Recorded) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(barrier) = &recorded.barrier {
        found.push(format!("{barrier}, and that has not ended: run `upwrite ctl recover` again"));
    }
    if recorded.engine != here.engine {
        found.push(format!("the log of this deployment is on {}, configured is {}", recorded.engine, here.engine));
    }
    if recorded.partitions != here.partitions {
        found.push(format!("the log has {} partitions, configured are {}", recorded.partitions, here.partitions));
    }
    if recorded.system_identifier != here.system_identifier {
        found.push(format!(
            "the database was set up in another PostgreSQL cluster (system identifier {}, here {}): it was copied or \
             restored from a dump",
            recorded.system_identifier, here.system_identifier
        ));
    } else if recorded.timeline != here.timeline {
        found.push(format!(
            "PostgreSQL writes on timeline {}, recorded is {}: it was restored to an older state, or a standby was \
             promoted",
            here.timeline, recorded.timeline
        ));
    }
    if recorded.engine == here.engine && recorded.cluster != here.cluster {
        let name = |cluster: &Option<String>| cluster.clone().unwrap_or_else(|| "none".to_owned());
        found.push(format!(
            "the log was in Kafka cluster {}, these brokers are cluster {}",
            name(&recorded.cluster),
            name(&here.cluster)
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Recorded {
        Recorded {
            system_identifier: "7".to_owned(),
            timeline: 1,
            engine: "kafka".to_owned(),
            cluster: Some("abc".to_owned()),
            partitions: 8,
            barrier: None,
        }
    }

    #[test]
    fn each_difference_is_named() {
        assert!(differences(&recorded(), &recorded()).is_empty());
        let closed = Recorded { barrier: Some("the deployment is being recovered".to_owned()), ..recorded() };
        assert!(differences(&closed, &recorded())[0].contains("recover"));
        for (here, expected) in [
            (Recorded { timeline: 2, ..recorded() }, "timeline 2, recorded is 1"),
            (Recorded { system_identifier: "8".to_owned(), timeline: 2, ..recorded() }, "system identifier 7, here 8"),
            (Recorded { cluster: Some("xyz".to_owned()), ..recorded() }, "Kafka cluster abc, these brokers"),
            (Recorded { engine: "postgres".to_owned(), cluster: None, ..recorded() }, "is on kafka"),
            (Recorded { partitions: 4, ..recorded() }, "has 8 partitions"),
        ] {
            let found = differences(&recorded(), &here);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(expected), "{found:?}");
        }
    }
}
