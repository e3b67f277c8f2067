//! `/operator/catalog`: models, what they cost, and who makes them.
//!
//! Invariant: prices are those that the next request is charged. Not here: changing them (a catalog file and
//! `admin prices import`).

use crate::{
    app::{operator, session::Session},
    console::{
        fault::Fault,
        frame::{Frame, page},
        guard::Operator,
        shown,
    },
    http::extract::Shared,
};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};

pub(super) const PATH: &str = "/operator/catalog";

pub(super) fn routes() -> Router<Shared> {
    Router::new().route(PATH, get(show))
}

#[derive(Template)]
#[template(path = "operator_catalog.html")]
struct Page {
    frame: Frame,
    problem: String,
    versions: Vec<Version>,
    models: Vec<Model>,
}

struct Version {
    name: String,
    state: &'static str,
    tag: &'static str,
}

struct Model {
    name: String,
    product: &'static str,
    notes: String,
    prices: Vec<Price>,
    paused: Option<String>,
    served_by: String,
    reason: String,
}

struct Price {
    size: String,
    credits: String,
}

async fn show(State(shared): State<Shared>, Operator(session): Operator) -> Result<Response, Fault> {
    catalog_page(&shared, &session, String::new()).await
}

pub(super) async fn catalog_page(
    shared: &Shared,
    session: &Session,
    problem: String,
) -> Result<Response, Fault> {
    let fault = |error| Fault::of(error, &shared.app);
    let hand = session.operator_hand(&shared.app).map_err(fault)?;
    let (versions, models) = operator::catalog(&shared.app, &hand).await.map_err(fault)?;
    let version = |(at, (name, live)): (usize, (String, bool))| {
        let (state, tag) = match (at, live) {
            (0, _) => ("current", "good"),
            (_, true) => ("can be pinned", ""),
            (_, false) => ("retired", ""),
        };
        Version { name, state, tag }
    };
    let model = |one: operator::ModelView| Model {
        name: one.name,
        product: one.product,
        paused: one.paused,
        notes: one.notes,
        prices: one
            .prices
            .into_iter()
            .map(|(size, credits)| Price { size, credits: shown::credits(credits) })
            .collect(),
        reason: one.served.as_ref().err().cloned().unwrap_or_default(),
        served_by: one.served.unwrap_or_default(),
    };
    let frame = Frame::new(&shared.app, session, PATH, "Catalog");
    let versions = versions.into_iter().enumerate().map(version).collect();
    page(shared, &Page { frame, problem, versions, models: models.into_iter().map(model).collect() })
}
