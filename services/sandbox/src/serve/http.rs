//! Between HTTP and the messages that vendors see.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use time::OffsetDateTime;

use super::connection::{Connection, micros};
use super::flow::{self, Reply};
use crate::journal::unix_ms;
use crate::message::{Request as ApiRequest, Response as ApiResponse};
use crate::sandbox::Sandbox;
use crate::vendor::Refusal;

/// Longest body that is read: more than any vendor takes.
const MOST_BODY_BYTES: usize = 50 * 1024 * 1024;

/// Every request that is not an admin call. It is handled in a task of its own: once it has arrived, it runs to
/// its end whether or not the client stays.
pub(super) async fn handle(
    State(sandbox): State<Arc<Sandbox>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let first_byte = connection.first_byte();
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let arrived = unix_ms(OffsetDateTime::now_utc());
    let number = sandbox.request_log().begin(arrived, parts.method.as_str(), &target);
    let headers: BTreeMap<String, String> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let answer = match to_bytes(body, MOST_BODY_BYTES).await {
        Ok(body) => {
            let request = ApiRequest::new(parts.method.as_str(), &target, headers, body.to_vec());
            let task = flow::run(Arc::clone(&sandbox), connection.clone(), number, target, request);
            // A panic in there is a defect of the sandbox; the client sees what a broken server shows.
            tokio::spawn(task).await.unwrap_or(Reply::Close)
        }
        Err(_) => Reply::Response(sandbox.served().refuse(&Refusal::BodyTooLarge)),
    };
    if let Some(entry) = sandbox.request_log().entry(number) {
        entry.ended_us = Some(micros(first_byte));
        entry.status = answer.status();
    }
    sandbox.touch();
    connection.answering(number);
    match answer {
        Reply::Response(response) => json(response),
        Reply::Html(status) => html(status),
        Reply::Close => ended(&connection, false),
        Reply::Reset => ended(&connection, true),
    }
}

fn json(response: ApiResponse) -> Response {
    let body = response.body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let mut built = Response::new(body);
    *built.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content = HeaderValue::from_static("application/json;charset=UTF-8");
    built.headers_mut().insert(header::CONTENT_TYPE, content);
    for (name, value) in response.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            built.headers_mut().insert(name, value);
        }
    }
    built
}

fn html(status: u16) -> Response {
    let page = "<html><head><title>Bad Gateway</title></head><body><h1>Down for maintenance</h1></body></html>";
    let mut built = Response::new(Body::from(page));
    *built.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    built.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=UTF-8"));
    built
}

/// Ends the connection; the response returned here cannot be written any more.
fn ended(connection: &Connection, reset: bool) -> Response {
    if reset {
        connection.reset()
    } else {
        connection.close()
    }
    Response::new(Body::empty())
}
