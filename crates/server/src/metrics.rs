//! `/metrics` for Prometheus, on a port of its own.
//!
//! Invariant: labels have few values; no ids, no prompts. Not here: where values are counted.

use crate::state::App;
use axum::{Router, extract::State, routing::get};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// The process-wide recorder; a second gateway in one process shares it.
fn handle() -> Option<&'static PrometheusHandle> {
    RECORDER.get_or_init(|| PrometheusBuilder::new().install_recorder().ok()).as_ref()
}

/// The routes of the metrics port.
pub(crate) fn router(app: App) -> Router {
    handle();
    Router::new().route("/metrics", get(text)).with_state(app)
}

async fn text(State(app): State<App>) -> String {
    if let Ok((open, oldest_due_ms)) = app.store.read(rynjer_store::admin::queue_depth).await {
        let seconds = |ms: i64| f64::from(i32::try_from(ms / 1000).unwrap_or(i32::MAX));
        let overdue_ms = oldest_due_ms.map_or(0, |due_ms| (app.now_ms() - due_ms).max(0));
        metrics::gauge!("rynjer_tasks_open").set(f64::from(i32::try_from(open).unwrap_or(i32::MAX)));
        metrics::gauge!("rynjer_tasks_oldest_due_seconds").set(seconds(overdue_ms));
    }
    handle().map(PrometheusHandle::render).unwrap_or_default()
}
