//! Accepting a generation: one atomic, durable decision.
//!
//! Invariant: the checks run in the contract's order, and a repeated request id is answered before any check
//! that may have changed since. Not here: making the thing (`worker`).

use crate::{
    app::{
        Error, Field,
        body::TaskBody,
        caller::Caller,
        input, model, moderation,
        normalize::Wanted,
        pause, policy, quote,
        request::Fields,
        restoration, route, task,
        vendor::{self, Served},
    },
    entropy,
    state::App,
    trace,
};
use rynjer_api::{GenerateRequest, Routed, TaskAnswer};
use rynjer_core::{
    catalog::{Need, Plan, Product},
    credits::Credits,
    fingerprint::Fingerprint,
    id::{TaskId, UsageId},
    ledger::{Accept, Command, NewTask, Outcome, Refusal, RunLimit},
    scope::Scope,
};
use rynjer_store::task::{self as tasks, TaskRow};
use serde_json::{Value, json};

const METADATA_PAIRS_MAX: usize = 16;
const METADATA_KEY_MAX: usize = 64;
const METADATA_VALUE_MAX: usize = 512;

/// The typed body of a request.
struct Request {
    request_id: String,
    wanted: Wanted,
    prompt: Option<String>,
    negative_prompt: Option<String>,
    seed: Option<i64>,
    max_credits: Option<i64>,
    quote_id: Option<String>,
    run: Option<RunLimit>,
    metadata: Option<String>,
    warnings: Vec<String>,
}

/// What passed every check before that of the inputs.
struct Checked {
    plan: Plan,
    /// Why it is this model, if the gateway chose it.
    routed: Option<Routed>,
    served: Served,
    price_version: String,
    unit_price: Credits,
}

/// A request that passed every check but the ledger's.
struct Prepared {
    accept: Accept,
    row: TaskRow,
    body: TaskBody,
}

/// An accepted or repeated task.
pub(crate) struct Generated {
    pub(crate) task: TaskAnswer,
    pub(crate) replayed: bool,
}

/// Accepts a generation, or answers with the task that its request id stands for.
pub(crate) async fn generate(
    app: &App,
    caller: &Caller,
    fields: &Fields,
    idempotency_key: Option<&str>,
) -> Result<Generated, Error> {
    let request = read(fields, idempotency_key)?;
    let fingerprint = fingerprint(app, &request);
    quote::meet(app, request.quote_id.as_deref()).await;
    pause::look(app).await?;
    let checked = match prepare(app, caller, &request) {
        Ok(checked) => checked,
        Err(refused) => {
            let known = replayed(app, caller, &request, &fingerprint).await?;
            return known.ok_or(refused);
        }
    };
    let urls = &request.wanted.input_image_urls;
    let inputs = if urls.is_empty() {
        Vec::new()
    } else {
        // A repetition stores nothing again, and may name files that are gone by now.
        if let Some(known) = replayed(app, caller, &request, &fingerprint).await? {
            return Ok(known);
        }
        match input::resolve(
            app,
            caller,
            urls,
            app.config.worker.longest_seconds(checked.plan.model.max_seconds),
        )
        .await
        {
            Ok(inputs) => inputs,
            Err(refused) => {
                // Its twin may have been accepted while this one looked for its files.
                let known = replayed(app, caller, &request, &fingerprint).await?;
                return known.ok_or(refused);
            }
        }
    };
    let Prepared { accept, row, body } = new_task(app, caller, &request, &fingerprint, checked, inputs);
    let warnings = request.warnings.clone();
    match app.store.submit(app.now_ms(), Command::Accept(Box::new(accept))).await? {
        Outcome::Accepted { .. } => {
            app.hub.work_arrived();
            let task = task::answer_with(app, caller.live, &row, Some(&body), warnings)?;
            Ok(Generated { task, replayed: false })
        }
        Outcome::Replayed { task } => replay(app, caller, &task, warnings).await,
        Outcome::Refused(refusal) => Err(shown_refusal(caller, refusal)),
        other => Err(Error::internal(format!("an accept ended as {other:?}"))),
    }
}

/// Without `credits:read`, a refusal tells only what this caller may still spend.
fn shown_refusal(caller: &Caller, refusal: Refusal) -> Error {
    match refusal {
        Refusal::InsufficientCredits { required, spendable, .. }
            if !caller.scopes.contains(Scope::CreditsRead) =>
        {
            Error::Ledger(Refusal::InsufficientCredits { required, available: spendable, spendable })
        }
        other => Error::Ledger(other),
    }
}

async fn replay(app: &App, caller: &Caller, id: &TaskId, warnings: Vec<String>) -> Result<Generated, Error> {
    let (account, id) = (caller.account.clone(), id.clone());
    let row = app.store.read(move |tx| Ok::<_, Error>(tasks::by_id(tx, &account, None, &id)?)).await?;
    let row = row.ok_or_else(|| Error::internal("a replayed task is gone"))?;
    Ok(Generated { task: task::answer(app, caller.live, &row, warnings)?, replayed: true })
}

/// The task that a request repeats, if it is a repetition; one that differs is refused.
async fn replayed(
    app: &App,
    caller: &Caller,
    request: &Request,
    fingerprint: &Fingerprint,
) -> Result<Option<Generated>, Error> {
    let (account, agent) = (caller.account.clone(), caller.principal().to_owned());
    let request_id = request.request_id.clone();
    let found = app
        .store
        .read(move |tx| Ok::<_, Error>(tasks::by_request(tx, &account, &agent, &request_id)?))
        .await?;
    let Some(row) = found else { return Ok(None) };
    let stored = Fingerprint::decode(&row.fingerprint);
    let mut differing = stored.map_or_else(Vec::new, |stored| stored.differing_fields(fingerprint));
    // A model that has left the catalog no longer tells its product.
    let model = &request.wanted.model;
    let told = model == route::AUTO || app.catalog.model(model).is_some();
    differing.retain(|field| field != "product" || told);
    if differing.is_empty() {
        let task = task::answer(app, caller.live, &row, request.warnings.clone())?;
        return Ok(Some(Generated { task, replayed: true }));
    }
    Err(Error::Ledger(Refusal::RequestIdReused { fields: differing }))
}

fn read(fields: &Fields, idempotency_key: Option<&str>) -> Result<Request, Error> {
    let mut problems = Vec::new();
    fields.refuse_misspelt(GenerateRequest::FIELDS, "", &mut problems);
    let request_id = fields.opt_str("request_id", &mut problems).or(idempotency_key);
    match request_id {
        None if fields.get("request_id").is_none() => problems.push(Field::new("request_id", "is required")),
        Some(id) if !is_request_id(id) => problems.push(Field::new(
            "request_id",
            "must be 1 to 255 of A–Z a–z 0–9 . _ ~ : @ + = - and not . or ..",
        )),
        _ => {}
    }
    let wanted = Wanted::read(fields, true, &mut problems);
    input::check(&wanted.input_image_urls, &mut problems);
    let own = |name: &str, problems: &mut Vec<Field>| fields.opt_str(name, problems).map(str::to_owned);
    let request = Request {
        request_id: request_id.unwrap_or_default().to_owned(),
        prompt: own("prompt", &mut problems),
        negative_prompt: own("negative_prompt", &mut problems),
        seed: fields.opt_i64("seed", &mut problems),
        max_credits: fields.opt_not_negative("max_credits", &mut problems),
        quote_id: fields.opt_word("quote_id", 2048, &mut problems).map(str::to_owned),
        run: run(fields, &mut problems),
        metadata: metadata(fields, &mut problems),
        warnings: fields.unknown(GenerateRequest::FIELDS),
        wanted,
    };
    if request.seed.is_some_and(|seed| u32::try_from(seed).is_err()) {
        problems.push(Field::new("seed", "must be 0 to 4294967295"));
    }
    if fields.get("webhook_url").is_some() {
        problems.push(Field::new(
            "webhook_url",
            "is not offered yet; poll GET /v1/generate/{request_id}?wait=60",
        ));
    }
    if problems.is_empty() { Ok(request) } else { Err(Error::Invalid(problems)) }
}

fn is_request_id(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:@+=-".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(legal) && text != "." && text != ".."
}

fn run(fields: &Fields, problems: &mut Vec<Field>) -> Option<RunLimit> {
    let max_credits = fields.opt_not_negative("run_max_credits", problems).map(Credits);
    let Some(run_id) = fields.opt_str("run_id", problems) else {
        if max_credits.is_some() {
            problems.push(Field::new("run_max_credits", "needs `run_id`"));
        }
        return None;
    };
    if !is_request_id(run_id) {
        problems.push(Field::new("run_id", "must be 1 to 255 of A–Z a–z 0–9 . _ ~ : @ + = -"));
    }
    Some(RunLimit { run_id: run_id.to_owned(), max_credits })
}

fn metadata(fields: &Fields, problems: &mut Vec<Field>) -> Option<String> {
    let value = fields.get("metadata")?;
    let fits = value.as_object().is_some_and(|pairs| {
        let short = |(key, value): (&String, &Value)| {
            key.chars().count() <= METADATA_KEY_MAX
                && value.as_str().is_some_and(|text| text.chars().count() <= METADATA_VALUE_MAX)
        };
        pairs.len() <= METADATA_PAIRS_MAX && pairs.iter().all(short)
    });
    if !fits {
        problems.push(Field::new(
            "metadata",
            "must be at most 16 pairs of text, keys up to 64 and values up to 512 characters",
        ));
    }
    Some(value.to_string())
}

/// Hashes of the fields that make the request what it is, after shortcuts are moved and `product` and `count`
/// filled.
fn fingerprint(app: &App, request: &Request) -> Fingerprint {
    let wanted = &request.wanted;
    let known = app.catalog.model(&wanted.model).map(|model| model.product);
    let product = wanted.product.or(known).map(Product::as_str);
    let whole = |number: i128| i64::try_from(number).map_or_else(|_| json!(number.to_string()), Value::from);
    let quality_mode = wanted.taste.quality_mode.map(rynjer_core::catalog::QualityMode::as_str);
    let fields: [(&'static str, Value); 14] = [
        ("model", json!(wanted.model)),
        ("product", json!(product)),
        ("quality_mode", json!(quality_mode)),
        ("use_case", json!(wanted.taste.use_case)),
        ("scene", json!(wanted.scene.map(rynjer_core::catalog::Mode::as_str))),
        ("prompt", json!(request.prompt)),
        ("negative_prompt", json!(request.negative_prompt)),
        ("seed", json!(request.seed)),
        ("units.count", wanted.count.map_or(json!(1), whole)),
        ("units.resolution", json!(wanted.resolution)),
        ("units.duration", wanted.duration_seconds.map_or(Value::Null, whole)),
        ("units.aspect_ratio", json!(wanted.aspect_ratio)),
        ("units.preset", json!(wanted.preset)),
        (
            "input_image_urls",
            if wanted.input_image_urls.is_empty() { Value::Null } else { json!(wanted.input_image_urls) },
        ),
    ];
    let borrowed: Vec<(&'static str, &Value)> = fields.iter().map(|(name, value)| (*name, value)).collect();
    Fingerprint::of(&borrowed)
}

fn scope_of(product: Product) -> Scope {
    match product {
        Product::Image => Scope::Image,
        Product::Video => Scope::Video,
        Product::Music => Scope::Music,
    }
}

/// Everything between the idempotency check and the inputs, in the contract's order.
fn prepare(app: &App, caller: &Caller, request: &Request) -> Result<Checked, Error> {
    restoration::refuse(app)?;
    let wanted = &request.wanted;
    let prompt_chars =
        request.prompt.as_deref().map(|p| if p.trim().is_empty() { 0 } else { p.chars().count() });
    let asked = rynjer_core::catalog::Asked {
        prompt_chars,
        negative_prompt: request.negative_prompt.is_some(),
        seed: request.seed.is_some(),
        ..wanted.asked()
    };
    let limits = (request.max_credits, request.quote_id.as_deref());
    if let Some(product) = route::product(app, wanted, &asked) {
        caller.needs(scope_of(product))?;
    }
    input::check_places(app, &wanted.input_image_urls)?;
    let chosen = route::choose(app, caller, wanted, &asked, limits)?;
    if let Some(product) = chosen.product(app) {
        caller.needs(scope_of(product))?;
    }
    let plan = chosen.plan(app, &asked)?;
    let texts =
        [("prompt", request.prompt.as_deref()), ("negative_prompt", request.negative_prompt.as_deref())];
    moderation::check(app.prompt_check.as_deref(), texts)?;
    let served = model::closed(app, caller, &plan.model.name)
        .and_then(|()| vendor::choose(app, caller.live, &plan, &need(request, &plan)));
    let served = served.map_err(|reason| Error::ModelUnavailable {
        reason,
        alternatives: model::alternatives(app, caller, plan.product),
    })?;
    let (price_version, unit_price) = priced(app, caller, request, &plan)?;
    if caller.agent_paused {
        return Err(Error::AgentPaused);
    }
    Ok(Checked { plan, routed: chosen.routed, served, price_version, unit_price })
}

/// What the request needs of whoever makes it.
fn need<'a>(request: &Request, plan: &'a Plan) -> Need<'a> {
    let fallback = plan.model.prompt_default.as_deref();
    let prompt = request.prompt.as_deref().filter(|prompt| !prompt.trim().is_empty()).or(fallback);
    Need {
        mode: plan.mode,
        resolution: plan.resolution.as_deref(),
        aspect_ratio: plan.aspect_ratio.as_deref(),
        duration_seconds: plan.duration_seconds,
        input_images: request.wanted.input_image_urls.len(),
        prompt_chars: prompt.map_or(0, |prompt| prompt.chars().count()),
        negative_prompt: request.negative_prompt.is_some(),
        seed: request.seed.is_some(),
    }
}

/// The price version and unit price that hold for this request: the lower of quoted and current.
fn priced(app: &App, caller: &Caller, request: &Request, plan: &Plan) -> Result<(String, Credits), Error> {
    let preset = request.wanted.preset.as_deref();
    let pinned = request.wanted.price_version.as_deref();
    let quote = request.quote_id.as_deref();
    let quoted = quote.map(|text| quote::redeem(app, caller, plan, (text, preset))).transpose()?;
    // A quote keeps its price also while its version retires: whoever pins that version pins the quote.
    let pinned = pinned.filter(|name| quoted.as_ref().is_none_or(|(version, _)| version != name));
    let current = app.catalog.unit_price(plan, pinned).map_err(model::price_error)?;
    let (version, unit) = quoted.filter(|(_, unit)| *unit <= current.1).unwrap_or(current);
    let total = unit.checked_mul(plan.count).ok_or_else(|| Error::internal("price beyond 64 bits"))?;
    if request.max_credits.is_some_and(|max| total.0 > max) {
        return Err(Error::PriceAboveMax { price: total });
    }
    policy::check_price(caller, total)?;
    Ok((version, unit))
}

fn new_task(
    app: &App,
    caller: &Caller,
    request: &Request,
    fingerprint: &Fingerprint,
    checked: Checked,
    input_image_urls: Vec<String>,
) -> Prepared {
    let Checked { plan, routed, served, price_version, unit_price } = checked;
    let now_ms = app.now_ms();
    let fallback = plan.model.prompt_default.clone().unwrap_or_default();
    let prompt = request.prompt.clone().filter(|prompt| !prompt.trim().is_empty()).unwrap_or(fallback);
    let body = TaskBody {
        prompt,
        negative_prompt: request.negative_prompt.clone(),
        input_image_urls,
        // A seed of our own is stored, so that a repeated attempt makes the same thing.
        seed: request
            .seed
            .and_then(|seed| u64::try_from(seed).ok())
            .unwrap_or_else(|| u64::from(u32::from_be_bytes(entropy::bytes()))),
        seed_named: request.seed.is_some(),
        resolution: plan.resolution.clone(),
        aspect_ratio: plan.aspect_ratio.clone(),
        preset: request.wanted.preset.clone(),
        routed,
        duration_seconds: plan.duration_seconds,
        trace: trace::to_go_on(),
        width: plan.width,
        height: plan.height,
    };
    let new = NewTask {
        id: TaskId::new(now_ms, entropy::id()),
        usage_id: UsageId::new(now_ms, entropy::id()),
        agent: caller.agent.clone(),
        key: caller.key.clone(),
        request_id: request.request_id.clone(),
        fingerprint: fingerprint.encode(),
        model: plan.model.name.clone(),
        product: plan.product.as_str(),
        mode: plan.mode.as_str(),
        provider: served.provider,
        vendor_model: served.vendor_model,
        price_version,
        unit_price,
        count: plan.count,
        deadline_at_ms: now_ms + i64::from(app.config.worker.longest_seconds(plan.model.max_seconds)) * 1000,
        body: body.to_stored(),
        metadata: request.metadata.clone(),
    };
    let row = task::fresh_row(caller, &new, request.run.as_ref().map(|run| run.run_id.clone()), now_ms);
    let accept = Accept {
        account: caller.account.clone(),
        task: new,
        run: request.run.clone(),
        open_tasks_max: i64::from(app.config.limits.open_tasks_per_account),
    };
    Prepared { accept, row, body }
}
