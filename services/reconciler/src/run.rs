//! Term after term: each has the partitions that are assigned at its beginning, and starts from what is in Postgres.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{EventLog, Membership, Notifier};

use crate::assignment::Assignment;
use crate::environment::Environment;
use crate::term::{End, EndReason, Term};
use crate::{Config, ReconcilerError, vacuum};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Not longer: mostly it is the transaction of a reconciler that stalls, and clients wait for its end.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Runs until `shutdown`, or until beginning again cannot help. Item n of the group is partition n of both streams.
/// `options` log in as `upwrite_reconciler`.
pub async fn run(
    config: Config,
    options: PgConnectOptions,
    log: Arc<dyn EventLog>,
    membership: Box<dyn Membership>,
    notifier: Notifier,
    shutdown: CancellationToken,
) -> Result<(), ReconcilerError> {
    let environment = Environment { config, options: options.clone(), log, notifier };
    tokio::select! {
        ended = sessions(&environment, Assignment::new(membership), &shutdown) => ended,
        () = vacuum::keep_vacuumed(options) => Ok(()),
    }
}

async fn sessions(
    environment: &Environment,
    mut assignment: Assignment,
    shutdown: &CancellationToken,
) -> Result<(), ReconcilerError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let items = assignment.begin().await;
        if items.is_empty() {
            environment.config.progress.send_replace(crate::Progress::default());
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = assignment.changes() => {}
            }
            continue;
        }
        let End { reason, worked } = match Term::begin(environment, &items).await {
            Ok(session) => session.work(environment, &mut assignment, shutdown).await,
            Err(error) => End { reason: Err(error), worked: false },
        };
        if worked {
            // After work that succeeded, a failure is a new one.
            pause = FIRST_PAUSE;
        }
        match reason {
            Ok(EndReason::Shutdown) => return Ok(()),
            Ok(EndReason::Reassigned) => {}
            Err(error) if error.is_final() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, again_in = ?pause, "the reconciler begins again");
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    () = tokio::time::sleep(pause) => {}
                    _ = assignment.changes() => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}
