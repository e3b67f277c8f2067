//! Agents, as whoever administers binds, pauses, revokes, unbinds and transfers them.
//!
//! Invariant: what takes an agent from an account revokes all its keys and tokens in the same commit. Not
//! here: how agents register (`agent`), and the rules of binding (`bind`).

use super::Admin;
use crate::app::{
    Error,
    audit_log::note,
    bind::{self, Binder, Confirmed, Granted, Shown},
};
use rynjer_core::{
    budget::Period,
    credits::Credits,
    id::{AccountId, AgentId},
    scope::Scopes,
};
use rynjer_store::{
    Tx, account, admin,
    agent::{self, AgentRow},
    key,
};
use serde_json::json;

impl Admin {
    fn binder(&self) -> Binder {
        let (by, reach) = (self.by.clone(), self.reach.clone());
        Binder { store: self.store.clone(), clock: self.clock.clone(), by, reach }
    }

    /// The agent of a registration code or user code, to be shown before it is bound. Wrong codes of an owner
    /// are counted.
    ///
    /// # Errors
    /// A code that is wrong, expired, used or another account's; too many wrong ones.
    pub async fn agent_find(&self, code: &str) -> Result<Shown, Error> {
        bind::find(&self.binder(), code).await
    }

    /// Binds the agent that was shown, and no other.
    ///
    /// # Errors
    /// A code that is dead by now or another agent's; too many wrong ones; no such account within reach.
    pub async fn agent_confirm(&self, confirmed: &Confirmed, granted: &Granted) -> Result<AgentRow, Error> {
        self.reach.check(Some(&granted.account))?;
        let bound = bind::confirm(&self.binder(), confirmed, granted).await?;
        self.credentials_changed();
        Ok(bound)
    }

    /// Binds the agent of a registration code or user code to an account, with the scopes that its keys may
    /// ask for.
    ///
    /// # Errors
    /// A code that is wrong, expired or used by another account; no such account.
    pub async fn agent_bind(
        &self,
        code: &str,
        account: &AccountId,
        scopes: Scopes,
        limit: Option<(Credits, Period)>,
    ) -> Result<AgentRow, Error> {
        self.reach.check(Some(account))?;
        let granted = Granted { account: account.clone(), scopes, limit };
        let bound = bind::bind(&self.binder(), code, &granted).await?;
        self.credentials_changed();
        Ok(bound)
    }

    /// Agents, newest first, of one account or of all.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn agent_list(&self, account: Option<AccountId>) -> Result<Vec<AgentRow>, Error> {
        self.reach.check(account.as_ref())?;
        self.store.read(move |tx| Ok(admin::agents(tx, account.as_ref())?)).await
    }

    /// Pauses or resumes an agent.
    ///
    /// # Errors
    /// No such agent.
    pub async fn agent_pause(&self, id: &AgentId, paused: bool) -> Result<AgentRow, Error> {
        let now_ms = self.clock.now_ms();
        let action = if paused { "agent.paused" } else { "agent.resumed" };
        self.agent_change(id, action, move |tx, agent| {
            Ok(agent::set_paused(tx, &agent.id, paused.then_some(now_ms))?)
        })
        .await
    }

    /// Ends an agent for good, with all its keys and tokens.
    ///
    /// # Errors
    /// No such agent.
    pub async fn agent_revoke(&self, id: &AgentId) -> Result<AgentRow, Error> {
        let now_ms = self.clock.now_ms();
        self.agent_change(id, "agent.revoked", move |tx, agent| {
            key::revoke_all_of_agent(tx, &agent.id, now_ms)?;
            Ok(agent::revoke(tx, &agent.id, now_ms)?)
        })
        .await
    }

    /// Takes an agent from its account and revokes all its keys and tokens.
    ///
    /// # Errors
    /// No such agent.
    pub async fn agent_unbind(&self, id: &AgentId) -> Result<AgentRow, Error> {
        let now_ms = self.clock.now_ms();
        self.agent_change(id, "agent.unbound", move |tx, agent| {
            key::revoke_all_of_agent(tx, &agent.id, now_ms)?;
            Ok(agent::unbind(tx, &agent.id, now_ms)?)
        })
        .await
    }

    /// Gives a bound agent to another account; its keys, tokens and registration code die, old tasks stay
    /// behind.
    ///
    /// # Errors
    /// No such agent or account.
    pub async fn agent_transfer(&self, id: &AgentId, to: &AccountId) -> Result<AgentRow, Error> {
        self.reach.check_all()?;
        let (now_ms, to) = (self.clock.now_ms(), to.clone());
        self.agent_change(id, "agent.transferred", move |tx, agent| {
            if account::get(tx, &to)?.is_none() {
                return Err(Error::field("account", "does not exist"));
            }
            if agent.account_id.is_none() || agent.revoked_at_ms.is_some() {
                return Err(Error::field("agent", "is not bound to an account, or was revoked"));
            }
            key::revoke_all_of_agent(tx, &agent.id, now_ms)?;
            agent::unbind(tx, &agent.id, now_ms)?;
            Ok(agent::bind(tx, &agent.id, &to, &agent.scopes, now_ms)?)
        })
        .await
    }

    async fn agent_change(
        &self,
        id: &AgentId,
        action: &'static str,
        change: impl Fn(&mut dyn Tx, &AgentRow) -> Result<(), Error> + Send + 'static,
    ) -> Result<AgentRow, Error> {
        let (id, reach, by, now_ms) = (id.clone(), self.reach.clone(), self.by.clone(), self.clock.now_ms());
        let changed = self.store.write(move |tx| {
            let agent = agent::lock(tx, &id)?.ok_or(Error::NotFound)?;
            reach.check(agent.account_id.as_ref())?;
            change(tx, &agent)?;
            let after = agent::get(tx, &id)?.ok_or(Error::NotFound)?;
            let account = agent.account_id.as_ref();
            let detail = json!({ "name": agent.name });
            note(tx, now_ms, &by, account, action, id.as_str(), &detail)?;
            if after.account_id.is_some() && after.account_id != agent.account_id {
                note(tx, now_ms, &by, after.account_id.as_ref(), action, id.as_str(), &detail)?;
            }
            Ok::<_, Error>(after)
        });
        let changed = changed.await?;
        self.credentials_changed();
        Ok(changed)
    }
}
