//! Every route that a gateway really has, read from its router.
//!
//! Invariant: a route that the router knows is in the list, whoever forgot it elsewhere. Not here: who may
//! use it (`matrix`).

use axum::Router;
use std::collections::{BTreeMap, BTreeSet};

/// Method and path of each route, in order. The router tells them only in its debug text, whose form the test
/// of this file holds.
pub(crate) fn routes(router: &Router) -> BTreeSet<(String, String)> {
    let text = format!("{router:#?}");
    // Of the path router alone: the fallback has one of its own.
    let text = text.split("catch_all_fallback").next().unwrap_or_default();
    let mut methods: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut paths: BTreeMap<&str, &str> = BTreeMap::new();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut at = 0;
    let mut current = "";
    while at < lines.len() {
        let line = lines[at];
        if line == "RouteId(" {
            current = lines.get(at + 1).copied().unwrap_or_default();
        } else if let Some(path) = line.strip_prefix("): \"") {
            paths.entry(current).or_insert_with(|| path.trim_end_matches(['"', ',']));
        } else if let Some(allowed) = line.strip_prefix("b\"") {
            let allowed = allowed.trim_end_matches(['"', ',']).split(',').map(str::to_owned);
            methods.entry(current).or_insert_with(|| allowed.collect());
        }
        at += 1;
    }
    let mut routes = BTreeSet::new();
    for (id, path) in paths {
        for method in methods.get(id).into_iter().flatten().filter(|method| *method != "HEAD") {
            routes.insert((method.clone(), path.to_owned()));
        }
    }
    routes
}

#[test]
fn a_router_tells_its_routes() {
    use axum::routing::{delete, get, post};
    let inner = Router::new().route("/c", post(|| async {}));
    let router: Router = Router::new()
        .route("/a/{id}", get(|| async {}).merge(delete(|| async {})))
        .route("/b", post(|| async {}))
        .nest("/en", inner)
        .fallback(|| async {});
    let found: Vec<String> =
        routes(&router).into_iter().map(|(method, path)| format!("{method} {path}")).collect();
    assert_eq!(found, ["DELETE /a/{id}", "GET /a/{id}", "POST /b", "POST /en/c"]);
}
