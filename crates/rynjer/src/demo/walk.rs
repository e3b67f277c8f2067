//! The walk through the API: register, bind, key, token, models, estimate, generate, wait, download.
//!
//! Invariant: all but the owner's part goes over HTTP, through the client that anybody could use. Not here:
//! starting the gateway (`local`), what is printed at the end (`receipt`).

use super::{
    choice::Choice,
    local::Local,
    receipt::{Receipt, Saved},
    steps::Steps,
};
use crate::{
    agent::{self, Agent},
    failure::Failure,
    progress::Progress,
    save::{self, NewFile},
    words,
};
use rynjer_api::{
    BalanceAnswer, Client, CountOrUnits, EstimateAnswer, EstimateRequest, GenerateRequest, Model, TaskAnswer,
    TokenAnswer, Units,
};
use rynjer_core::scope::{Scope, Scopes};
use rynjer_store::account::AccountRow;
use serde_json::json;
use std::path::Path;

const EMAIL: &str = "owner@example.com";
const CREDITS: i64 = 1000;
const KEY_DAYS: i64 = 90;
/// Seconds that one poll waits: short, so that the bar moves.
const WAIT_SECONDS: u64 = 1;

/// Walks the whole way.
pub(super) async fn walk(
    local: &Local,
    choice: &Choice,
    folder: &Path,
    steps: &mut Steps,
) -> Result<Receipt, Failure> {
    let account = open_account(local, steps).await?;
    let client = Client::new(local.gateway.base_url())?;
    let token = identify(local, &client, &account, choice, steps).await?;
    let client = client.with_bearer(token.access_token.as_str());
    let model = find_model(&client, choice, steps).await?;
    let before = client.balance().await?;
    let units = model.defaults.clone();
    let estimate = estimate(&client, choice, &units, steps).await?;
    let accepted = generate(&client, choice, units, &estimate, steps).await?;
    let held = accepted.credits.held;
    let task = wait(&client, accepted, &model, steps).await?;
    let saved = download(&client, &task, choice, folder, steps).await?;
    let after = client.balance().await?;
    settle(&before, &after, steps);
    Ok(Receipt {
        choice: choice.clone(),
        estimated: estimate.estimated_credits,
        price_version: estimate.price_version,
        held,
        before: before.available,
        after: after.available,
        held_after: after.held,
        agent_id: token.agent_id,
        task,
        saved,
    })
}

async fn open_account(local: &Local, steps: &mut Steps) -> Result<AccountRow, Failure> {
    let account = local.gateway.admin().account_create(EMAIL, false, CREDITS).await?;
    let credits = words::grouped(CREDITS);
    steps.done("account", &format!("{EMAIL} owns a test account with {credits} free test credits"));
    Ok(account)
}

/// Register, bind, key, token.
async fn identify(
    local: &Local,
    client: &Client,
    account: &AccountRow,
    choice: &Choice,
    steps: &mut Steps,
) -> Result<TokenAnswer, Failure> {
    let admin = local.gateway.admin();
    let agent = Agent::generate(client.audience(), &admin.clock)?;
    let scopes: Scopes = [choice.scope(), Scope::CreditsRead].into_iter().collect();
    let names: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
    let request = agent.sign(json!({
        "public_key": agent.public_key(),
        "agent_name": "Demo Agent",
        "agent_version": env!("CARGO_PKG_VERSION"),
    }))?;
    let registered = client.register(&request).await?;
    steps.done("register", &format!("a new Ed25519 key is {}", registered.agent_id));
    admin.agent_bind(&registered.registration_code, &account.id, scopes, None).await?;
    steps.done("bind", &format!("the owner binds the agent, which may use {}", names.join(" and ")));
    let request = agent.sign(json!({
        "agent_id": registered.agent_id,
        "registration_code": registered.registration_code,
        "key_name": "demo-key",
        "scopes": names,
        "expires_in_days": KEY_DAYS,
    }))?;
    let key = client.create_key(&request).await?;
    steps.done("key", &format!("{} for {KEY_DAYS} days", key.key_id));
    let request = agent.sign(json!({"agent_id": registered.agent_id, "scopes": names}))?;
    let token = client.clone().with_bearer(key.api_key).issue_token(&request).await?;
    steps.done("token", &format!("an access token for {} minutes", token.expires_in / 60));
    Ok(token)
}

async fn find_model(client: &Client, choice: &Choice, steps: &mut Steps) -> Result<Model, Failure> {
    let list = client.models().await?;
    let number = list.models.len();
    let found = list.models.into_iter().find(|model| model.model == choice.model);
    let model =
        found.ok_or_else(|| Failure::failed(format!("the gateway does not list {}", choice.model)))?;
    steps.done("models", &format!("{number} models in price version {}", list.price_version));
    if model.available {
        return Ok(model);
    }
    let reason = model.reason_unavailable.unwrap_or_else(|| "nothing serves it".to_owned());
    Err(Failure::failed(format!("{} is not available: {reason}", choice.model)))
}

async fn estimate(
    client: &Client,
    choice: &Choice,
    units: &Units,
    steps: &mut Steps,
) -> Result<EstimateAnswer, Failure> {
    let request = EstimateRequest {
        model: choice.model.clone(),
        units: Some(CountOrUnits::Units(units.clone())),
        ..EstimateRequest::default()
    };
    let estimate = client.estimate(&request).await?;
    let price = words::credits(estimate.estimated_credits);
    steps.done("estimate", &format!("{} costs {price}", shape(&choice.model, units)));
    Ok(estimate)
}

/// A model with the units that were asked for.
fn shape(model: &str, units: &Units) -> String {
    let seconds = units.duration.as_ref().and_then(rynjer_api::DurationSeconds::seconds);
    let parts = [units.resolution.clone(), units.aspect_ratio.clone(), seconds.map(|s| format!("{s} s"))];
    let parts: Vec<String> = [model.to_owned()].into_iter().chain(parts.into_iter().flatten()).collect();
    parts.join(" ")
}

async fn generate(
    client: &Client,
    choice: &Choice,
    units: Units,
    estimate: &EstimateAnswer,
    steps: &mut Steps,
) -> Result<TaskAnswer, Failure> {
    let request = GenerateRequest {
        request_id: Some(format!("demo-{}", agent::nonce())),
        model: choice.model.clone(),
        prompt: Some(choice.prompt.clone()),
        units: Some(units),
        quote_id: Some(estimate.quote_id.clone()),
        max_credits: Some(estimate.estimated_credits),
        ..GenerateRequest::default()
    };
    let task = client.generate(&request).await?;
    let held = words::credits(task.credits.held);
    steps.done("generate", &format!("{} is accepted, {held} held", task.task_id));
    Ok(task)
}

async fn wait(
    client: &Client,
    mut task: TaskAnswer,
    model: &Model,
    steps: &mut Steps,
) -> Result<TaskAnswer, Failure> {
    let progress = Progress::parts("waiting");
    while !task.status.is_final() {
        task = client.poll(&task.request_id, WAIT_SECONDS).await?;
        progress.reach_share(task.progress.unwrap_or_default());
    }
    drop(progress);
    let by = task.served_by.as_deref().unwrap_or("nobody");
    let detail = match task.outputs.len() {
        0 => "the task failed".to_owned(),
        _ => format!("{by} made the {}", model.unit),
    };
    steps.done("wait", &detail);
    Ok(task)
}

async fn download(
    client: &Client,
    task: &TaskAnswer,
    choice: &Choice,
    folder: &Path,
    steps: &mut Steps,
) -> Result<Vec<Saved>, Failure> {
    let mut saved = Vec::new();
    for output in &task.outputs {
        let url = output.url.as_deref().ok_or_else(|| Failure::failed("an output has no address"))?;
        let mut file = NewFile::create(folder)?;
        let promised = u64::try_from(output.bytes).unwrap_or_default();
        let progress = Progress::bytes("downloading", promised);
        let size = client.download_to(url, promised, &mut file, |done, _| progress.reach_bytes(done)).await?;
        drop(progress);
        let stem = format!("rynjer-demo-{}", choice.product.as_str());
        let path = file.keep(&output.sha256, folder, &stem, save::extension(&output.mime))?;
        steps.done("download", &format!("{}, SHA-256 is right", words::size(size)));
        saved.push(Saved { path, output: output.clone() });
    }
    Ok(saved)
}

fn settle(before: &BalanceAnswer, after: &BalanceAnswer, steps: &mut Steps) {
    let (before, after) = (words::grouped(before.available), words::grouped(after.available));
    steps.done("balance", &format!("{before} credits before, {after} after"));
}
