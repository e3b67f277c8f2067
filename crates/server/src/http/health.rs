//! Whether the process lives, and whether it should get work.
//!
//! Invariant: `/readyz` says 503 from the moment that draining begins, and where the clock is far off. Not
//! here: metrics (`crate::metrics`).

use crate::{
    app::{Error, node},
    http::{error::Fail, extract::Shared},
};
use axum::extract::State;
use rynjer_store::StoreError;
use serde_json::{Value, json};
use std::time::Duration;

/// A database that takes longer is not there for requests either.
const PATIENCE: Duration = Duration::from_secs(3);

/// Is the process alive?
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Object)))]
pub(crate) async fn livez() -> axum::Json<Value> {
    axum::Json(json!({"status": "ok"}))
}

/// Should this process get requests?
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Object)))]
pub(crate) async fn readyz(State(shared): State<Shared>) -> Result<axum::Json<Value>, Fail> {
    if shared.drain.is_draining() {
        return Err(Fail(Error::ShuttingDown));
    }
    let read = tokio::time::timeout(PATIENCE, shared.app.store.read(rynjer_store::ping)).await;
    let read = read.map_err(|_| Fail(Error::Overloaded))?;
    read.map_err(|error: StoreError| Fail(Error::from(error)))?;
    node::check_clock(&shared.app)?;
    let mut answer = json!({"status": "ok"});
    // Without it only files wait; whatever else is asked for is answered.
    if let Some(up) = shared.app.outputs.is_up().await {
        answer["object_storage"] = json!(if up { "ok" } else { "away" });
    }
    Ok(axum::Json(answer))
}

/// The same as `/readyz`.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Object)))]
pub(crate) async fn healthz(state: State<Shared>) -> Result<axum::Json<Value>, Fail> {
    readyz(state).await
}
