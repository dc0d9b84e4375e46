//! Rate budgets that processes share: tokens in a table, given out in slices.

use std::time::Duration;

use sqlx::PgPool;

/// How long a write that got nothing keeps reads of all processes away.
const WRITE_KEEPS_PLACE_MS: f64 = 20.0;

const MAKE: &str = "/* event-log.budget_make */ insert into upwrite.budgets (source, tokens) values ($1, $2) \
    on conflict (source) do nothing";

/// Locked first, then filled up by the time that has passed, then given from: whole requests only.
const LEASE: &str = "/* event-log.budget_lease */ \
    with was as (select tokens, at, writes_until from upwrite.budgets where source = $1 for update), \
    filled as ( \
        select least($3, tokens + greatest(0, extract(epoch from clock_timestamp() - at)::float8) * $2) as tokens, \
               writes_until, clock_timestamp() as now \
          from was), \
    given as ( \
        select tokens, writes_until, now, \
               case when not $5 and writes_until > now then 0 else floor(least(tokens, $4)) end as requests \
          from filled) \
    update upwrite.budgets b \
       set tokens = g.tokens - g.requests, at = g.now, \
           writes_until = case when $5 and g.requests < 1 \
               then g.now + make_interval(secs => (1 - g.tokens) / $2 + $6 / 1000) else b.writes_until end \
      from given g where b.source = $1 \
    returning g.requests, \
        greatest((1 - b.tokens) / $2, case when $5 then 0 else extract(epoch from g.writes_until - g.now)::float8 end)";

/// The table `upwrite.budgets`, as `upwrite_service`.
#[derive(Debug, Clone)]
pub struct SharedBudgets {
    pool: PgPool,
}

impl SharedBudgets {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Up to `requests` of the budget of `source`, which all processes together fill at `rate` a second up to `burst`;
    /// and, if it gave none, how long it will be until there is one. `write`: a client waits for it, which comes before
    /// reads.
    ///
    /// # Errors
    /// If Postgres does not answer as it should. Then what it gave, if anything, is lost, which costs time only.
    pub async fn lease(
        &self,
        source: &str,
        rate: f64,
        burst: f64,
        requests: f64,
        write: bool,
    ) -> Result<(f64, Duration), sqlx::Error> {
        loop {
            let given: Option<(f64, f64)> = sqlx::query_as(LEASE)
                .bind(source)
                .bind(rate)
                .bind(burst)
                .bind(requests)
                .bind(write)
                .bind(WRITE_KEEPS_PLACE_MS)
                .fetch_optional(&self.pool)
                .await?;
            if let Some((requests, wait)) = given {
                let wait = Duration::try_from_secs_f64(wait.max(0.0)).unwrap_or_default();
                return Ok((requests, wait));
            }
            sqlx::query(MAKE).bind(source).bind(burst).execute(&self.pool).await?;
        }
    }
}
