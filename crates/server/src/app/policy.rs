//! Owners' policies: what a caller may not ask for and why, and setting them.
//!
//! Invariant: a policy takes effect with the next look at the credential, on this node at once. Not here: the
//! rule (`core::policy`).

use crate::app::{Error, admin::Admin, audit_log::note, bind, caller::Caller};
use rynjer_core::{
    budget::Subject, catalog::Catalog, credits::Credits, id::AccountId, nearest, policy::Policy,
};
use rynjer_store::{
    Tx, account,
    policy::{self, PolicyRow},
};
use serde_json::json;

/// Why a caller may not use a model, in words that go on from "not available".
pub(crate) fn forbidden(caller: &Caller, model: &str) -> Option<String> {
    let subject = caller.policies.forbids(model)?;
    Some(format!("the owner's policy for this {} does not allow it", subject.as_str()))
}

/// Refuses a price above what the owner allows for one generation.
pub(crate) fn check_price(caller: &Caller, price: Credits) -> Result<(), Error> {
    match caller.policies.too_dear(price) {
        None => Ok(()),
        Some((most, subject)) => Err(Error::PriceAbovePolicy { price, most, subject }),
    }
}

impl Admin {
    /// Sets which models an account, agent or key may use (`None`: all) and what one generation may cost
    /// (`None`: anything), in place of what was set before.
    ///
    /// # Errors
    /// A subject that is not the account's; a model that is not in the catalog; a negative price.
    pub async fn policy_set(
        &self,
        catalog: &Catalog,
        account: &AccountId,
        subject_id: &str,
        policy: Policy,
    ) -> Result<Vec<PolicyRow>, Error> {
        self.policy_change(catalog, account, subject_id, policy, true).await?;
        self.policy_list(account).await
    }

    /// The same for an owner, whose password was typed lately if it is `confirmed`; allowing more needs that.
    ///
    /// # Errors
    /// As of [`Admin::policy_set`]; more than was allowed, not confirmed.
    pub async fn policy_change(
        &self,
        catalog: &Catalog,
        account: &AccountId,
        subject_id: &str,
        policy: Policy,
        confirmed: bool,
    ) -> Result<(), Error> {
        self.reach.check(Some(account))?;
        known_models(catalog, &policy)?;
        if policy.max_price.is_some_and(|price| price < Credits::ZERO) {
            return Err(Error::field("max_price", "must be 0 or more"));
        }
        let (owner, subject_id, now_ms) = (account.clone(), subject_id.to_owned(), self.clock.now_ms());
        let by = self.by.clone();
        let set = self.store.write(move |tx| {
            account::lock(tx, &owner)?.ok_or(Error::NotFound)?;
            let subject: Subject = policy.subject;
            if !bind::owns_subject(tx, &owner, subject, &subject_id)? {
                return Err(Error::field(subject.as_str(), "does not belong to that account"));
            }
            let before = before(tx, &owner, subject, &subject_id)?;
            if policy.allows_more_than(&before) && !confirmed {
                return Err(Error::NotConfirmed);
            }
            policy::set(tx, &owner, &subject_id, &policy, now_ms)?;
            let detail =
                json!({ "models": policy.models, "max_price": policy.max_price.map(|price| price.0) });
            Ok(note(tx, now_ms, &by, Some(&owner), "policy.set", &subject_id, &detail)?)
        });
        set.await?;
        self.credentials_changed();
        Ok(())
    }

    /// All policies of an account.
    ///
    /// # Errors
    /// No such account.
    pub async fn policy_list(&self, account: &AccountId) -> Result<Vec<PolicyRow>, Error> {
        self.account_show(account).await?;
        let account = account.clone();
        self.store.read(move |tx| Ok(policy::of_account(tx, &account)?)).await
    }
}

/// What a subject was held to so far.
fn before(tx: &mut dyn Tx, account: &AccountId, subject: Subject, subject_id: &str) -> Result<Policy, Error> {
    let rows = policy::of_account(tx, account)?;
    let own = rows.into_iter().find(|row| row.policy.subject == subject && row.subject_id == subject_id);
    Ok(own.map_or_else(|| Policy::none(subject), |row| row.policy))
}

/// A name that is misspelt would forbid what was meant to be allowed.
fn known_models(catalog: &Catalog, policy: &Policy) -> Result<(), Error> {
    let unknown = policy.models.iter().flatten().find(|name| catalog.model(name).is_none());
    unknown.map_or(Ok(()), |name| Err(unknown_model(catalog, name)))
}

/// A model that the catalog does not have.
pub(crate) fn unknown_model(catalog: &Catalog, name: &str) -> Error {
    let names = catalog.models().iter().map(|model| model.name.as_str());
    let meant = nearest::nearest_all(name, names, 3);
    Error::UnknownModel { nearest: meant.into_iter().map(str::to_owned).collect() }
}
