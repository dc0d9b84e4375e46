//! How it ends when it does not end well.

use std::process::ExitCode;

use upwrite_control::ClientError;

/// Why the command failed, and the exit code for scripts.
#[derive(Debug)]
pub(super) enum Failure {
    Client(ClientError),
    /// Options that make no sense together, or files that cannot be read.
    Usage(String),
    /// The reader of standard output is gone (`| head`).
    NoReader,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::NoReader,
            _ => Self::Client(ClientError::Failed(format!("the answer cannot be written: {error}"))),
        }
    }
}

impl Failure {
    /// The exit code: documented in `--help` and docs/operations.md.
    fn code(&self) -> u8 {
        match self {
            Self::NoReader => 0,
            Self::Client(ClientError::Failed(_)) => 1,
            Self::Usage(_) | Self::Client(ClientError::Config(_) | ClientError::Invalid(_)) => 2,
            Self::Client(ClientError::NotFound(_)) => 3,
            Self::Client(ClientError::Unreachable(_)) => 4,
            Self::Client(ClientError::NotAuthorised(_)) => 5,
        }
    }

    /// Says it on standard error.
    pub(super) fn report(self, json: bool) -> ExitCode {
        let code = self.code();
        let message = match &self {
            Self::Client(error) => error.to_string(),
            Self::Usage(message) => message.clone(),
            Self::NoReader => return ExitCode::from(code),
        };
        if json {
            eprintln!("{}", serde_json::json!({ "error": message, "exit_code": code }));
        } else {
            eprintln!("upwrite ctl: {message}");
        }
        ExitCode::from(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let text = String::new;
        for (failure, code) in [
            (Failure::Client(ClientError::Failed(text())), 1),
            (Failure::Usage(text()), 2),
            (Failure::Client(ClientError::Config(text())), 2),
            (Failure::Client(ClientError::Invalid(text())), 2),
            (Failure::Client(ClientError::NotFound(text())), 3),
            (Failure::Client(ClientError::Unreachable(text())), 4),
            (Failure::Client(ClientError::NotAuthorised(text())), 5),
        ] {
            assert_eq!(failure.code(), code, "{failure:?}");
        }
    }
}
