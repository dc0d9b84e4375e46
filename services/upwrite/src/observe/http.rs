//! /metrics, /healthz, /readyz.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use upwrite_connectors::Budget;

use super::describe;
use super::readiness::Readiness;

/// Upper bounds of what is measured in seconds.
const SECONDS: [f64; 17] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Upper bounds of what is counted.
const COUNTS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
/// How often measurements are put into their buckets while nothing scrapes /metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// What the pages are made from.
struct Pages {
    metrics: PrometheusHandle,
    readiness: Arc<Readiness>,
    budgets: HashMap<String, Budget>,
}

/// Counts from now on, and answers on `listen` until `stop`.
pub(super) async fn serve(
    listen: SocketAddr,
    readiness: Arc<Readiness>,
    budgets: HashMap<String, Budget>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets(&COUNTS))
        .and_then(PrometheusBuilder::install_recorder)
        .context("the recorder of metrics")?;
    describe::all();
    let listener = TcpListener::bind(listen).await.with_context(|| format!("observe.listen: {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "metrics, health and readiness are served");
    tokio::spawn(upkeep(metrics.clone(), stop.clone()));
    let pages = Router::new()
        .route("/metrics", get(self::metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Arc::new(Pages { metrics, readiness, budgets }));
    tokio::spawn(async move {
        let served = axum::serve(listener, pages).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "metrics, health and readiness are served no more");
        }
    });
    Ok(())
}

async fn upkeep(metrics: PrometheusHandle, stop: CancellationToken) {
    while tokio::time::timeout(UPKEEP, stop.cancelled()).await.is_err() {
        metrics.run_upkeep();
    }
}

async fn metrics(State(pages): State<Arc<Pages>>) -> impl IntoResponse {
    for (source, budget) in &pages.budgets {
        let level = budget.level();
        if let Some(requests) = level.requests {
            metrics::gauge!("upwrite_upstream_budget_requests", "source" => source.clone()).set(requests);
        }
        metrics::gauge!("upwrite_upstream_paused_seconds", "source" => source.clone()).set(level.paused.as_secs_f64());
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], pages.metrics.render())
}

/// Answered by the same event loop that does the work.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(pages): State<Arc<Pages>>) -> Response {
    let parts = pages.readiness.ask().await;
    let ready = parts.iter().all(|(_, said)| said.is_ok());
    let parts: BTreeMap<_, _> = parts
        .into_iter()
        .map(|(name, said)| match said {
            Ok(state) => (name, json!({ "ready": true, "state": state })),
            Err(reason) => (name, json!({ "ready": false, "reason": reason })),
        })
        .collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({ "ready": ready, "parts": parts }))).into_response()
}
