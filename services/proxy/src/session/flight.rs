//! Requests of the proxy's own that go out together, and the wait for all their replies.

use bytes::BytesMut;

use super::end::End;
use super::flight_result::{Excess, FlightResult};
use super::life::Session;
use super::replies::OwnReply;
use super::requests::Requests;
use super::step::Step;
use crate::wire::Frame;

/// Notices of one statement that are kept.
const NOTICES_MAX: usize = 1_000;
impl Session {
    /// Sends what `build` puts together, and waits for the replies to all of it.
    pub(super) async fn flight(
        &mut self,
        excess: Excess,
        build: impl FnOnce(&mut Requests<'_>),
    ) -> Result<FlightResult, End> {
        let mut requests = self.server.requests();
        build(&mut requests);
        requests.flush();
        let mut returned = FlightResult::default();
        while self.server.pending.has_own() {
            let frame = self.server_frame().await?;
            match self.accept(frame).await {
                None => {}
                Some(OwnReply::Reply(Step::Prepare, frame)) if frame.tag == b'1' => self.server.own.parsed(),
                Some(OwnReply::Reply(Step::Statement | Step::Returning, frame)) if frame.tag == b'D' => {
                    self.row(&mut returned, &frame, excess);
                }
                Some(OwnReply::Reply(Step::Statement, frame)) if frame.tag == b'G' => {
                    // COPY in disguise; the client cannot be asked for data here.
                    self.server.send(b"f\0\0\0\x23COPY is not possible this way\0\0");
                }
                Some(OwnReply::Reply(step, frame)) => returned.reply(step, &frame).map_err(|_| End::ServerGone)?,
                Some(OwnReply::Failed(Step::LastMutation, frame)) => {
                    tracing::warn!(error = %crate::wire::error_fields(&frame), "upwrite.last_mutation was not set");
                    returned.failed = Some((Step::LastMutation, frame));
                }
                Some(OwnReply::Failed(step, frame)) => {
                    if step == Step::Prepare {
                        self.server.own.forget();
                    }
                    returned.failed = Some((step, frame));
                }
                Some(OwnReply::Skipped) => returned.skipped = true,
                Some(OwnReply::Ready(frame)) => returned.status = frame.body().first().copied(),
                Some(OwnReply::Notice(frame)) if returned.notices.len() < NOTICES_MAX => {
                    returned.notices.push(frame.raw)
                }
                Some(OwnReply::Notice(_)) => {}
            }
        }
        Ok(returned)
    }

    fn row(&mut self, returned: &mut FlightResult, frame: &Frame, excess: Excess) {
        if returned.streamed {
            self.client.send(&frame.raw);
            return;
        }
        returned.rows_bytes += frame.raw.len();
        if returned.overflow {
            return;
        }
        if returned.rows_bytes <= self.environment.limits.buffered_result_bytes {
            if let Some(row) = returned.assemble(frame) {
                returned.rows.push(row.raw);
            }
            return;
        }
        match excess {
            Excess::Drop => {
                returned.overflow = true;
                returned.rows = Vec::new();
                returned.partial = BytesMut::new();
            }
            Excess::Stream { describe } => {
                returned.streamed = true;
                if let Some(description) = returned.description.as_ref().filter(|_| describe) {
                    self.client.send(&description.raw);
                }
                for row in returned.rows.drain(..) {
                    self.client.send(&row);
                }
                self.client.send(&returned.partial.split());
                self.client.send(&frame.raw);
            }
        }
    }

    /// Sync, so that the server no longer skips; `rollback`: then ends the proxy's own transaction.
    pub(super) async fn recover(&mut self, rollback: bool) -> Result<(), End> {
        self.flight(Excess::Drop, |requests| {
            requests.sync();
            if rollback {
                requests.call(Step::Rollback, &[]);
            }
        })
        .await?;
        Ok(())
    }
}
