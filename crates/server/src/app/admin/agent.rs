//! Agents, as whoever administers binds, pauses, revokes, unbinds and transfers them.
//!
//! Invariant: what takes an agent from an account revokes all its keys and tokens in the same commit. Not
//! here: how agents register (`agent`), and the rules of binding (`bind`).

use super::Admin;
use crate::app::{
    Error,
    audit_log::note,
    bind::{self, Binder, Confirmed, Granted, Shown},
    closure::open_account,
};
use rynjer_core::{
    budget::Period,
    credits::Credits,
    id::{AccountId, AgentId},
    scope::Scopes,
};
use rynjer_store::{
    Tx, admin,
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

    /// One agent.
    ///
    /// # Errors
    /// No such agent.
    pub async fn agent_show(&self, id: &AgentId) -> Result<AgentRow, Error> {
        let id = id.clone();
        let read = self.store.read(move |tx| agent::get(tx, &id)?.ok_or(Error::NotFound));
        let found = read.await?;
        self.reach.check(found.account_id.as_ref())?;
        Ok(found)
    }

    /// What the agent's keys may ask for from now on. Fewer scopes hold at once for keys that are there; more
    /// need the owner to be there (`confirmed`).
    ///
    /// # Errors
    /// No such agent, or one that was revoked; not confirmed.
    pub async fn agent_rescope(
        &self,
        id: &AgentId,
        scopes: Scopes,
        confirmed: bool,
    ) -> Result<AgentRow, Error> {
        let (id, reach, by, now_ms) = (id.clone(), self.reach.clone(), self.by.clone(), self.clock.now_ms());
        let changed = self.store.write(move |tx| {
            let found = agent::lock(tx, &id)?.ok_or(Error::NotFound)?;
            reach.check(found.account_id.as_ref())?;
            if found.account_id.is_none() || found.revoked_at_ms.is_some() {
                return Err(Error::field("agent", "is not bound to an account, or was revoked"));
            }
            let before = Scopes::from_text(&found.scopes).unwrap_or(Scopes::NONE);
            if !scopes.is_subset(before) && !confirmed {
                return Err(Error::NotConfirmed);
            }
            if scopes == before {
                return Ok(found);
            }
            agent::set_scopes(tx, &id, &scopes.to_text())?;
            let detail =
                json!({ "name": found.name, "scopes": scopes.to_text(), "before": before.to_text() });
            let account = found.account_id.as_ref();
            note(tx, now_ms, &by, account, "agent.scopes_changed", id.as_str(), &detail)?;
            agent::get(tx, &id)?.ok_or(Error::NotFound)
        });
        let changed = changed.await?;
        self.credentials_changed();
        Ok(changed)
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
            open_account(tx, &to)?;
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
