//! Who may call: everyone who shows the token.

use std::fmt;

use subtle::ConstantTimeEq as _;
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// The secret that callers show. Does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Lets calls pass that show the token; all of them if there is none to be shown.
#[derive(Debug, Clone)]
pub(crate) struct Guard(pub(crate) Option<Token>);

impl Guard {
    fn admits(&self, header: Option<&str>) -> Result<(), Status> {
        let Some(token) = &self.0 else { return Ok(()) };
        let Some(header) = header else {
            return Err(Status::unauthenticated("this server asks for a token: authorization: Bearer <token>"));
        };
        let shown = match header.split_once(' ') {
            Some((scheme, shown)) if scheme.eq_ignore_ascii_case("bearer") => shown.trim(),
            _ => return Err(Status::unauthenticated("the authorization is not of the form: Bearer <token>")),
        };
        // The time it takes must not show how much of it was right.
        if bool::from(shown.as_bytes().ct_eq(token.0.as_bytes())) {
            Ok(())
        } else {
            Err(Status::unauthenticated("the token is wrong"))
        }
    }
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let header = request.metadata().get("authorization").map(|value| value.to_str());
        match header {
            Some(Err(_)) => Err(Status::unauthenticated("the authorization is not text")),
            Some(Ok(text)) => self.admits(Some(text)).map(|()| request),
            None => self.admits(None).map(|()| request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let guard = Guard(Some(Token::new("s3cret")));
        for refused in
            [None, Some("s3cret"), Some("Basic s3cret"), Some("Bearer s3cre"), Some("Bearer s3cret!"), Some("Bearer ")]
        {
            assert_eq!(guard.admits(refused).unwrap_err().code(), tonic::Code::Unauthenticated, "{refused:?}");
        }
        guard.admits(Some("Bearer s3cret")).unwrap();
        guard.admits(Some("bearer s3cret")).unwrap();
        Guard(None).admits(None).unwrap();
        assert!(!format!("{guard:?}").contains("s3cret"));
    }
}
