//! Callers of a gateway in process, each with its credential.
//!
//! Invariant: a call goes through every layer that a call over a socket goes through. Not here: what answers
//! look like (`answer`).

use super::{Answer, BASE_URL, canary};
use axum::{Router, body::Body};
use http::{Method, Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

/// The routes of the gateway that runs now.
pub(crate) type SharedRouter = Arc<Mutex<Router>>;

/// A caller.
#[derive(Clone)]
pub(crate) struct Client {
    router: SharedRouter,
    headers: Vec<(String, String)>,
}

impl Client {
    pub(crate) fn new(router: &SharedRouter, token: Option<&str>) -> Self {
        let headers = token.map(|token| ("authorization".to_owned(), format!("Bearer {token}")));
        Self { router: Arc::clone(router), headers: headers.into_iter().collect() }
    }

    /// The same caller with one more header on each call.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path, Some(body)).await
    }

    /// A body as it is, sent as JSON.
    pub(crate) async fn post_text(&self, path: &str, text: impl Into<Body>) -> Answer {
        let caller = self.with("content-type", "application/json");
        caller.send(Method::POST, path, text.into()).await
    }

    pub(crate) async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        match body {
            Some(body) => {
                let caller = self.with("content-type", "application/json");
                caller.send(method, path, Body::from(body.to_string())).await
            }
            None => self.send(method, path, Body::empty()).await,
        }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Body) -> Answer {
        let path = path.strip_prefix(BASE_URL).unwrap_or(path);
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request = request.header(header::HOST, "somebody-elses-name.test");
        }
        let router = self.router.lock().expect("the router").clone();
        let response = router.oneshot(request.body(body).expect("a request")).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, body };
        canary::look_at(&answer);
        answer
    }

    /// Generates and returns the answer's data.
    pub(crate) async fn generate(&self, body: &Value) -> Value {
        self.post("/v1/generate", body).await.ok()
    }

    /// Generates one picture with that prompt.
    pub(crate) async fn picture(&self, request_id: &str, prompt: &str) -> Value {
        self.generate(&picture(request_id, prompt)).await
    }

    /// The task now.
    pub(crate) async fn poll(&self, id: &str) -> Value {
        self.get(&format!("/v1/generate/{id}")).await.ok()
    }

    /// Waits for the end of a task and returns it.
    pub(crate) async fn finish(&self, id: &str) -> Value {
        let task = self.get(&format!("/v1/generate/{id}?wait=60")).await.ok();
        let status = task["status"].as_str().unwrap_or_default();
        assert!(matches!(status, "success" | "failed" | "canceled"), "{task:#}");
        task
    }

    pub(crate) async fn balance(&self) -> (i64, i64) {
        let data = self.get("/v1/credits/balance").await.ok();
        (data["available"].as_i64().expect("available"), data["held"].as_i64().expect("held"))
    }
}

/// A request for one picture of 8 credits.
pub(crate) fn picture(request_id: &str, prompt: &str) -> Value {
    json!({"request_id": request_id, "model": "google/nano-banana", "prompt": prompt})
}
