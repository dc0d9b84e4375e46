//! The check at start.

use sqlx::{PgPool, Row as _};

use super::findings::{CHECKS, Finding};

/// Everything in the database that is not as the promises need it; empty: all is well. Runs with the rights of
/// `upwrite_service`.
pub async fn check(pool: &PgPool) -> Result<Vec<Finding>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let mut findings = Vec::new();
    for check in CHECKS {
        for row in sqlx::query(check.sql).fetch_all(&mut *connection).await? {
            findings.push(Finding { severity: check.severity, message: row.try_get(0)?, remedy: check.remedy });
        }
    }
    Ok(findings)
}
