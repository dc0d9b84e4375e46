//! Whether the client can be given the rows that it asks for, once upstream has assigned keys. Pure.

use upwrite_events::Ack;

use super::execution::CapturedStatement;
use super::flight_result::FlightResult;
use crate::classify::PossibleWrite;
use crate::error::PgError;
use crate::planning::Plan;
use crate::returning::Returning;
use crate::wire::{Malformed, fields, row_frame};

/// Refuses before the append what could not be answered after it.
pub(super) fn check(statement: &CapturedStatement, run: &FlightResult, plan: &Plan) -> Result<(), PgError> {
    if run.overflow || run.streamed {
        return Err(statement.result_too_large());
    }
    let again = matches!(statement.returning(), Some(Returning::Reevaluate(_)));
    let placeholders = plan.placeholders(None);
    if !run.rows.is_empty() && !placeholders.is_empty() && plan.settings.upwrite.ack == Ack::Accepted {
        return Err(PgError::unsupported(
            "with upwrite.ack = accepted, keys that upstream assigns cannot be returned",
            "Leave RETURNING out, or SET upwrite.ack = 'applied'.",
        ));
    }
    if run.rows.is_empty() || again || placeholders.is_empty() {
        return Ok(());
    }
    if statement.write.hides_keys {
        return Err(PossibleWrite::refuse_hidden_keys());
    }
    let internal = |_: Malformed| PgError::error("XX000", "a row of the dry run cannot be read");
    let shapes = run.shapes(&statement.bind).map_err(internal)?;
    for row in &run.rows {
        for (field, shape) in fields(&row_frame(row.clone())).map_err(internal)?.into_iter().zip(&shapes) {
            if let Some(field) = field {
                placeholders.check(field, *shape)?;
            }
        }
    }
    Ok(())
}
