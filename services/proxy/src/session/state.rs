//! What becomes of the client's messages, and of the server's last words. Pure.

/// Where a session stands with its two peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SessionState {
    /// The client's messages are carried out.
    #[default]
    Serving,
    /// A request failed: the client's messages are dropped up to its next Sync.
    Skipping,
    /// A mutation may be upstream, and the client is about to read so: the server's end must not look like a rollback.
    Answering,
    /// The client has read why the server ends the connection. `skipping`: whether its messages were being dropped.
    Ending { skipping: bool },
}

impl SessionState {
    /// The client has read an error.
    pub(super) fn skip(&mut self) {
        *self = match *self {
            Self::Serving | Self::Skipping | Self::Answering => Self::Skipping,
            Self::Ending { .. } => Self::Ending { skipping: true },
        };
    }

    /// The client's Sync, or the end of a simple query.
    pub(super) fn synced(&mut self) {
        *self = match *self {
            Self::Serving | Self::Skipping => Self::Serving,
            Self::Answering => Self::Answering,
            Self::Ending { .. } => Self::Ending { skipping: false },
        };
    }

    /// A verdict has come that does not rule out that upstream has the mutation.
    pub(super) fn begin_answer(&mut self) {
        if *self == Self::Serving {
            *self = Self::Answering;
        }
    }

    /// The client has its result, or (then it is [`SessionState::Skipping`] already) its error.
    pub(super) fn end_answer(&mut self) {
        if *self == Self::Answering {
            *self = Self::Serving;
        }
    }

    /// The server's reason for ending the connection goes to the client.
    pub(super) fn end(&mut self) {
        *self = Self::Ending { skipping: self.is_skipping() };
    }

    pub(super) fn is_skipping(self) -> bool {
        matches!(self, Self::Skipping | Self::Ending { skipping: true })
    }

    /// The server's reason for ending the connection must not reach the client.
    pub(super) fn hides_server_end(self) -> bool {
        self == Self::Answering
    }

    /// Nothing needs to be said when the connection to the server is lost: it was said.
    pub(super) fn server_has_spoken(self) -> bool {
        matches!(self, Self::Ending { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_error_messages_are_dropped_up_to_sync() {
        let mut state = SessionState::default();
        assert!(!state.is_skipping());
        state.skip();
        assert!(state.is_skipping());
        state.synced();
        assert_eq!(state, SessionState::Serving);
    }

    #[test]
    fn the_servers_end_is_hidden_only_while_an_answer_is_given() {
        let mut state = SessionState::default();
        assert!(!state.hides_server_end());
        state.begin_answer();
        assert!(state.hides_server_end() && !state.is_skipping());
        state.end_answer();
        assert_eq!(state, SessionState::Serving);
        state.begin_answer();
        state.skip();
        state.end_answer();
        assert_eq!(state, SessionState::Skipping, "the answer was an error");
    }

    #[test]
    fn the_servers_last_words_stay_said() {
        for (mut state, skipping) in [(SessionState::Serving, false), (SessionState::Skipping, true)] {
            state.end();
            assert!(state.server_has_spoken());
            assert_eq!(state.is_skipping(), skipping);
            state.skip();
            state.begin_answer();
            state.end_answer();
            assert!(state.server_has_spoken() && state.is_skipping() && !state.hides_server_end());
            state.synced();
            assert_eq!(state, SessionState::Ending { skipping: false });
        }
    }
}
