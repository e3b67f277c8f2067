//! Which route to a vendor a task takes.
//!
//! Invariant: the sandbox serves test accounts, always and only; a route is taken only if it can make all
//! that is asked, which is known before the hold. Not here: what a route can do (`core::catalog`), breakers.

use crate::{
    app::{body::TaskBody, model::SANDBOX},
    state::App,
};
use rynjer_core::catalog::{Condition, Mode, Model, Need, Plan, VendorRoute};
use rynjer_providers::InputForm;
use rynjer_store::lease::Leased;
use std::collections::BTreeMap;

/// What this process knows about its vendors beside their adapters.
#[derive(Debug, Default)]
pub(crate) struct Vendors {
    pub(crate) by_name: BTreeMap<&'static str, Vendor>,
}

/// What its section of the configuration says of a vendor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vendor {
    /// Whether it can fetch what is at our public URL.
    pub(crate) can_reach_us: bool,
    /// Calls that may run at once. More of its tasks are not claimed: they would keep others' places.
    pub(crate) concurrency: usize,
}

impl Vendors {
    pub(crate) fn can_reach_us(&self, provider: &str) -> bool {
        self.by_name.get(provider).is_some_and(|vendor| vendor.can_reach_us)
    }

    pub(crate) fn concurrency(&self, provider: &str) -> usize {
        self.by_name.get(provider).map_or(usize::MAX, |vendor| vendor.concurrency)
    }
}

/// Where a task goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) provider: String,
    pub(crate) vendor_model: String,
}

impl Served {
    fn of(route: &VendorRoute) -> Self {
        Self { provider: route.provider.clone(), vendor_model: route.vendor_model.clone() }
    }

    /// The words of `served_by`.
    pub(crate) fn shown(&self) -> String {
        shown(&self.provider, &self.vendor_model)
    }
}

/// `provider/model`, without the adapter's own word for a shape of requests; the sandbox has one model.
pub(crate) fn shown(provider: &str, vendor_model: &str) -> String {
    if provider == SANDBOX {
        return SANDBOX.to_owned();
    }
    let model = match vendor_model.split_once(':') {
        Some((shape, model)) if !shape.contains('/') => model,
        _ => vendor_model,
    };
    format!("{provider}/{model}")
}

/// The routes of a model that this gateway may take, in their order, also those of a paused vendor.
fn usable<'a>(app: &'a App, model: &'a str) -> impl Iterator<Item = &'a VendorRoute> {
    app.catalog.routes_of(model).filter(|route| {
        let allowed = match route.condition {
            None => true,
            Some(Condition::Substitute) => app.config.routes.substitutes,
            Some(Condition::Relay) => app.config.routes.relays.contains(&route.provider),
        };
        let provider = app.providers.get(&route.provider);
        allowed
            && route.provider != SANDBOX
            && provider.is_some_and(|provider| provider.serves(&route.vendor_model))
    })
}

/// Whether the pictures of a request get to the vendor.
fn brings_inputs(app: &App, route: &VendorRoute, need: &Need<'_>) -> Result<(), String> {
    if need.input_images == 0 {
        return Ok(());
    }
    let form = app.providers.get(&route.provider).map(|provider| provider.input_form(&route.vendor_model));
    if form == Some(InputForm::Url) && !app.vendors.can_reach_us(&route.provider) {
        return Err(
            "it fetches input images by URL, and server.public_url is not reachable for it".to_owned()
        );
    }
    Ok(())
}

fn fits(app: &App, route: &VendorRoute, need: &Need<'_>) -> Result<(), String> {
    route.fits(need).and_then(|()| brings_inputs(app, route, need))
}

/// Who serves a model to an account, or why nobody does.
pub(crate) fn served_by(app: &App, live: bool, model: &Model) -> Result<Served, String> {
    if !live {
        return sandbox(app, &model.name);
    }
    let first = usable(app, &model.name).find(|route| !app.pauses.stops(&route.provider));
    first.map(Served::of).ok_or_else(|| nobody(app, &model.name))
}

fn sandbox(app: &App, model: &str) -> Result<Served, String> {
    match app.pauses.of_provider(SANDBOX) {
        Some(reason) => Err(reason),
        None => Ok(Served { provider: SANDBOX.to_owned(), vendor_model: model.to_owned() }),
    }
}

fn nobody(app: &App, model: &str) -> String {
    if let Some(reason) = usable(app, model).find_map(|route| app.pauses.of_provider(&route.provider)) {
        return reason;
    }
    if app.providers.names().all(|name| name == SANDBOX) {
        return "no vendor key is configured on this gateway; test accounts can use the model in the sandbox"
            .to_owned();
    }
    let mut vendors: Vec<&str> = Vec::new();
    for route in app.catalog.routes_of(model).filter(|route| route.condition.is_none()) {
        if !vendors.contains(&route.provider.as_str()) {
            vendors.push(&route.provider);
        }
    }
    if vendors.is_empty() {
        return format!("no vendor offers {model} any more, and this gateway allows no substitute for it");
    }
    format!("no configured vendor serves {model}: it comes from {}", vendors.join(", "))
}

/// The route of a new task: the first that can make it, one that works before one that is left alone.
pub(crate) fn choose(app: &App, live: bool, plan: &Plan, need: &Need<'_>) -> Result<Served, String> {
    if !live {
        return sandbox(app, &plan.model.name);
    }
    let name = &plan.model.name;
    let (mut fit, mut unfit) = (Vec::new(), Vec::new());
    for route in usable(app, name).filter(|route| !app.pauses.stops(&route.provider)) {
        match fits(app, route, need) {
            Ok(()) => fit.push(route),
            Err(reason) => unfit.push(format!("{} can't: {reason}", route.provider)),
        }
    }
    let now_ms = app.now_ms();
    let works =
        |route: &&&VendorRoute| app.breakers.lets_through(&route.provider, &route.vendor_model, now_ms);
    if let Some(route) = fit.iter().find(works).or_else(|| fit.first()) {
        return Ok(Served::of(route));
    }
    if unfit.is_empty() {
        return Err(nobody(app, name));
    }
    Err(format!("no configured vendor makes {name} as asked: {}", unfit.join("; ")))
}

/// Whether a route is neither stopped nor left alone.
fn works(app: &App, route: &VendorRoute, now_ms: i64) -> bool {
    !app.pauses.stops(&route.provider)
        && app.breakers.lets_through(&route.provider, &route.vendor_model, now_ms)
}

/// The next route of a task after the one that did not take it, of those that work.
pub(crate) fn after(app: &App, task: &Leased, body: &TaskBody) -> Option<Served> {
    if task.provider == SANDBOX {
        return None;
    }
    let need = need_of(task, body)?;
    let now_ms = app.now_ms();
    let is_this =
        |route: &VendorRoute| route.provider == task.provider && route.vendor_model == task.vendor_model;
    let mut routes = usable(app, &task.model).skip_while(|route| !is_this(route)).skip(1);
    routes.find(|route| fits(app, route, &need).is_ok() && works(app, route, now_ms)).map(Served::of)
}

/// All vendor models of a provider.
fn all_of(app: &App, provider: &str) -> Vec<String> {
    if provider == SANDBOX {
        return app.catalog.models().iter().map(|model| model.name.clone()).collect();
    }
    let routes = app.catalog.vendor_routes().iter().filter(|route| route.provider == provider);
    routes.map(|route| route.vendor_model.clone()).collect()
}

/// The vendor models of a provider that are left alone or stopped, and whose tasks have nowhere else to go:
/// they wait in the queue. The others are claimed, and go on at another route.
pub(crate) fn shut(app: &App, provider: &str, now_ms: i64) -> (Vec<String>, bool) {
    let (mut shut, probing) = if app.pauses.stops(provider) {
        (all_of(app, provider), false)
    } else {
        app.breakers.shut(provider, now_ms)
    };
    shut.retain(|vendor_model| {
        let is_this = |route: &VendorRoute| route.provider == provider && route.vendor_model == *vendor_model;
        let mut models = app.catalog.vendor_routes().iter().filter(|route| is_this(route));
        !models.any(|one| {
            let mut later = usable(app, &one.model).skip_while(|route| !is_this(route)).skip(1);
            later.any(|route| works(app, route, now_ms))
        })
    });
    (shut, probing)
}

fn need_of<'a>(task: &Leased, body: &'a TaskBody) -> Option<Need<'a>> {
    Some(Need {
        mode: Mode::parse(&task.mode)?,
        resolution: body.resolution.as_deref(),
        aspect_ratio: body.aspect_ratio.as_deref(),
        duration_seconds: body.duration_seconds,
        input_images: body.input_image_urls.len(),
        prompt_chars: body.prompt.chars().count(),
        negative_prompt: body.negative_prompt.is_some(),
        seed: body.seed_named,
    })
}
