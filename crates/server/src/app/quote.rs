//! Quotes: a price that was promised, as a signed token that needs no storage.
//!
//! Invariant: a quote holds for one principal and exactly the inputs that it was made for, until it expires.
//! Not here: what is charged (`generate`).

use crate::{
    app::{
        Error,
        caller::Caller,
        normalize::{Taste, Wanted},
        route::AUTO,
    },
    keyring::Purpose,
    state::App,
};
use data_encoding::BASE64URL_NOPAD;
use rynjer_core::{
    catalog::{Plan, Price},
    credits::Credits,
};
use serde::{Deserialize, Serialize};

/// How long a quote holds.
pub(crate) const QUOTE_LIVES_MS: i64 = 15 * 60_000;

#[derive(Debug, Serialize, Deserialize)]
struct Token {
    account: String,
    principal: String,
    model: String,
    mode: String,
    count: u32,
    resolution: Option<String>,
    duration_seconds: Option<u32>,
    aspect_ratio: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preset: Option<String>,
    /// The quality mode and the use case, as sent, if the model was left to the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routed: Option<(Option<String>, Option<String>)>,
    price_version: String,
    unit_price: i64,
    expires_at_ms: i64,
}

/// Makes the quote of a price.
pub(crate) fn issue(
    app: &App,
    caller: &Caller,
    plan: &Plan,
    price: &Price,
    wanted: &Wanted,
) -> Result<(String, i64), Error> {
    let expires_at_ms = app.now_ms() + QUOTE_LIVES_MS;
    let token = Token {
        account: caller.account.to_string(),
        principal: caller.principal().to_owned(),
        model: plan.model.name.clone(),
        mode: plan.mode.as_str().to_owned(),
        count: plan.count,
        resolution: plan.resolution.clone(),
        duration_seconds: plan.duration_seconds,
        aspect_ratio: plan.aspect_ratio.clone(),
        preset: wanted.preset.clone(),
        routed: (wanted.model == AUTO).then(|| shown(&wanted.taste)),
        price_version: price.version.clone(),
        unit_price: price.unit.0,
        expires_at_ms,
    };
    let body = serde_json::to_vec(&token).map_err(Error::internal)?;
    let (kid, tag) = app.keyring.sign(Purpose::Quote, &body)?;
    let text = format!("q1.{kid}.{}.{}", BASE64URL_NOPAD.encode(&body), BASE64URL_NOPAD.encode(&tag));
    Ok((text, expires_at_ms))
}

/// The price version and unit price that a quote promises for this plan.
pub(crate) fn redeem(
    app: &App,
    caller: &Caller,
    plan: &Plan,
    (text, preset): (&str, Option<&str>),
) -> Result<(String, Credits), Error> {
    let token = open(app, text).ok_or(Error::QuoteMismatch { field: "quote_id" })?;
    if token.expires_at_ms <= app.now_ms() {
        return Err(Error::QuoteExpired);
    }
    let same = [
        ("quote_id", token.account == caller.account.as_str() && token.principal == caller.principal()),
        ("model", token.model == plan.model.name),
        ("scene", token.mode == plan.mode.as_str()),
        ("units.count", token.count == plan.count),
        ("units.resolution", token.resolution == plan.resolution),
        ("units.duration", token.duration_seconds == plan.duration_seconds),
        ("units.aspect_ratio", token.aspect_ratio == plan.aspect_ratio),
        ("units.preset", token.preset.as_deref() == preset),
    ];
    if let Some((field, _)) = same.into_iter().find(|(_, equal)| !equal) {
        return Err(Error::QuoteMismatch { field });
    }
    Ok((token.price_version, Credits(token.unit_price)))
}

/// The taste of a request as a quote keeps it.
fn shown(taste: &Taste) -> (Option<String>, Option<String>) {
    (taste.quality_mode.map(|mode| mode.as_str().to_owned()), taste.use_case.clone())
}

/// The model that a quote for `auto` promises; the other inputs are compared by `redeem`.
pub(crate) fn routed_model(app: &App, caller: &Caller, text: &str, taste: &Taste) -> Result<String, Error> {
    let token = open(app, text).ok_or(Error::QuoteMismatch { field: "quote_id" })?;
    if token.account != caller.account.as_str() || token.principal != caller.principal() {
        return Err(Error::QuoteMismatch { field: "quote_id" });
    }
    let (quality_mode, use_case) = token.routed.ok_or(Error::QuoteMismatch { field: "model" })?;
    let wanted = shown(taste);
    if quality_mode != wanted.0 {
        return Err(Error::QuoteMismatch { field: "quality_mode" });
    }
    if use_case != wanted.1 {
        return Err(Error::QuoteMismatch { field: "use_case" });
    }
    if app.catalog.model(&token.model).is_none() {
        return Err(Error::QuoteMismatch { field: "model" });
    }
    Ok(token.model)
}

/// Lets the keys of other nodes be known before a quote of theirs is opened.
pub(crate) async fn meet(app: &App, text: Option<&str>) {
    let key_id = text.and_then(|text| text.strip_prefix("q1.")).and_then(|rest| rest.split('.').next());
    if let Some(id) = key_id {
        app.keyring.meet(Purpose::Quote, id).await;
    }
}

fn open(app: &App, text: &str) -> Option<Token> {
    let mut parts = text.strip_prefix("q1.")?.split('.');
    let (kid, body, tag) = (parts.next()?, parts.next()?, parts.next()?);
    let body = BASE64URL_NOPAD.decode(body.as_bytes()).ok()?;
    let tag = BASE64URL_NOPAD.decode(tag.as_bytes()).ok()?;
    let genuine = parts.next().is_none() && app.keyring.verify(Purpose::Quote, kid, &body, &tag);
    if genuine { serde_json::from_slice(&body).ok() } else { None }
}
