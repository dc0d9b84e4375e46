//! One session on Postgres, and the locks that live in it.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Error};
use tokio::time::timeout;

use super::share::View;

/// The key that every member holds, shared.
const MEMBER: i32 = 0;

/// A connection with the member lock. The locks end with it: when it is closed, when the process dies, and when the
/// process has been silent for the session timeout.
#[derive(Debug)]
pub(crate) struct Session {
    connection: PgConnection,
    pub(crate) pid: i32,
    class: i32,
}

impl Session {
    pub(crate) async fn open(options: &PgConnectOptions, class: i32) -> Result<Self, Error> {
        let mut connection = PgConnection::connect_with(options).await?;
        let join = "/* event-log.group_join */ select pg_backend_pid(), pg_try_advisory_lock_shared($1, $2)";
        let (pid, joined): (i32, bool) =
            sqlx::query_as(join).bind(class).bind(MEMBER).fetch_one(&mut connection).await?;
        if !joined {
            return Err(Error::Protocol("the member lock of the group is held exclusively by a stranger".to_owned()));
        }
        Ok(Self { connection, pid, class })
    }

    /// Also the sign of life.
    pub(crate) async fn look(&mut self) -> Result<View, Error> {
        let look = "/* event-log.group_look */ select objid::bigint, pid from pg_locks \
             where locktype = 'advisory' and classid = $1::bigint::oid and objsubid = 2 and granted and pid is not null \
               and database = (select oid from pg_database where datname = current_database())";
        let locks: Vec<(i64, i32)> =
            sqlx::query_as(look).bind(i64::from(self.class)).fetch_all(&mut self.connection).await?;
        Ok(View::new(locks))
    }

    /// Those of `items` that could be locked. Never to be asked for one that is locked already: locks count.
    pub(crate) async fn lock(&mut self, items: &[u16]) -> Result<Vec<u16>, Error> {
        let keys: Vec<i32> = items.iter().map(|item| key(*item)).collect();
        let lock = "/* event-log.group_lock */ select key from unnest($2::int[]) key \
             where pg_try_advisory_lock($1, key)";
        let keys: Vec<i32> =
            sqlx::query_scalar(lock).bind(self.class).bind(keys).fetch_all(&mut self.connection).await?;
        Ok(keys.into_iter().filter_map(|key| u16::try_from(key - 1).ok()).collect())
    }

    pub(crate) async fn unlock(&mut self, item: u16) -> Result<(), Error> {
        self.release(key(item)).await
    }

    /// No member any more; item locks stay.
    pub(crate) async fn leave(&mut self) -> Result<(), Error> {
        let leave = "/* event-log.group_leave */ select pg_advisory_unlock_shared($1, $2)";
        sqlx::query(leave).bind(self.class).bind(MEMBER).execute(&mut self.connection).await.map(drop)
    }

    async fn release(&mut self, key: i32) -> Result<(), Error> {
        let unlock = "/* event-log.group_unlock */ select pg_advisory_unlock($1, $2)";
        sqlx::query(unlock).bind(self.class).bind(key).execute(&mut self.connection).await.map(drop)
    }

    pub(crate) async fn close(self, patience: Duration) {
        // If it does not work, the socket closes, which ends the session as well.
        let _ = timeout(patience, self.connection.close()).await;
    }
}

fn key(item: u16) -> i32 {
    i32::from(item) + 1
}
