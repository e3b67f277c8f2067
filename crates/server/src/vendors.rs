//! The providers of a process: the sandbox, and each vendor whose key its operator gave.
//!
//! Invariant: a vendor without a key is not there; a key file that can't be read stops the start. Not here:
//! which task goes where (`app::vendor`).

use crate::{
    app::vendor::{self, Vendors},
    config::{self, Config, SecretText, Vendor},
    gateway::StartError,
};
use rynjer_core::catalog::Catalog;
use rynjer_providers::{
    Provider, Registry,
    ark::Ark,
    dashscope::DashScope,
    fal::Fal,
    google::{CloudSettings, Google},
    host::{Place, place},
    kie::Kie,
    openai::OpenAi,
    replicate::Replicate,
    sandbox::{Sandbox, SandboxSettings},
    upstream::{ApiKey, VendorSettings},
    xai::Xai,
};
use std::{collections::BTreeMap, path::Path, sync::Arc};
use url::Url;

/// How long one output may take to come.
const FETCH_TIMEOUT_MS: u32 = 120_000;

/// All providers, and what is known about them.
pub(crate) fn open(config: &Config, catalog: &Catalog) -> Result<(Registry, Vendors), StartError> {
    let sandbox = Sandbox::new(SandboxSettings {
        max_parallel_renders: match config.sandbox.parallel_renders {
            0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            renders => renders,
        },
        triggers: config.sandbox.triggers,
        allow_crash: config.sandbox.allow_crash,
    });
    let mut opened =
        Opened { config, registry: Registry::default().with(Arc::new(sandbox)), by_name: BTreeMap::new() };
    let openai = &config.openai;
    opened.add("openai", &openai.vendor, |settings| OpenAi::new(settings, openai.idempotency_key))?;
    let cloud = cloud(&config.google)?;
    opened.add("google", &config.google.vendor, |settings| Google::new(settings, cloud))?;
    opened.add("xai", &config.xai, Xai::new)?;
    opened.add("dashscope", &config.dashscope, DashScope::new)?;
    opened.add("ark", &config.ark, Ark::new)?;
    let jwks_url = Url::parse(&config.fal.jwks_url);
    let jwks_url = jwks_url.map_err(|error| StartError::Vendor("fal", error.to_string()))?;
    opened.add("fal", &config.fal.vendor, |settings| Fal::new(settings, jwks_url))?;
    let kie = &config.kie;
    opened.add("kie", &kie.vendor, |settings| Kie::new(settings, optional(&kie.webhook_key)))?;
    let (replicate, routes) = (&config.replicate, catalog.vendor_routes());
    opened.add("replicate", &replicate.vendor, |settings| {
        Replicate::new(settings, optional(&replicate.webhook_secret), routes)
    })?;
    Ok((opened.registry, Vendors { by_name: opened.by_name }))
}

struct Opened<'a> {
    config: &'a Config,
    registry: Registry,
    by_name: BTreeMap<&'static str, vendor::Vendor>,
}

impl Opened<'_> {
    fn add<P: Provider + 'static, E: std::fmt::Display>(
        &mut self,
        name: &'static str,
        vendor: &Vendor,
        make: impl FnOnce(VendorSettings) -> Result<P, E>,
    ) -> Result<(), StartError> {
        if !vendor.is_on() {
            return Ok(());
        }
        let refused = |problem: String| StartError::Vendor(name, problem);
        let settings = settings(self.config, vendor).map_err(refused)?;
        let base_url = settings.base_url.clone();
        let provider = make(settings).map_err(|error| refused(error.to_string()))?;
        self.registry = std::mem::take(&mut self.registry).with(Arc::new(provider));
        let facts = vendor::Vendor {
            can_reach_us: place(&base_url) == Place::Loopback || self.config.server.is_public(),
            concurrency: usize::try_from(vendor.concurrency).unwrap_or(usize::MAX),
        };
        self.by_name.insert(name, facts);
        Ok(())
    }
}

/// What an adapter needs of a vendor's section.
fn settings(config: &Config, vendor: &Vendor) -> Result<VendorSettings, String> {
    let base_url = Url::parse(&vendor.base_url).map_err(|error| error.to_string())?;
    let key = secret(&vendor.api_key, vendor.api_key_file.as_deref())?;
    if key.trim().is_empty() {
        return Err("its key is empty".to_owned());
    }
    Ok(VendorSettings {
        base_url,
        api_key: ApiKey::new(&key),
        submit_timeout_ms: vendor.timeout_seconds.saturating_mul(1000),
        submits_per_second: vendor.submits_per_second,
        concurrency: vendor.concurrency,
        allow_hosts: config.inputs.allow_hosts.clone(),
        fetch_timeout_ms: FETCH_TIMEOUT_MS,
    })
}

/// A secret that stands in the settings or in a file of its own, or nowhere.
pub(crate) fn secret(text: &SecretText, file: Option<&Path>) -> Result<String, String> {
    match file {
        Some(_) if !text.expose().is_empty() => {
            Err("it has both a key and a key file: keep one of them".to_owned())
        }
        Some(path) => {
            let read = std::fs::read_to_string(path);
            read.map_err(|error| format!("its key file {} can't be read: {error}", path.display()))
        }
        None => Ok(text.expose().to_owned()),
    }
}

/// A secret that may be left out.
fn optional(secret: &SecretText) -> Option<ApiKey> {
    (!secret.expose().is_empty()).then(|| ApiKey::new(secret.expose()))
}

/// The cloud platform beside the Gemini API, if the operator has an identity there.
fn cloud(google: &config::Google) -> Result<Option<CloudSettings>, StartError> {
    let Some(path) = &google.cloud_credentials_file else { return Ok(None) };
    let refused = |problem: String| StartError::Vendor("google", problem);
    let text = std::fs::read_to_string(path)
        .map_err(|error| refused(format!("{} can't be read: {error}", path.display())))?;
    let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let base_url = named(&google.cloud_base_url).map(|url| Url::parse(&url)).transpose();
    Ok(Some(CloudSettings {
        credentials_json: ApiKey::new(&text),
        project: named(&google.cloud_project),
        location: google.cloud_location.clone(),
        base_url: base_url.map_err(|error| refused(error.to_string()))?,
        token_url: None,
    }))
}
