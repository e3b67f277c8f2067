//! Who does something, and how far they reach.
//!
//! Invariant: an owner's reach is one account of theirs; only operators and the command line reach all. Not
//! here: what agents and keys may do (`caller`), and the log of what was done (`audit_log`).

use crate::app::{Error, caller::Caller};
use rynjer_core::id::{AccountId, AgentId, KeyId, OwnerId};
use std::net::IpAddr;

/// Who changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Whoever may run commands beside the database.
    CommandLine,
    Owner {
        id: OwnerId,
        operator: bool,
        /// Where the browser is.
        address: Option<IpAddr>,
    },
    Agent(AgentId),
    Key(KeyId),
    /// The payment service.
    Payment,
    /// Nobody: the gateway on its own.
    Gateway,
}

impl Actor {
    /// Whom a credential of the API speaks for: an agent, or else the account's key.
    pub(crate) fn of_caller(caller: &Caller) -> Self {
        caller.agent.clone().map_or_else(|| Self::Key(caller.key.clone()), Self::Agent)
    }

    /// What kind of actor the log names.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CommandLine => "command_line",
            Self::Owner { operator: true, .. } => "operator",
            Self::Owner { operator: false, .. } => "owner",
            Self::Agent(_) => "agent",
            Self::Key(_) => "key",
            Self::Payment => "payment",
            Self::Gateway => "gateway",
        }
    }

    /// Which one of its kind; empty where there is only one.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Owner { id, .. } => id.as_str(),
            Self::Agent(id) => id.as_str(),
            Self::Key(id) => id.as_str(),
            Self::CommandLine | Self::Payment | Self::Gateway => "",
        }
    }

    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Owner { address, .. } => *address,
            Self::CommandLine | Self::Agent(_) | Self::Key(_) | Self::Payment | Self::Gateway => None,
        }
    }
}

/// Whose things somebody may change. Everything else is not there for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    All,
    Account(AccountId),
}

impl Reach {
    /// Whether an account, or what belongs to it, is there for them.
    pub(crate) fn check(&self, account: Option<&AccountId>) -> Result<(), Error> {
        match self {
            Self::All => Ok(()),
            Self::Account(own) if account == Some(own) => Ok(()),
            Self::Account(_) => Err(Error::NotFound),
        }
    }

    /// What only an operator may do.
    pub(crate) fn check_all(&self) -> Result<(), Error> {
        match self {
            Self::All => Ok(()),
            Self::Account(_) => Err(Error::NotFound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_reaches_one_account() {
        let (own, other) = (AccountId::new(1, [0; 10]), AccountId::new(2, [0; 10]));
        let reach = Reach::Account(own.clone());
        assert!(reach.check(Some(&own)).is_ok());
        assert!(matches!(reach.check(Some(&other)), Err(Error::NotFound)));
        assert!(matches!(reach.check(None), Err(Error::NotFound)));
        assert!(matches!(reach.check_all(), Err(Error::NotFound)));
        assert!(Reach::All.check(None).is_ok() && Reach::All.check_all().is_ok());
    }
}
