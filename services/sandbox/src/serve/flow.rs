//! The way of one request: who is it, what goes wrong with it, what it does.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::connection::Connection;
use crate::fault::{Fault, Subject};
use crate::holding::{Held, Then};
use crate::salesforce::api::{ApiRequest, ApiResponse, Route, objects_of, pairs};
use crate::salesforce::error::ApiError;
use crate::salesforce::org::{Actor, RowRefusal};
use crate::sandbox::Sandbox;

const TOKEN_PATH: &str = "/services/oauth2/token";

/// What goes back over the wire.
#[derive(Debug)]
pub(super) enum Answer {
    Json(ApiResponse),
    /// A gateway's page with this status.
    Html(u16),
    Close,
    Reset,
}

impl Answer {
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Json(response) => Some(response.status),
            Self::Html(status) => Some(*status),
            Self::Close | Self::Reset => None,
        }
    }
}

/// One request on its way.
struct Call {
    sandbox: Arc<Sandbox>,
    connection: Connection,
    number: u64,
    target: String,
    request: ApiRequest,
    op: &'static str,
    objects: Vec<String>,
}

pub(super) async fn run(
    sandbox: Arc<Sandbox>,
    connection: Connection,
    number: u64,
    target: String,
    request: ApiRequest,
) -> Answer {
    let (op, objects) = if request.path == TOKEN_PATH {
        ("token", Vec::new())
    } else {
        let (route, _) = Route::of(&request);
        (route.op_of(&request), objects_of(&sandbox.service().org, &route, &request))
    };
    let call = Call { sandbox, connection, number, target, request, op, objects };
    let chosen = call.sandbox.faults().choose(&Subject {
        method: &call.request.method,
        target: &call.target,
        op: call.op,
        objects: &call.objects,
        body: &call.request.body,
        header: call.request.header("x-sandbox-fault"),
    });
    let fault = match chosen {
        Ok(fault) => fault,
        Err(text) => {
            return Answer::Json(ApiResponse::refused(&ApiError::data("BAD_SANDBOX_FAULT", text)));
        }
    };
    if let Some(entry) = call.sandbox.request_log().entry(number) {
        entry.op = call.op.to_owned();
        entry.objects = call.objects.clone();
        entry.traceparent = call.request.header("traceparent").map(str::to_owned);
        entry.fault = fault.as_ref().map(|f| f.word().to_owned());
    }
    if !call.admitted() && !matches!(fault, Some(Fault::Reset)) {
        // Refused at the door: no other fault can happen to it.
        return Answer::Json(ApiResponse::refused(&ApiError::invalid_session()));
    }
    match fault {
        None => Answer::Json(call.execute(None)),
        Some(fault) => call.with(fault).await,
    }
}

impl Call {
    fn admitted(&self) -> bool {
        let open = self.op == "token" || self.request.path == "/services/data";
        open || self.sandbox.auth().admits(self.request.header("authorization"), OffsetDateTime::now_utc())
    }

    async fn with(self, fault: Fault) -> Answer {
        match fault {
            Fault::Reset => Answer::Reset,
            Fault::Reject { rows: Some(rows), status, code, message, fields } => {
                let error = refusal(status, &code, &message, fields);
                Answer::Json(self.execute(Some(RowRefusal { rows, error })))
            }
            Fault::Reject { rows: None, status, code, message, fields } => {
                self.refuse(&refusal(status, &code, &message, fields))
            }
            Fault::LoseAnswer => {
                self.execute(None);
                Answer::Close
            }
            Fault::ExecuteLate { delay_ms, close_after_ms } => self.late(delay_ms, close_after_ms).await,
            Fault::Hold { applied } => self.hold(applied).await,
            Fault::Slow { ms } => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Answer::Json(self.execute(None))
            }
            Fault::ServerError { status, applied } => {
                if applied {
                    self.execute(None);
                }
                // SERVER_UNAVAILABLE says that nothing was done.
                let code = if status == 503 && !applied { "SERVER_UNAVAILABLE" } else { "UNKNOWN_EXCEPTION" };
                self.refuse(&ApiError::new(status, code, "An unexpected error occurred."))
            }
            Fault::HtmlBody { status, applied } => {
                if applied {
                    self.execute(None);
                }
                Answer::Html(status)
            }
            Fault::Limit403 { daily } => {
                let text = if daily {
                    "TotalRequests Limit exceeded."
                } else {
                    "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
                };
                self.refuse(&ApiError::new(403, "REQUEST_LIMIT_EXCEEDED", text))
            }
            Fault::Limit429 { retry_after_s } => {
                let error = ApiError::new(429, "REQUEST_LIMIT_EXCEEDED", "Too many requests.");
                Answer::Json(ApiResponse::refused(&error).header("retry-after", retry_after_s.to_string()))
            }
        }
    }

    fn refuse(&self, error: &ApiError) -> Answer {
        let mut response = ApiResponse::refused(error);
        response.headers.push(self.sandbox.service().limit_info());
        Answer::Json(response)
    }

    async fn hold(self, applied: bool) -> Answer {
        let done = applied.then(|| self.execute(None));
        let then = self.wait("hold", None).await;
        match (then, done) {
            (Then::Proceed, Some(response)) => Answer::Json(response),
            (Then::Proceed, None) => Answer::Json(self.execute(None)),
            (Then::LoseAnswer, None) => {
                self.execute(None);
                Answer::Close
            }
            (Then::LoseAnswer, Some(_)) | (Then::Drop, _) => Answer::Close,
            (Then::Reject, _) => self.refuse(&ApiError::new(503, "SERVER_UNAVAILABLE", "Server unavailable.")),
        }
    }

    async fn late(self, delay_ms: Option<u64>, close_after_ms: u64) -> Answer {
        let connection = self.connection.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(close_after_ms)).await;
            connection.close();
        });
        let then = self.wait("execute_late", delay_ms.map(Duration::from_millis)).await;
        if matches!(then, Then::Proceed | Then::LoseAnswer) {
            self.execute(None);
        }
        Answer::Close
    }

    /// Waits for release, or for the delay.
    async fn wait(&self, fault: &str, delay: Option<Duration>) -> Then {
        let released = self.sandbox.waiting().enter(Held {
            request: self.number,
            fault: fault.to_owned(),
            method: self.request.method.clone(),
            path: self.target.clone(),
            op: self.op.to_owned(),
            objects: self.objects.clone(),
        });
        self.sandbox.touch();
        let Some(delay) = delay else {
            return released.await.unwrap_or(Then::Drop);
        };
        let then = tokio::select! {
            then = released => then.unwrap_or(Then::Drop),
            () = tokio::time::sleep(delay) => Then::Proceed,
        };
        self.sandbox.waiting().leave(self.number);
        then
    }

    /// Does what the request asks for, once, and tells those who wait for effects.
    fn execute(&self, refuse: Option<RowRefusal>) -> ApiResponse {
        let response = match self.op {
            "token" => self.grant(),
            _ if self.request.path.starts_with("/id/") || self.request.path == "/services/oauth2/userinfo" => {
                ApiResponse::ok(self.sandbox.auth().identity(&self.own_url()))
            }
            _ => {
                let mut service = self.sandbox.service();
                let allow = self.request.header("sforce-duplicate-rule-header").unwrap_or_default();
                let actor = Actor {
                    // Taken under the lock, so that stamps never run against the order of effects.
                    now: OffsetDateTime::now_utc(),
                    user: service.org.api_user.clone(),
                    request: Some(self.number),
                    allow_duplicates: allow.to_ascii_lowercase().replace(' ', "").contains("allowsave=true"),
                    refuse,
                };
                service.call(&actor, &self.request)
            }
        };
        self.sandbox.touch();
        response
    }

    fn grant(&self) -> ApiResponse {
        if self.request.method != "POST" {
            return ApiResponse::ok(json!({ "error": "invalid_request", "error_description": "must use HTTP POST" }))
                .status(400);
        }
        let form = pairs(&String::from_utf8_lossy(&self.request.body));
        let authorization = self.request.header("authorization");
        let granted = self.sandbox.auth().grant(&form, authorization, &self.own_url(), OffsetDateTime::now_utc());
        let body: Result<Value, _> = granted;
        match body {
            Ok(body) => ApiResponse::ok(body),
            Err(refusal) => ApiResponse::ok(refusal.body()).status(refusal.0),
        }
    }

    /// The address that the caller used, so that a proxy in between stays in between.
    fn own_url(&self) -> String {
        let scheme = if self.request.header("x-forwarded-proto") == Some("https") { "https" } else { "http" };
        format!("{scheme}://{}", self.request.header("host").unwrap_or("127.0.0.1"))
    }
}

fn refusal(status: u16, code: &str, message: &str, fields: Vec<String>) -> ApiError {
    let mut error = ApiError::new(status, code, message);
    error.fields = fields;
    error
}
