//! Callbacks of vendors: the URL that an attempt gets, and what is done when it is called.
//!
//! Invariant: a callback is a hint. The most that it does is that the vendor is asked now instead of later,
//! and that a job whose submit was in doubt gets its id; so one that comes twice, late, out of order or with
//! lies in it changes no outcome. Not here: signatures of vendors (`providers`), polls.

use crate::{app::Error, keyring::Purpose, state::App};
use data_encoding::BASE64URL_NOPAD;
use rynjer_core::id::{AccountId, TaskId};
use rynjer_providers::{Callback, CallbackError};
use rynjer_store::{
    callback::{self as store, Addressed, Effect},
    lease::Leased,
};

/// What parts the words of a URL's last segment.
const BETWEEN: char = '~';

/// Where the vendor of a task may call about its attempt; `None` where none can reach us.
pub(crate) fn url(app: &App, task: &Leased) -> Option<String> {
    if !app.config.routes.callbacks || !app.vendors.can_reach_us(&task.provider) {
        return None;
    }
    let (account, id, attempt) = (&task.account, &task.id, task.attempt);
    let signed = app.keyring.sign(Purpose::Url, &message(&task.provider, account, id, attempt));
    let (key, tag) = signed.ok()?;
    let tag = BASE64URL_NOPAD.encode(&tag);
    let base = app.public_url();
    Some(format!("{base}/callbacks/{}/{account}~{id}~{attempt}~{key}~{tag}", task.provider))
}

fn message(provider: &str, account: &AccountId, task: &TaskId, attempt: i64) -> Vec<u8> {
    format!("rynjer callback {provider} {account} {task} {attempt}").into_bytes()
}

/// The attempt that a URL is about, if we made it and serve its vendor.
pub(crate) async fn addressed(app: &App, provider: &str, nonce: &str) -> Result<Addressed, Error> {
    app.providers.get(provider).ok_or(Error::NotFound)?;
    genuine(app, provider, nonce).await.ok_or(Error::NotFound)
}

/// Listens to a vendor. Answered once it is durable.
pub(crate) async fn hear(
    app: &App,
    provider: &str,
    addressed: Addressed,
    call: Callback,
) -> Result<(), Error> {
    let adapter = app.providers.get(provider).ok_or(Error::NotFound)?;
    let heard = adapter.hear(call).await.map_err(|error| match error {
        CallbackError::Forged => {
            Error::InvalidSignature { reason: "the callback is not signed by its vendor".to_owned() }
        }
        CallbackError::NotNow(message) => {
            tracing::warn!(provider, message, "a callback could not be checked");
            Error::Overloaded
        }
    })?;
    let (now_ms, name) = (app.now_ms(), provider.to_owned());
    let changed = app
        .store
        .write(move |tx| store::heard(tx, &addressed, &name, heard.provider_task_id.as_deref(), now_ms));
    let changed = changed.await.map_err(Error::from)?;
    metrics::counter!("rynjer_callbacks_total", "provider" => provider.to_owned()).increment(1);
    match changed {
        Effect::Changed => app.hub.work_arrived(),
        Effect::Nothing => {}
        // The submit that made this job is not written down yet: what it tells may be the only trace.
        Effect::TooEarly => return Err(Error::Overloaded),
    }
    Ok(())
}

/// Whose attempt a URL names, if we made it.
async fn genuine(app: &App, provider: &str, nonce: &str) -> Option<Addressed> {
    let words: Vec<&str> = nonce.split(BETWEEN).collect();
    let [account, task, attempt, key, tag] = words.as_slice() else { return None };
    let (account, task) = (AccountId::parse(account)?, TaskId::parse(task)?);
    let attempt: i64 = attempt.parse().ok()?;
    let tag = BASE64URL_NOPAD.decode(tag.as_bytes()).ok()?;
    app.keyring.meet(Purpose::Url, key).await;
    let genuine = app.keyring.verify(Purpose::Url, key, &message(provider, &account, &task, attempt), &tag);
    genuine.then_some(Addressed { account, task, attempt })
}
