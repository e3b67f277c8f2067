//! The operator's commands, on the database itself.
//!
//! Invariant: a command opens what is there and never makes a database. Not here: what each noun can do.

mod account;
mod agent;
mod audit;
mod backup;
mod budget;
mod key;
mod migrate;
mod pause;
mod policy;
mod prices;
mod reconcile;
mod relocation;
mod restoration;
mod task;
mod user;

use crate::{
    cli::{
        Place,
        admin::{self as arguments, Noun},
        value::AccountName,
    },
    failure::Failure,
    folder, in_runtime,
};
use rynjer_core::{id::AccountId, time};
use rynjer_server::{app::admin::Admin, gateway};
use rynjer_store::account::AccountRow;

/// Runs `rynjer admin …`.
pub(crate) fn run(arguments: arguments::Admin, json: bool) -> Result<(), Failure> {
    match arguments.noun {
        Noun::Account(command) => in_runtime(account::run(command, json)),
        Noun::Agent(command) => in_runtime(agent::run(command, json)),
        Noun::Key(command) => in_runtime(key::run(command, json)),
        Noun::Budget(command) => in_runtime(budget::run(command, json)),
        Noun::User(command) => in_runtime(user::run(command, json)),
        Noun::Policy(command) => in_runtime(policy::run(command, json)),
        Noun::Pause(command) => in_runtime(pause::run(command, json)),
        Noun::Resume(command) => in_runtime(pause::resume(command, json)),
        Noun::Task(command) => in_runtime(task::run(command, json)),
        Noun::Prices(command) => prices::run(&command, json),
        Noun::Audit(at) => in_runtime(audit::run(at.place, json)),
        Noun::Reconcile { days, credit_micro_usd, place } => {
            in_runtime(reconcile::run(place, days, credit_micro_usd, json))
        }
        Noun::Backup { target, place } => in_runtime(backup::backup(target, place, json)),
        Noun::Restore { backup: Some(backup), place, .. } => {
            in_runtime(restoration::restore(backup, place, json))
        }
        Noun::Restore { backup: None, place, .. } => in_runtime(restoration::finish(place, json)),
        Noun::Move { from, to } => relocation::run(&from, &to, json),
        Noun::Migrate { check, place } => in_runtime(migrate::run(place, check, json)),
    }
}

/// Opens the database of a place.
fn open(place: &Place) -> Result<Admin, Failure> {
    let data_dir = match place.database() {
        // The database is elsewhere, so a missing home is no obstacle.
        Some(_) => folder::data_dir(place.data_dir.as_deref()).unwrap_or_default(),
        None => folder::data_dir(place.data_dir.as_deref())?,
    };
    Ok(gateway::open_admin(&data_dir, place.database())?)
}

/// The account of a name.
async fn account_row(admin: &Admin, name: &AccountName) -> Result<AccountRow, Failure> {
    let email = match name {
        AccountName::Id(id) => {
            let found = admin.account_show(id).await;
            return found.map_err(|error| Failure::from(error).naming(&format!("account {id}")));
        }
        AccountName::Email(email) => email,
    };
    let mut found = admin.account_list().await?;
    found.retain(|row| row.email.eq_ignore_ascii_case(email));
    match found.as_slice() {
        [] => Err(Failure::not_found(format!("there is no account of {email}")).suggest(format!(
            "make one with `rynjer admin account create --email {}`",
            folder::quoted(email)
        ))),
        [_] => found.pop().ok_or_else(|| Failure::not_found("there is no such account")),
        several => {
            let named = several.iter().map(|row| format!("{} ({})", row.id, row.mode));
            let named: Vec<String> = named.collect();
            Err(Failure::failed(format!("{email} has {} accounts: {}", several.len(), named.join(", ")))
                .suggest("name the account by its id"))
        }
    }
}

/// The id of an account of a name.
async fn account_id(admin: &Admin, name: &AccountName) -> Result<AccountId, Failure> {
    Ok(account_row(admin, name).await?.id)
}

/// A moment for people, to the second; a dash for none.
fn moment(ms: Option<i64>) -> String {
    let text = ms.map(|ms| time::rfc3339(ms.div_euclid(1000) * 1000).replace(".000Z", "Z"));
    text.unwrap_or_else(|| "-".to_owned())
}

/// A moment for programs.
fn rfc3339(ms: Option<i64>) -> Option<String> {
    ms.map(time::rfc3339)
}

/// Scopes of a stored text, as a list.
fn scopes(text: &str) -> Vec<&str> {
    text.split_ascii_whitespace().collect()
}
