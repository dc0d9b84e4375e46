//! The way of one request: who is it, what goes wrong with it, what it does.

use std::sync::Arc;
use std::time::Duration;

use super::connection::Connection;
use crate::fault::{Fault, Subject};
use crate::holding::{HeldRequest, Then};
use crate::message::{Request, Response};
use crate::sandbox::Sandbox;
use crate::vendor::{Call, Operation, Refusal, Rejection, RowRefusal};

/// What goes back over the wire.
#[derive(Debug)]
pub(super) enum Reply {
    Response(Response),
    /// A gateway's page with this status.
    Html(u16),
    Close,
    Reset,
}

impl Reply {
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Response(response) => Some(response.status),
            Self::Html(status) => Some(*status),
            Self::Close | Self::Reset => None,
        }
    }
}

/// One request on its way.
struct Exchange {
    sandbox: Arc<Sandbox>,
    connection: Connection,
    number: u64,
    target: String,
    request: Request,
    operation: Operation,
}

pub(super) async fn run(
    sandbox: Arc<Sandbox>,
    connection: Connection,
    number: u64,
    target: String,
    request: Request,
) -> Reply {
    let operation = sandbox.served().operation(&request);
    let exchange = Exchange { sandbox, connection, number, target, request, operation };
    let chosen = exchange.sandbox.faults().choose(&Subject {
        method: &exchange.request.method,
        target: &exchange.target,
        op: exchange.operation.word,
        objects: &exchange.operation.objects,
        body: &exchange.request.body,
        header: exchange.request.header("x-sandbox-fault"),
    });
    let fault = match chosen {
        Ok(fault) => fault,
        Err(text) => return exchange.refuse(&Refusal::UnreadableFault(text)),
    };
    if let Some(entry) = exchange.sandbox.request_log().entry(number) {
        entry.op = exchange.operation.word.to_owned();
        entry.objects = exchange.operation.objects.clone();
        entry.traceparent = exchange.request.header("traceparent").map(str::to_owned);
        entry.fault = fault.as_ref().map(|f| f.word().to_owned());
    }
    if let Err(response) = exchange.sandbox.served().admit(&exchange.operation, &exchange.request)
        && !matches!(fault, Some(Fault::Reset))
    {
        // Refused before anything else could happen to it.
        return Reply::Response(response);
    }
    match fault {
        None => Reply::Response(exchange.execute(None)),
        Some(fault) => exchange.with(fault).await,
    }
}

impl Exchange {
    async fn with(self, fault: Fault) -> Reply {
        match fault {
            Fault::Reset => Reply::Reset,
            Fault::Reject { rows, status, code, message, fields } => {
                let rejection = Rejection { status, code, message, fields };
                match rows {
                    Some(rows) => Reply::Response(self.execute(Some(&RowRefusal { rows, rejection }))),
                    None => self.refuse(&Refusal::Rejected(rejection)),
                }
            }
            Fault::LoseAnswer => {
                self.execute(None);
                Reply::Close
            }
            Fault::ExecuteLate { delay_ms, close_after_ms } => self.late(delay_ms, close_after_ms).await,
            Fault::Hold { applied } => self.hold(applied).await,
            Fault::Slow { ms } => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Reply::Response(self.execute(None))
            }
            Fault::ServerError { status, applied } => {
                if applied {
                    self.execute(None);
                }
                self.refuse(&Refusal::ServerError { status, applied })
            }
            Fault::HtmlBody { status, applied } => {
                if applied {
                    self.execute(None);
                }
                Reply::Html(status)
            }
            Fault::OverQuota { daily } => self.refuse(&Refusal::OverQuota { daily }),
            Fault::Limit429 { retry_after_s } => self.refuse(&Refusal::RateLimited { retry_after_s }),
            Fault::Locked => self.refuse(&Refusal::Locked),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        Reply::Response(self.sandbox.served().refuse(refusal))
    }

    async fn hold(self, applied: bool) -> Reply {
        let done = applied.then(|| self.execute(None));
        let then = self.wait("hold", None).await;
        match (then, done) {
            (Then::Proceed, Some(response)) => Reply::Response(response),
            (Then::Proceed, None) => Reply::Response(self.execute(None)),
            (Then::LoseAnswer, None) => {
                self.execute(None);
                Reply::Close
            }
            (Then::LoseAnswer, Some(_)) | (Then::Drop, _) => Reply::Close,
            (Then::Reject, _) => self.refuse(&Refusal::Unavailable),
        }
    }

    async fn late(self, delay_ms: Option<u64>, close_after_ms: u64) -> Reply {
        let connection = self.connection.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(close_after_ms)).await;
            connection.close();
        });
        let then = self.wait("execute_late", delay_ms.map(Duration::from_millis)).await;
        if matches!(then, Then::Proceed | Then::LoseAnswer) {
            self.execute(None);
        }
        Reply::Close
    }

    /// Waits for release, or for the delay.
    async fn wait(&self, fault: &str, delay: Option<Duration>) -> Then {
        let released = self.sandbox.held_requests().enter(HeldRequest {
            request: self.number,
            fault: fault.to_owned(),
            method: self.request.method.clone(),
            path: self.target.clone(),
            op: self.operation.word.to_owned(),
            objects: self.operation.objects.clone(),
        });
        self.sandbox.touch();
        let Some(delay) = delay else {
            return released.await.unwrap_or(Then::Drop);
        };
        let then = tokio::select! {
            then = released => then.unwrap_or(Then::Drop),
            () = tokio::time::sleep(delay) => Then::Proceed,
        };
        self.sandbox.held_requests().leave(self.number);
        then
    }

    /// Does what the request asks for, once, and wakes those who wait for effects.
    fn execute(&self, refuse: Option<&RowRefusal>) -> Response {
        let response = self.sandbox.served().execute(&Call {
            number: self.number,
            request: &self.request,
            operation: &self.operation,
            refuse,
        });
        self.sandbox.touch();
        response
    }
}
