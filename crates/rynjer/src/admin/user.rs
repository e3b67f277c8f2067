//! `admin user`: list, invite, disable people, and make links for new passwords.
//!
//! Invariant: a link is printed once, where it is made. Not here: accounts, which people own (`account`).

use super::{moment, open, rfc3339};
use crate::{
    cli::{
        Place,
        admin::{At, Base, User},
    },
    failure::Failure,
    print,
    serve::settings,
    table::{page, table},
    terminal::Style,
    words::count,
};
use rynjer_server::app::{admin::Admin, letter};
use rynjer_store::{owner::OwnerRow, ticket::TicketRow};
use serde_json::{Value, json};
use std::path::Path;

/// Runs `rynjer admin user …`.
pub(super) async fn run(command: User, json: bool) -> Result<(), Failure> {
    match command {
        User::List(At { place }) => list(&open(&place)?, json).await,
        User::Invite { email, operator, base, place } => invite(&place, &base, &email, operator, json).await,
        User::ResetPassword { user, base, place } => reset_password(&place, &base, &user, json).await,
        User::Disable { user, place } => {
            let (admin, row) = named(&place, &user).await?;
            told(&admin.owner_disable(&row.id, true).await?, json)
        }
        User::Enable { user, place } => {
            let (admin, row) = named(&place, &user).await?;
            told(&admin.owner_disable(&row.id, false).await?, json)
        }
        User::RemoveSecondStep { user, config, place } => {
            remove_second_step(&place, config.as_deref(), &user, json).await
        }
        User::Promote { user, place } => {
            let (admin, row) = named(&place, &user).await?;
            told(&admin.owner_promote(&row.id, true).await?, json)
        }
        User::Demote { user, place } => {
            let (admin, row) = named(&place, &user).await?;
            told(&admin.owner_promote(&row.id, false).await?, json)
        }
    }
}

async fn remove_second_step(
    place: &Place,
    config: Option<&Path>,
    user: &str,
    json: bool,
) -> Result<(), Failure> {
    // Settings that can't be read are told before anything is changed.
    let config = settings::without_flags(config)?.config;
    let (admin, row) = named(place, user).await?;
    let row = admin.owner_remove_second_step(&row.id).await?;
    let sent = letter::second_step_removed(&config, &row.email).await;
    let (word, hint) = match &sent {
        Ok(true) => ("sent", "a letter tells them so"),
        Ok(false) => ("off", "no [smtp] is set: tell them yourself to set it up again after signing in"),
        Err(_) => ("failed", "the letter could not be sent: tell them yourself"),
    };
    let mut value = object(&row);
    value["letter"] = word.into();
    print::answer(json, &value, |style| one(style, &row))?;
    print::hint(json, hint);
    Ok(())
}

/// Somebody by their id or e-mail.
async fn named(place: &Place, user: &str) -> Result<(Admin, OwnerRow), Failure> {
    let admin = open(place)?;
    let found = admin.owner_named(user).await;
    let row = found.map_err(|error| Failure::from(error).naming(&format!("user {user}")))?;
    Ok((admin, row))
}

fn told(row: &OwnerRow, json: bool) -> Result<(), Failure> {
    print::answer(json, &object(row), |style| one(style, row))
}

async fn list(admin: &Admin, json: bool) -> Result<(), Failure> {
    let (rows, waiting) = (admin.owner_list().await?, admin.invitation_list().await?);
    let users: Vec<Value> = rows.iter().map(object).collect();
    let invitations: Vec<Value> = waiting.iter().map(invitation).collect();
    print::answer(json, &json!({"users": users, "invitations": invitations}), |style| {
        let cells = rows.iter().map(|row| {
            let signed_in = moment(row.signed_in_at_ms);
            vec![row.id.to_string(), row.email.clone(), row.role.clone(), state(row).to_owned(), signed_in]
        });
        let invited = waiting.iter().map(|row| {
            let ends = format!("invited until {}", moment(Some(row.expires_at_ms)));
            vec!["-".to_owned(), row.email.clone(), row.role.clone(), ends, "-".to_owned()]
        });
        let headings = ["USER", "E-MAIL", "ROLE", "STATE", "SIGNED IN"];
        table(style, &headings, &cells.chain(invited).collect::<Vec<_>>())
    })?;
    print::hint(json, &count(rows.len(), "user", "users"));
    Ok(())
}

async fn invite(place: &Place, base: &Base, email: &str, operator: bool, json: bool) -> Result<(), Failure> {
    let link = open(place)?.invite(&base.base_url, email, operator).await?;
    let role = if operator { "operator" } else { "owner" };
    let value = json!({"email": email, "role": role, "url": link, "expires_in_seconds": 604_800});
    print::answer(json, &value, |style| {
        page(style, &[("e-mail", email.to_owned()), ("role", role.to_owned()), ("link", link.clone())])
    })?;
    print::hint(json, "whoever opens the link first becomes that user: send it to nobody else");
    Ok(())
}

async fn reset_password(place: &Place, base: &Base, user: &str, json: bool) -> Result<(), Failure> {
    let (admin, row) = named(place, user).await?;
    let link = admin.reset_link(&base.base_url, &row.id).await?;
    let value = json!({
        "user_id": row.id.as_str(), "email": row.email, "url": link, "expires_in_seconds": 3600,
    });
    print::answer(json, &value, |style| {
        page(style, &[("user", row.id.to_string()), ("e-mail", row.email.clone()), ("link", link.clone())])
    })?;
    print::hint(json, "the link works once, for an hour: send it to nobody else");
    Ok(())
}

fn state(row: &OwnerRow) -> &'static str {
    if row.disabled_at_ms.is_some() { "disabled" } else { "active" }
}

/// Somebody for programs.
fn object(row: &OwnerRow) -> Value {
    json!({
        "user_id": row.id.as_str(),
        "email": row.email,
        "role": row.role,
        "status": state(row),
        "second_step": row.totp_enabled_at_ms.is_some(),
        "created_at": rfc3339(Some(row.created_at_ms)),
        "signed_in_at": rfc3339(row.signed_in_at_ms),
        "disabled_at": rfc3339(row.disabled_at_ms),
    })
}

fn invitation(row: &TicketRow) -> Value {
    json!({
        "email": row.email,
        "role": row.role,
        "created_at": rfc3339(Some(row.created_at_ms)),
        "expires_at": rfc3339(Some(row.expires_at_ms)),
    })
}

/// Somebody for people.
fn one(style: Style, row: &OwnerRow) -> String {
    page(
        style,
        &[
            ("user", row.id.to_string()),
            ("e-mail", row.email.clone()),
            ("role", row.role.clone()),
            ("state", state(row).to_owned()),
            ("second step", if row.totp_enabled_at_ms.is_some() { "on" } else { "off" }.to_owned()),
            ("made", moment(Some(row.created_at_ms))),
            ("signed in", moment(row.signed_in_at_ms)),
        ],
    )
}
