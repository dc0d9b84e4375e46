//! Handing out a result, as much as each Execute asks for.

use bytes::Bytes;

use super::end::End;
use super::life::Session;
use super::result_set::complete;
use crate::wire::with_count;

impl Session {
    /// Serves an Execute from the result: so many rows, then their count or PortalSuspended.
    pub(super) async fn serve(&mut self, portal: &Bytes, max_rows: i32) -> Result<(), End> {
        if !self.drain_for_answer().await? {
            return Ok(());
        }
        let Some(result) = self.names.portals.get_mut(portal).and_then(|portal| portal.result.as_mut()) else {
            return Ok(());
        };
        let client = &mut self.client;
        let limit = usize::try_from(max_rows).ok().filter(|limit| *limit > 0);
        let count = limit.map_or(result.rows.len(), |limit| limit.min(result.rows.len()));
        let whole = count == result.rows.len() && limit.is_none_or(|limit| count < limit);
        let first = !std::mem::replace(&mut result.begun, true);
        let rows = result.has_rows();
        for row in result.rows.drain(..count) {
            client.send(&row);
        }
        match (whole, rows, first) {
            (false, ..) => client.send(b"s\0\0\0\x04"),
            // Without rows to return, the count is of rows changed; and all at once, the tag is the statement's own.
            (true, false, true) => client.send(&complete(&result.tag)),
            (true, true, true) if limit.is_none() => client.send(&complete(&result.tag)),
            (true, ..) => client.send(&with_count(&result.tag, count)),
        }
        Ok(())
    }

    /// Replies to own steps need not be waited for: they are not the client's.
    async fn drain_for_answer(&mut self) -> Result<bool, End> {
        if self.server.pending.only_own() { Ok(!self.state.is_skipping()) } else { self.drain().await }
    }
}
