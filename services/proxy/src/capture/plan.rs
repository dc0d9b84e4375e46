//! The plan of a mutation.

use upwrite_event_log::{Claim, Submission, VersionCheck};
use upwrite_events::{MutationId, Op, RowChange, TableName};

use super::Session;
use crate::catalog::Catalog;
use crate::error::PgError;
use crate::returning::Placeholders;

/// One row of `upwrite.changes(secret)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub seq: i64,
    pub relation: u32,
    /// `i`, `u` or `d`.
    pub op: u8,
    /// Record text in UTF-8.
    pub old: Option<Vec<u8>>,
    pub new: Option<Vec<u8>>,
}

/// What a dry run left.
#[derive(Debug, Clone)]
pub struct DryRun<'a> {
    /// In the order of `seq`.
    pub images: &'a [Image],
    /// Text (JSON) of `upwrite.session(secret)`, read after the statement.
    pub session: &'a str,
    /// Inside the client's block: text (JSON) of `upwrite.mark()`, read before the statement. `None`: autocommit.
    pub mark: Option<&'a str>,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Captured {
    /// Nothing was captured: let it commit as it stands.
    Nothing,
    /// Records were written, none of them changed: answer from the dry run, nothing goes upstream.
    Unchanged,
    Mutation(Box<Plan>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureError {
    /// The snapshot does not know the relation or its columns as they are: refresh it and plan the same images again (once;
    /// [`CaptureError::into_error`] if it does not help).
    StaleCatalog(String),
    /// Tell the client; nothing was sent.
    Refused(PgError),
}

/// Everything that a submission needs but the mutation's id and time.
#[derive(Debug, Clone)]
pub struct Plan {
    pub rows: Vec<RowChange>,
    pub claims: Vec<Claim>,
    pub versions: Vec<VersionCheck>,
    pub session: Session,
    pub in_block: bool,
}

/// Reads, checks and folds what was captured.
pub fn plan(run: &DryRun<'_>, catalog: &Catalog) -> Result<Captured, CaptureError> {
    let _ = (run, catalog);
    Ok(Captured::Nothing)
}

impl Plan {
    /// The submission under a new id. `now_us`: Unix time in microseconds.
    pub fn submission(&self, mutation: MutationId, now_us: i64) -> Submission {
        let _ = (mutation, now_us);
        unreachable!("filled in next")
    }

    /// The placeholders that the statement made, for [`Placeholders::check`] before the append. After the verdict: with
    /// the real keys, in row order.
    pub fn placeholders(&self, keys: Option<&[String]>) -> Placeholders {
        let _ = keys;
        Placeholders::default()
    }

    /// The keys for [`crate::returning::Again::sql`], in captured order, one for each row that the plain statement
    /// returned. `keys`: of the verdict. `None` if the images do not pair with the `returned` rows of the dry run (a user's
    /// trigger wrote more): then answer from the buffered rows.
    pub fn returned_keys(&self, op: Op, returned: usize, keys: &[String]) -> Option<(TableName, Vec<String>)> {
        let _ = (op, returned, keys);
        None
    }
}

impl CaptureError {
    pub fn into_error(self) -> PgError {
        match self {
            Self::StaleCatalog(what) => PgError::error("XX000", format!("captured change cannot be read: {what}")),
            Self::Refused(error) => error,
        }
    }
}
