//! The page where somebody pays, for a browser: one button.
//!
//! Invariant: a page is paid once; whoever has a hook is told before the browser goes back, as Stripe
//! mostly does. Not here: cards.

use super::{Shop, message};
use axum::{
    Router,
    extract::{Path, State},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use serde_json::{Value, json};

pub(super) fn routes() -> Router<Shop> {
    Router::new().route("/c/pay/{id}", get(show).post(press))
}

/// Somebody pays an open page.
pub(super) fn pay(shop: &Shop, id: &str) -> Value {
    shop.with(|books| {
        let payment = books.id("pi");
        let page = books.pages.iter_mut().find(|page| page["id"] == id && page["status"] == "open");
        let Some(page) = page else { return Value::Null };
        page["status"] = json!("complete");
        page["payment_status"] = json!("paid");
        page["payment_intent"] = json!(payment);
        page["url"] = Value::Null;
        page.clone()
    })
}

fn found(shop: &Shop, id: &str) -> Option<Value> {
    shop.with(|books| books.pages.iter().find(|page| page["id"] == id).cloned())
}

async fn show(State(shop): State<Shop>, Path(id): Path<String>) -> Response {
    let Some(page) = found(&shop, &id) else { return axum::http::StatusCode::NOT_FOUND.into_response() };
    let (amount, currency) = (&page["amount_total"], page["currency"].as_str().unwrap_or_default());
    let back = page["cancel_url"].as_str().unwrap_or_default().replace('"', "");
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Stand-in of Stripe Checkout</title>\
         <h1>Stand-in of Stripe Checkout</h1><p>{amount} in the smallest unit of {currency}</p>\
         <form method=\"post\"><button>Pay</button></form><p><a href=\"{back}\">Back</a></p>"
    ))
    .into_response()
}

async fn press(State(shop): State<Shop>, Path(id): Path<String>) -> Response {
    let paid = pay(&shop, &id);
    let Some(page) = found(&shop, &id) else { return axum::http::StatusCode::NOT_FOUND.into_response() };
    if let (Some(hook), false) = (shop.hook(), paid.is_null()) {
        let event = format!("evt_{}", id.trim_start_matches("cs_"));
        let event = message::event(&event, "checkout.session.completed", shop.is_live(), &paid);
        shop.with(|books| books.events.push(event.clone()));
        // Whoever is away is told again by the real one; here the page that one comes back to asks.
        drop(message::tell(hook, &event).await);
    }
    Redirect::to(page["success_url"].as_str().unwrap_or("/")).into_response()
}
