//! How people become owners: by the link of the first set-up, by an invitation, or by themselves where the
//! operator lets them.
//!
//! Invariant: a link makes one owner; nobody comes to an account that an operator did not mean for them. Not
//! here: signing in (`session`).

use crate::{
    app::{
        Error,
        actor::{Actor, Reach},
        admin::Admin,
        audit_log::note,
        password,
    },
    config::SignUp,
    entropy,
    state::App,
};
use rynjer_core::{
    id::{AccountId, OwnerId},
    key::{ApiKey, KeyKind},
    time::DAY_MS,
};
use rynjer_store::{
    StoreError, Tx, account, admin as reads,
    owner::{self, OwnerRow},
    ticket::{self, TicketRow},
};
use serde_json::json;
use std::net::IpAddr;

/// How long an invitation and the link of the first set-up can be used.
const TICKET_LIVES_MS: i64 = 7 * DAY_MS;

/// What a ticket's page shows before it is used.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    /// Empty where the person says it.
    pub(crate) email: String,
    pub(crate) operator: bool,
}

/// The address in the form in which it is stored; owners sign in with any case.
pub(crate) fn email_of(text: &str) -> Result<String, Error> {
    let email = text.trim().to_lowercase();
    check_email(&email)?;
    Ok(email)
}

/// Whether a text can be an address, in whatever case.
pub(crate) fn check_email(email: &str) -> Result<(), Error> {
    let (name, host) = email.split_once('@').unwrap_or_default();
    let shown = email.chars().all(|letter| !letter.is_whitespace() && !letter.is_control());
    let refused = ['<', '>', '"', ',', ';', '\\'];
    if name.is_empty() || host.is_empty() || email.len() > 254 || !shown || email.contains(refused) {
        return Err(Error::field("email", "is not an e-mail address"));
    }
    Ok(())
}

impl Admin {
    /// The link of the first set-up, while there is no owner yet. Each start makes one; the first that is
    /// used ends all.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn setup_link(&self, base_url: &str) -> Result<Option<String>, Error> {
        self.reach.check_all()?;
        if self.store.read(|tx| Ok::<_, Error>(owner::any(tx)?)).await? {
            return Ok(None);
        }
        let secret = self.ticket("setup", "", "operator", None, TICKET_LIVES_MS).await?;
        Ok(Some(format!("{base_url}/setup?ticket={}", secret.expose())))
    }

    /// A link by which somebody becomes an owner, or an operator; earlier ones for that address end.
    ///
    /// # Errors
    /// Not an e-mail address, or one of an owner.
    pub async fn invite(&self, base_url: &str, email: &str, operator: bool) -> Result<String, Error> {
        self.reach.check_all()?;
        let email = email_of(email)?;
        let (asked, now_ms) = (email.clone(), self.clock.now_ms());
        self.store
            .write(move |tx| {
                if owner::by_email(tx, &asked)?.is_some() {
                    return Err(Error::field("email", "belongs to an owner already"));
                }
                Ok(ticket::cancel(tx, "invitation", Some(&asked), now_ms)?)
            })
            .await?;
        let role = if operator { "operator" } else { "owner" };
        let secret = self.ticket("invitation", &email, role, None, TICKET_LIVES_MS).await?;
        self.note(None, "owner.invited", &email, json!({ "role": role })).await?;
        Ok(format!("{base_url}/invitation?ticket={}", secret.expose()))
    }

    /// Writes a ticket.
    pub(crate) async fn ticket(
        &self,
        kind: &str,
        email: &str,
        role: &str,
        owner_id: Option<OwnerId>,
        lives_ms: i64,
    ) -> Result<ApiKey, Error> {
        let secret = ApiKey::new(KeyKind::Ticket, entropy::bytes());
        let now_ms = self.clock.now_ms();
        let row = TicketRow {
            hash: secret.hash(),
            kind: kind.to_owned(),
            email: email.to_owned(),
            role: role.to_owned(),
            owner_id,
            created_by: format!("{} {}", self.by.kind(), self.by.id()).trim_end().to_owned(),
            created_at_ms: now_ms,
            expires_at_ms: now_ms + lives_ms,
            used_at_ms: None,
        };
        self.store.write(move |tx| ticket::insert(tx, &row)).await?;
        Ok(secret)
    }

    /// All owners, oldest first.
    ///
    /// # Errors
    /// Only of the store; not for an owner.
    pub async fn owner_list(&self) -> Result<Vec<OwnerRow>, Error> {
        self.reach.check_all()?;
        self.store.read(|tx| Ok(owner::all(tx)?)).await
    }

    /// Invitations that nobody used yet, newest first.
    ///
    /// # Errors
    /// Only of the store; not for an owner.
    pub async fn invitation_list(&self) -> Result<Vec<TicketRow>, Error> {
        self.reach.check_all()?;
        let now_ms = self.clock.now_ms();
        self.store.read(move |tx| Ok(ticket::waiting(tx, now_ms)?)).await
    }
}

/// The hash of a ticket's text; what is not one of ours is not there.
pub(crate) fn ticket_hash(text: &str) -> Result<[u8; 32], Error> {
    let parsed = ApiKey::parse(text.trim()).map_err(|_| Error::TicketInvalid)?;
    if parsed.kind == KeyKind::Ticket { Ok(parsed.hash) } else { Err(Error::TicketInvalid) }
}

/// What a ticket of that kind opens.
pub(crate) async fn opening(app: &App, kind: &'static str, ticket_text: &str) -> Result<Opening, Error> {
    let (hash, now_ms) = (ticket_hash(ticket_text)?, app.now_ms());
    let read = app.store.read(move |tx| Ok::<_, Error>((ticket::live(tx, &hash, now_ms)?, owner::any(tx)?)));
    let (found, any) = read.await?;
    let found = found.filter(|row| row.kind == kind).ok_or(Error::TicketInvalid)?;
    if kind == "setup" && any {
        return Err(Error::TicketInvalid);
    }
    Ok(Opening { email: found.email, operator: found.role == "operator" })
}

/// Becomes an owner by a ticket. `email` counts only where the ticket names none.
pub(crate) async fn join_by_ticket(
    app: &App,
    kind: &'static str,
    ticket_text: &str,
    email: &str,
    new_password: &str,
    address: Option<IpAddr>,
) -> Result<OwnerId, Error> {
    let opening = opening(app, kind, ticket_text).await?;
    let email = if opening.email.is_empty() { email_of(email)? } else { opening.email };
    password::check(new_password, &email)?;
    let (hash, password_hash) = (ticket_hash(ticket_text)?, app.passwords.hash(new_password).await?);
    let new = Newcomer::new(app, email, opening.operator, Some(password_hash), address);
    let now_ms = app.now_ms();
    let (id, accounts) = app
        .store
        .write(move |tx| {
            // Only the first may become the operator by the set-up's link, whoever holds another.
            let late = kind == "setup" && owner::any(tx)?;
            if late || !ticket::spend(tx, &hash, now_ms)? {
                return Err(Error::TicketInvalid);
            }
            if kind == "setup" {
                ticket::cancel(tx, "setup", None, now_ms)?;
            }
            new.join(tx, true)
        })
        .await?;
    welcome(app, &accounts).await?;
    Ok(id)
}

/// Becomes an owner without anybody's leave, where the operator lets everybody.
pub(crate) async fn sign_up(
    app: &App,
    email: &str,
    new_password: &str,
    address: Option<IpAddr>,
) -> Result<OwnerId, Error> {
    if app.config.console.sign_up != SignUp::Open {
        return Err(Error::NotFound);
    }
    let email = email_of(email)?;
    password::check(new_password, &email)?;
    let asked = email.clone();
    if app.store.read(move |tx| Ok::<_, Error>(owner::by_email(tx, &asked)?)).await?.is_some() {
        return Err(taken());
    }
    let new = Newcomer::new(app, email, false, Some(app.passwords.hash(new_password).await?), address);
    let (id, accounts) = app.store.write(move |tx| new.join(tx, false)).await?;
    welcome(app, &accounts).await?;
    Ok(id)
}

fn taken() -> Error {
    Error::field("email", "can't be used here; ask the operator for an invitation")
}

/// Somebody who is about to become an owner.
pub(crate) struct Newcomer {
    id: OwnerId,
    email: String,
    operator: bool,
    password_hash: Option<String>,
    accounts: Vec<(AccountId, &'static str)>,
    address: Option<IpAddr>,
    now_ms: i64,
}

impl Newcomer {
    pub(crate) fn new(
        app: &App,
        email: String,
        operator: bool,
        password_hash: Option<String>,
        address: Option<IpAddr>,
    ) -> Self {
        let now_ms = app.now_ms();
        let modes = if app.config.console.live_accounts { &["test", "live"][..] } else { &["test"] };
        let accounts = modes.iter().map(|mode| (AccountId::new(now_ms, entropy::id()), *mode)).collect();
        let id = OwnerId::new(now_ms, entropy::id());
        Self { id, email, operator, password_hash, accounts, address, now_ms }
    }

    pub(crate) fn email(&self) -> &str {
        &self.email
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::Owner { id: self.id.clone(), operator: self.operator, address: self.address }
    }

    /// Writes owner and accounts. `named` by an operator, they get the accounts of their address that nobody
    /// owns; whoever comes alone has proved nothing about it.
    pub(crate) fn join(&self, tx: &mut dyn Tx, named: bool) -> Result<(OwnerId, Vec<AccountId>), Error> {
        if owner::by_email(tx, &self.email)?.is_some() {
            return Err(taken());
        }
        let role = if self.operator { "operator" } else { "owner" };
        owner::create(tx, &self.id, &self.email, role, self.password_hash.as_deref(), self.now_ms)?;
        if named {
            owner::take_accounts_of_email(tx, &self.id, &self.email)?;
        }
        let mut made = Vec::new();
        for (id, mode) in &self.accounts {
            match reads::account_by_email(tx, &self.email, mode)? {
                None => {
                    account::create(tx, id, &self.email, mode, self.now_ms)?;
                    owner::take_account(tx, &self.id, id)?;
                    made.push(id.clone());
                }
                Some(_) if named => {}
                Some(_) => return Err(taken()),
            }
        }
        let detail = json!({ "email": self.email, "role": role });
        note(tx, self.now_ms, &self.actor(), None, "owner.joined", self.id.as_str(), &detail)?;
        Ok((self.id.clone(), made))
    }
}

/// Fills new test accounts; a second time fills nothing.
pub(crate) async fn welcome(app: &App, accounts: &[AccountId]) -> Result<(), Error> {
    let credits = app.config.console.test_credits;
    let hand = Admin::within(app, Actor::Gateway, Reach::All);
    for id in accounts {
        let row = hand.account_show(id).await?;
        if row.mode == "test" && credits > 0 {
            hand.account_grant(id, credits, "welcome").await?;
        }
    }
    Ok(())
}

/// What a sign-in does for accounts whose welcome was cut off by a crash.
pub(crate) async fn welcome_again(app: &App, id: &OwnerId) -> Result<(), Error> {
    let id = id.clone();
    let rows: Result<_, StoreError> = app.store.read(move |tx| owner::accounts(tx, &id)).await;
    let empty = rows?
        .into_iter()
        .filter(|row| row.mode == "test" && row.books.issued.0 == 0 && row.closed_at_ms.is_none());
    welcome(app, &empty.map(|row| row.id).collect::<Vec<_>>()).await
}
