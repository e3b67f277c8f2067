//! The accept and poll rows of the speed that we owe, as ratios within one run on one machine.
//!
//! Invariant: all three figures come from the same server, the same layers and the same load, in turns. Not
//! here: judging; a person reads the table.

use crate::load::{Failure, Load, Rate, Target, measure, median};
use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use rynjer_core::{json, scope::Scopes};
use rynjer_server::{
    clock::Clock,
    config::Config,
    gateway::{Gateway, Options, Role},
};
use std::{
    io::{self, Write},
    sync::{Arc, atomic::Ordering},
};
use tokio::runtime::Builder;

/// Measures `rounds` times `seconds` each of parse, accept and poll.
pub(crate) fn run(seconds: u64, rounds: u64) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let server = Builder::new_multi_thread().enable_all().build()?;
    let client = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let more = Router::new().route("/bench/parse", post(parse));
    let flags = "[server]\nlisten = \"127.0.0.1:0\"\nmetrics_listen = \"\"\n\
                 [limits]\nrate_limits = false\nopen_tasks_per_account = 10000000\n"
        .parse()?;
    let options = Options {
        config: Config::load(None, std::iter::empty(), flags)?.config,
        data_dir: folder.path().to_owned(),
        role: Role::Api,
        clock: Clock::System,
        master_key: None,
    };
    let gateway = server.block_on(Gateway::start_with(options, more))?;
    let address = gateway.address().ok_or("no address")?;
    let key = server.block_on(account(&gateway, "bench@example.com"))?;
    let target = Arc::new(Target::new(vec![address], vec![key]));
    let mut out = io::stdout();
    writeln!(out, "round  parse/s  accept/s  accept÷parse  poll/s  poll÷parse")?;
    let mut ratios = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let rate = |load| measure(&client, &target, load, seconds).map(Rate::per_second);
        let (parse, accept, poll) = (rate(Load::Parse)?, rate(Load::Accept)?, rate(Load::Poll)?);
        ratios.0.push(accept / parse);
        ratios.1.push(poll / parse);
        let (a, p) = (accept / parse, poll / parse);
        writeln!(out, "{round:>5}  {parse:>7.0}  {accept:>8.0}  {a:>12.2}  {poll:>6.0}  {p:>10.2}")?;
    }
    writeln!(out, "median accept÷parse {:.2} (bar 0.30)", median(&mut ratios.0))?;
    writeln!(out, "median poll÷parse   {:.2} (bar 0.60)", median(&mut ratios.1))?;
    let report = server.block_on(gateway.admin().audit()).map_err(|error| format!("{error:?}"))?;
    writeln!(
        out,
        "audit of {} tasks: {} findings",
        target.accepted.load(Ordering::SeqCst),
        report.findings.len()
    )?;
    server.block_on(gateway.shutdown());
    Ok(())
}

/// The baseline: the same strict parser on the same body, and an answer.
async fn parse(_: HeaderMap, body: Bytes) -> &'static str {
    match json::parse(&body, json::Limits { max_depth: 16 }) {
        Ok(_) => "{\"code\":0,\"message\":\"ok\",\"data\":{}}",
        Err(_) => "{}",
    }
}

/// A key of an account with more credits than any load spends.
pub(crate) async fn account(gateway: &Gateway, email: &str) -> Result<String, Failure> {
    let admin = gateway.admin();
    let account = admin.account_create(email, false, 1_000_000_000_000).await;
    let account = account.map_err(|error| format!("{error:?}"))?;
    let key = admin.key_create(&account.id, Scopes::ALL, "bench").await;
    Ok(key.map_err(|error| format!("{error:?}"))?.1.expose().to_owned())
}
