//! Sign-ins that something else overtakes.
//!
//! Invariant: what was proved counts only while it is still what is asked for. Not here: pages (`console`).

use super::*;
use crate::{
    app::{new_password, owner::join_by_ticket},
    clock::Clock,
    config::Config,
    gateway::{Gateway, Options, Role},
};
use std::net::Ipv4Addr;
use tempfile::TempDir;

const EMAIL: &str = "first@example.com";
const OLD: &str = "correct horse battery";
const NEW: &str = "a new and longer one";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const BASE_URL: &str = "https://gateway.test";
const SETTINGS: &str = "[server]\nlisten = \"127.0.0.1:0\"\nmetrics_listen = \"\"\n";

async fn opened() -> (Gateway, App, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::load(None, std::iter::empty(), SETTINGS.parse().unwrap()).unwrap().config;
    let options = Options {
        config,
        data_dir: folder.path().to_owned(),
        role: Role::Api,
        clock: Clock::manual(1_742_291_400_000),
        master_key: None,
    };
    let gateway = Gateway::start(options).await.unwrap();
    let app = gateway.admin().app.clone().unwrap();
    let link = gateway.admin().setup_link(BASE_URL).await.unwrap().unwrap();
    join_by_ticket(&app, "setup", ticket_of(&link), EMAIL, OLD, None).await.unwrap();
    (gateway, app, folder)
}

fn ticket_of(link: &str) -> &str {
    link.split('=').next_back().unwrap()
}

async fn sessions(app: &App, id: &rynjer_core::id::OwnerId) -> usize {
    let id = id.clone();
    let read = app.store.read(move |tx| Ok::<_, Error>(session::of_owner(tx, &id)?.len()));
    read.await.unwrap()
}

/// The password is right when it is checked, and no more when the session would begin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_was_changed_meanwhile_begins_no_session() {
    let (gateway, app, _folder) = opened().await;
    let proven = guess(&app, EMAIL, OLD, Some(HERE)).await.unwrap();
    let link = gateway.admin().reset_link(BASE_URL, &proven.id).await.unwrap();
    new_password::by_ticket(&app, ticket_of(&link), NEW, HERE).await.unwrap();
    for is_fresh in [true, false] {
        let started = start(&app, &proven, None, Some(HERE), is_fresh).await;
        assert_eq!(started.err(), Some(Error::SignInRefused));
    }
    assert_eq!(sessions(&app, &proven.id).await, 0);
    assert_eq!(guess(&app, EMAIL, OLD, Some(HERE)).await.err(), Some(Error::SignInRefused));
    let proven = guess(&app, EMAIL, NEW, Some(HERE)).await.unwrap();
    start(&app, &proven, None, Some(HERE), true).await.unwrap();
    assert_eq!(sessions(&app, &proven.id).await, 1);
    gateway.shutdown().await;
}

/// The same for whoever may sign in no more, and for a second step that was turned on meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_else_is_asked_for_meanwhile_is_asked_for() {
    let (gateway, app, _folder) = opened().await;
    let proven = guess(&app, EMAIL, OLD, Some(HERE)).await.unwrap();
    let (id, now_ms) = (proven.id.clone(), app.now_ms());
    let write = app.store.write(move |tx| owner::set_totp(tx, &id, Some(&[1; 48]), Some(now_ms)));
    let written: Result<(), rynjer_store::StoreError> = write.await;
    written.unwrap();
    let started = start(&app, &proven, None, Some(HERE), true).await;
    assert_eq!(started.err(), Some(Error::SignInRefused));
    let proven = guess(&app, EMAIL, OLD, Some(HERE)).await.unwrap();
    let id = proven.id.clone();
    let write = app.store.write(move |tx| owner::set_disabled(tx, &id, Some(now_ms)));
    let written: Result<(), rynjer_store::StoreError> = write.await;
    written.unwrap();
    let started = start(&app, &proven, None, Some(HERE), true).await;
    assert_eq!(started.err(), Some(Error::SignInRefused));
    assert_eq!(sessions(&app, &proven.id).await, 0);
    gateway.shutdown().await;
}
