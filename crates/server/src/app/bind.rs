//! Binding an agent to an account: the owner's yes, with scopes and a budget.
//!
//! Invariant: a code binds once, before it expires, and never an agent that belongs to somebody else. Not
//! here: who may say yes (the operator's command, later the signed-in owner).

use crate::{
    app::{Error, actor::Actor, audit_log::note, closure::open_account},
    clock::Clock,
    entropy,
};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
    id::{AccountId, AgentId, BudgetId, KeyId},
    key::ApiKey,
    scope::Scopes,
};
use rynjer_store::{Store, Tx, account, admin, agent, agent::AgentRow, budget};
use serde_json::json;

/// Gives the agent of a registration code to an account.
pub(crate) async fn bind(
    store: &Store,
    clock: &Clock,
    by: &Actor,
    code: &str,
    account_id: &AccountId,
    scopes: Scopes,
    limit: Option<(Credits, Period)>,
) -> Result<AgentRow, Error> {
    let now_ms = clock.now_ms();
    let hash = ApiKey::parse(code.trim()).map_err(|_| Error::RegistrationCodeInvalid)?.hash;
    let fresh = BudgetId::new(now_ms, entropy::id());
    let (account_id, by) = (account_id.clone(), by.clone());
    store
        .write(move |tx| {
            open_account(tx, &account_id)?;
            let named = agent::by_registration(tx, &hash)?.ok_or(Error::RegistrationCodeInvalid)?;
            let found = agent::lock(tx, &named.id)?.ok_or(Error::RegistrationCodeInvalid)?;
            if found.registration_hash != hash {
                // A fresh code came in between.
                return Err(Error::RegistrationCodeInvalid);
            }
            let foreign = found.account_id.as_ref().is_some_and(|owner| *owner != account_id);
            if foreign || found.revoked_at_ms.is_some() || found.registration_expires_at_ms <= now_ms {
                return Err(Error::RegistrationCodeInvalid);
            }
            agent::bind(tx, &found.id, &account_id, &scopes.to_text(), now_ms)?;
            if let Some((limit, period)) = limit {
                let subject = (Subject::Agent, found.id.as_str());
                budget::set(tx, &account_id, &fresh, subject, period, limit, now_ms)?;
            }
            let detail = json!({
                "name": found.name,
                "scopes": scopes.to_text(),
                "limit": limit.map(|(limit, period)| format!("{}/{}", limit.0, period.as_str())),
            });
            note(tx, now_ms, &by, Some(&account_id), "agent.bound", found.id.as_str(), &detail)?;
            agent::get(tx, &found.id)?.ok_or(Error::NotFound)
        })
        .await
}

/// Whether a budget's subject belongs to an account.
pub(crate) fn owns_subject(
    tx: &mut dyn Tx,
    owner: &AccountId,
    subject: Subject,
    subject_id: &str,
) -> Result<bool, Error> {
    Ok(match subject {
        Subject::Account => subject_id == owner.as_str() && account::get(tx, owner)?.is_some(),
        Subject::Agent => match AgentId::parse(subject_id) {
            Some(id) => agent::get(tx, &id)?.is_some_and(|a| a.account_id.as_ref() == Some(owner)),
            None => false,
        },
        Subject::Key => match KeyId::parse(subject_id) {
            Some(id) => admin::account_of_key(tx, &id)?.as_ref() == Some(owner),
            None => false,
        },
    })
}
