//! One session on Postgres, and the locks that live in it.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Error};
use tokio::time::timeout;

use super::share::{Lock, View};

/// The key that every member holds, shared.
const MEMBER: i32 = 0;

/// The first keys of a group's locks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Classes {
    /// Members and items.
    pub(crate) items: i32,
    /// What each member can have.
    pub(crate) announcements: i32,
}

/// A connection with the member lock. The locks end with it: when it is closed, when the process dies, and when the
/// process has been silent for the session timeout.
#[derive(Debug)]
pub(crate) struct LockSession {
    connection: PgConnection,
    pub(crate) pid: i32,
    classes: Classes,
}

impl LockSession {
    /// `announced`: the items that this member can have, where members may differ in that.
    pub(crate) async fn open(options: &PgConnectOptions, classes: Classes, announced: &[i32]) -> Result<Self, Error> {
        let mut connection = PgConnection::connect_with(options).await?;
        // What it can have is there before it counts as a member: nobody divides without knowing.
        let announce =
            "/* event-log.group_announce */ select pg_try_advisory_lock_shared($1, key) from unnest($2::int[]) key";
        let given: Vec<bool> =
            sqlx::query_scalar(announce).bind(classes.announcements).bind(announced).fetch_all(&mut connection).await?;
        let join = "/* event-log.group_join */ select pg_backend_pid(), pg_try_advisory_lock_shared($1, $2)";
        let (pid, joined): (i32, bool) =
            sqlx::query_as(join).bind(classes.items).bind(MEMBER).fetch_one(&mut connection).await?;
        if !joined || given.contains(&false) {
            return Err(Error::Protocol("a lock that members share is held by one session for itself".to_owned()));
        }
        Ok(Self { connection, pid, classes })
    }

    /// Also the sign of life.
    pub(crate) async fn look(&mut self) -> Result<View, Error> {
        let look = "/* event-log.group_look */ select classid::bigint = $2, objid::bigint::int, pid from pg_locks \
             where locktype = 'advisory' and classid::bigint in ($1, $2) and objsubid = 2 and granted \
               and pid is not null and objid::bigint <= 2147483647 \
               and database = (select oid from pg_database where datname = current_database())";
        let locks: Vec<(bool, i32, i32)> = sqlx::query_as(look)
            .bind(i64::from(self.classes.items))
            .bind(i64::from(self.classes.announcements))
            .fetch_all(&mut self.connection)
            .await?;
        Ok(View::new(locks.into_iter().map(|(announced, key, pid)| match (announced, key) {
            (true, key) => Lock::Announced { key, pid },
            (false, MEMBER) => Lock::Member { pid },
            (false, key) => Lock::Item { key, pid },
        })))
    }

    /// Those of the items that could be locked. Never to be asked for one that is locked already: locks count.
    pub(crate) async fn lock(&mut self, keys: &[i32]) -> Result<Vec<i32>, Error> {
        let lock = "/* event-log.group_lock */ select key from unnest($2::int[]) key \
             where pg_try_advisory_lock($1, key)";
        sqlx::query_scalar(lock).bind(self.classes.items).bind(keys).fetch_all(&mut self.connection).await
    }

    pub(crate) async fn unlock(&mut self, key: i32) -> Result<(), Error> {
        let unlock = "/* event-log.group_unlock */ select pg_advisory_unlock($1, $2)";
        sqlx::query(unlock).bind(self.classes.items).bind(key).execute(&mut self.connection).await.map(drop)
    }

    /// No member any more; item locks stay.
    pub(crate) async fn leave(&mut self) -> Result<(), Error> {
        let leave = "/* event-log.group_leave */ select pg_advisory_unlock_shared($1, $2)";
        sqlx::query(leave).bind(self.classes.items).bind(MEMBER).execute(&mut self.connection).await.map(drop)
    }

    pub(crate) async fn close(self, patience: Duration) {
        // If it does not work, the socket closes, which ends the session as well.
        let _ = timeout(patience, self.connection.close()).await;
    }
}
