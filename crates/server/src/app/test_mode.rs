//! The test mode: which triggers there are, and the clock that tests move.
//!
//! Invariant: for test accounts alone, and the clock only where the operator started the gateway with it; for
//! everybody else nothing of this exists. Not here: what a trigger does (`providers`).

use crate::{
    app::{Error, Field, caller::Caller, request::Fields},
    heartbeat,
    state::App,
    worker,
};
use rynjer_api::{ClockAnswer, ClockRequest, Trigger, TriggersAnswer};
use rynjer_core::time::rfc3339;
use rynjer_store::admin;
use std::time::Duration;

/// The furthest that one call moves the clock: 400 days.
const ADVANCE_SECONDS_MAX: i64 = 400 * 86_400;

/// The furthest that all calls together move it, so that its years keep four digits.
const MOVED_SECONDS_MAX: i64 = 36_500 * 86_400;

fn test_account(caller: &Caller) -> Result<(), Error> {
    if caller.live { Err(Error::NotFound) } else { Ok(()) }
}

/// Every trigger of the sandbox.
pub(crate) fn triggers(app: &App, caller: &Caller) -> Result<TriggersAnswer, Error> {
    test_account(caller)?;
    let shown = |trigger: &rynjer_providers::sandbox::Trigger| Trigger {
        trigger: trigger.text.to_owned(),
        example: trigger.example.to_owned(),
        effect: trigger.effect.to_owned(),
        task_error: trigger.task_error.map(str::to_owned),
    };
    Ok(TriggersAnswer {
        enabled: app.config.sandbox.triggers,
        triggers: rynjer_providers::sandbox::triggers().iter().map(shown).collect(),
        mode: caller.mode(),
    })
}

/// The clock's time.
pub(crate) fn clock(app: &App, caller: &Caller) -> Result<ClockAnswer, Error> {
    test_account(caller)?;
    let moved_ms = app.clock.moved_ms().ok_or(Error::NotFound)?;
    let now_ms = app.now_ms();
    Ok(ClockAnswer {
        now: rfc3339(now_ms),
        unix_seconds: now_ms.div_euclid(1000),
        moved_seconds: moved_ms / 1000,
        mode: caller.mode(),
        warnings: Vec::new(),
    })
}

/// Moves the clock forward, and lets happen what is due then: tasks that wait, and retention.
pub(crate) async fn advance(app: &App, caller: &Caller, fields: &Fields) -> Result<ClockAnswer, Error> {
    let moved_seconds = clock(app, caller)?.moved_seconds;
    let mut problems = Vec::new();
    let seconds = fields.required_i64("advance_seconds", &mut problems).unwrap_or_default();
    if problems.is_empty() && !(1..=ADVANCE_SECONDS_MAX).contains(&seconds) {
        problems.push(Field::new("advance_seconds", format!("must be 1 to {ADVANCE_SECONDS_MAX}")));
    }
    if problems.is_empty() && moved_seconds.saturating_add(seconds) > MOVED_SECONDS_MAX {
        let problem = "would be a hundred years in all; restart the gateway to begin again";
        problems.push(Field::new("advance_seconds", problem));
    }
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    // The operator may have made a live account since the start: its time is not ours to move.
    if app.store.read(|tx| Ok::<_, Error>(admin::has_live_account(tx)?)).await? {
        return Err(Error::NotFound);
    }
    app.clock.advance(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
    app.hub.work_arrived();
    worker::sweep_now(app).await?;
    heartbeat::rotate_keys(app).await;
    Ok(ClockAnswer { warnings: fields.unknown(ClockRequest::FIELDS), ..clock(app, caller)? })
}
