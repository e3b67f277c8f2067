//! `POST /callbacks/stripe`: the payment service tells what became of a payment.
//!
//! Invariant: the bytes are checked as they came, and the answer goes out after the commit: 200 is never
//! said of what was not heard to its end. Not here: what it means (`app::topup`).

use crate::{
    app::{Error, topup},
    http::{
        error::Fail,
        extract::{Shared, Visitor, body_patience},
    },
};
use axum::{
    extract::{Request, State},
    response::Response,
};

/// The longest event: objects of payments are a few kilobytes.
const BODY_BYTES_MAX: usize = 256 << 10;

/// The signature is the credential.
pub(crate) async fn hear(
    State(shared): State<Shared>,
    _visitor: Visitor,
    request: Request,
) -> Result<Response, Fail> {
    if shared.app.payments.is_none() {
        return Err(Fail(Error::NotFound));
    }
    let (parts, body) = request.into_parts();
    let mut signatures = parts.headers.get_all("stripe-signature").iter();
    let (first, second) = (signatures.next(), signatures.next());
    let signature = first.filter(|_| second.is_none()).and_then(|value| value.to_str().ok()).unwrap_or("");
    let reading = shared.bodies.read(body, BODY_BYTES_MAX);
    let read = tokio::time::timeout(body_patience(BODY_BYTES_MAX), reading).await;
    let (body, _memory) = read.map_err(|_| Fail(Error::Overloaded))??;
    topup::hear(&shared.app, &body, signature).await?;
    Ok(Response::default())
}
