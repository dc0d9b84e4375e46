//! The one connection that an operation has: its temporary tables live there.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::error::{RebuildError, doing};

pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, RebuildError> {
    let options = options.clone().application_name("upwrite rebuild").options([
        // Sorts, hashes and temporary tables of a whole table.
        ("work_mem", "256MB"),
        ("temp_buffers", "64MB"),
        ("lock_timeout", "500ms"),
        ("statement_timeout", "0"),
        ("idle_in_transaction_session_timeout", "60s"),
        ("jit", "off"),
        // As when the reconciler reads images.
        ("datestyle", "ISO, YMD"),
        ("intervalstyle", "postgres"),
        ("timezone", "UTC"),
        ("extra_float_digits", "1"),
        ("client_encoding", "UTF8"),
    ]);
    PgConnection::connect_with(&options).await.map_err(doing("connecting"))
}

/// Runs statements that are made of checked names.
pub(super) async fn run(
    connection: &mut PgConnection,
    what: &'static str,
    sql: impl Into<String>,
) -> Result<u64, RebuildError> {
    let done = connection.execute(AssertSqlSafe(sql.into())).await.map_err(doing(what))?;
    Ok(done.rows_affected())
}

/// Copies lines of COPY's text format under a savepoint (or a transaction of its own). Lines that Postgres refuses are
/// left out; returns how many.
pub(super) async fn copy(connection: &mut PgConnection, statement: &str, lines: &[u8]) -> Result<u64, RebuildError> {
    let mut refused = 0;
    let mut waiting = vec![lines];
    while let Some(lines) = waiting.pop() {
        if lines.is_empty() {
            continue;
        }
        match copy_all(connection, statement, lines).await {
            Ok(()) => {}
            Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code.starts_with("22")) => {
                match halves(lines) {
                    Some((first, second)) => waiting.extend([second, first]),
                    None => refused += 1,
                }
            }
            Err(error) => return Err(doing("copying images")(error)),
        }
    }
    Ok(refused)
}

async fn copy_all(connection: &mut PgConnection, statement: &str, lines: &[u8]) -> sqlx::Result<()> {
    let mut tx = connection.begin().await?;
    let copied = async {
        let mut copy = tx.copy_in_raw(statement).await?;
        copy.send(lines).await?;
        copy.finish().await.map(drop)
    };
    match copied.await {
        Ok(()) => tx.commit().await,
        Err(error) => {
            tx.rollback().await?;
            Err(error)
        }
    }
}

/// Two parts of about the same size; `None` if it is one line.
fn halves(lines: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_end = |byte: &u8| *byte == b'\n';
    let middle = lines.len() / 2;
    let before = lines[..middle].iter().rposition(is_end);
    let at = before.or_else(|| lines[middle..].iter().position(is_end).map(|after| middle + after))? + 1;
    (at < lines.len()).then(|| lines.split_at(at))
}

#[cfg(test)]
mod tests {
    use super::halves;

    #[test]
    fn lines_are_halved_between_lines() {
        assert_eq!(halves(b"a\nb\nc\n"), Some((&b"a\n"[..], &b"b\nc\n"[..])));
        assert_eq!(halves(b"aaaaaaaa\nb\n"), Some((&b"aaaaaaaa\n"[..], &b"b\n"[..])));
        assert_eq!(halves(b"only one\n"), None);
    }
}
