//! `rynjer serve`: run the gateway until a signal ends it.
//!
//! Invariant: whatever stops it before it listens is one sentence on stderr; a signal lets requests finish,
//! a second one does not. Not here: the gateway.

pub(crate) mod settings;
mod trace;

use crate::{
    cli::{Role, Serve},
    failure::Failure,
    folder, in_runtime, print,
    signal::Signals,
    terminal::{self, Style},
    words::count,
};
use rynjer_server::{
    checkup,
    clock::Clock,
    config::{Config, LogFormat},
    gateway::{self, Gateway, Options},
};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicI64},
};
use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Runs `rynjer serve …`.
pub(crate) fn run(arguments: &Serve, json: bool) -> Result<(), Failure> {
    let loaded = settings::load(arguments)?;
    loaded.warnings.iter().for_each(|warning| print::warn(warning));
    if arguments.print_config {
        return print_config(&loaded.config, json);
    }
    let data_dir = folder::data_dir(arguments.place.data_dir.as_deref())?;
    let master_key = settings::master_key()?;
    trace::refuse_foreign(&loaded.config.trace)?;
    let options = Options {
        config: loaded.config,
        data_dir: data_dir.clone(),
        role: match arguments.role {
            Role::Api => gateway::Role::Api,
            Role::Worker => gateway::Role::Worker,
            Role::All => gateway::Role::All,
        },
        clock: if arguments.test_clock { Clock::Moved(Arc::new(AtomicI64::new(0))) } else { Clock::System },
        master_key,
    };
    in_runtime(serve(options, data_dir, arguments, json))
}

async fn serve(options: Options, data_dir: PathBuf, arguments: &Serve, json: bool) -> Result<(), Failure> {
    // Where it is not given, the folder's; at the very first start there is none yet, nor another process.
    let master_key = options.master_key.or_else(|| checkup::master_key(&data_dir).ok().flatten());
    let spans = trace::Spans::open(&options.config.trace, master_key.as_ref())?;
    logging(&options.config, spans.as_ref())?;
    let served = run_gateway(options, data_dir, arguments, json).await;
    if let Some(spans) = spans {
        spans.flush().await;
    }
    served
}

async fn run_gateway(
    options: Options,
    data_dir: PathBuf,
    arguments: &Serve,
    json: bool,
) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let gateway = tokio::select! {
        started = Box::pin(Gateway::start(options)) => started?,
        () = signals.next() => return Ok(()),
    };
    if arguments.test_clock
        && let Err(refusal) = refuse_live(&gateway).await
    {
        Box::pin(gateway.shutdown()).await;
        return Err(refusal);
    }
    if let Err(failure) = announce(&gateway, &data_dir, arguments, json).await {
        Box::pin(gateway.shutdown()).await;
        return Err(failure);
    }
    signals.next().await;
    print::talk("stopping: requests under way may finish; a second signal stops at once");
    tokio::select! {
        () = Box::pin(gateway.shutdown()) => {
            print::talk("stopped");
            Ok(())
        }
        () = signals.next() => Err(Failure::failed("stopped before requests under way had finished")),
    }
}

/// Time that tests move has no place beside credits that were paid for.
async fn refuse_live(gateway: &Gateway) -> Result<(), Failure> {
    let accounts = gateway.admin().account_list().await?;
    let live = accounts.iter().filter(|account| account.mode == "live").count();
    if live == 0 {
        return Ok(());
    }
    let number = count(live, "live account", "live accounts");
    Err(Failure::failed(format!("--test-clock is refused: the database holds {number}")))
}

async fn announce(gateway: &Gateway, data_dir: &Path, arguments: &Serve, json: bool) -> Result<(), Failure> {
    let base_url = gateway.base_url();
    let place = folder::arguments(&arguments.place, data_dir);
    let first = format!("rynjer admin account create --email you@example.com {place}");
    // The first who opens it becomes the operator.
    let setup = match gateway.address() {
        Some(_) => gateway.admin().setup_link(base_url).await?,
        None => None,
    };
    let metrics = gateway.metrics_address().map(|address| format!("http://{address}/metrics"));
    if json {
        let value = json!({
            "base_url": base_url,
            "address": gateway.address().map(|address| address.to_string()),
            "metrics_url": metrics,
            "docs_url": format!("{base_url}/docs"),
            "console_url": format!("{base_url}/login"),
            "setup_url": setup,
            "data_dir": data_dir.to_string_lossy(),
        });
        return print::line(&value.to_string());
    }
    let style = terminal::stderr();
    let mut lines = Vec::new();
    match gateway.address() {
        Some(_) => {
            lines.push(format!("rynjer listens on {}", style.bold(base_url)));
            lines.push(format!("  {}     {base_url}/docs", style.dim("docs")));
            lines.push(format!("  {}   {base_url}/llms.txt", style.dim("agents")));
        }
        None => lines.push("rynjer works on what gateways of the same database accept".to_owned()),
    }
    if let Some(metrics) = metrics {
        lines.push(format!("  {}  {metrics}", style.dim("metrics")));
    }
    lines.push(format!("  {}     {}", style.dim("data"), data_dir.display()));
    if let Some(link) = &setup {
        lines.push(format!("  {}   {link}", style.dim("set up")));
    } else if gateway.address().is_some() {
        lines.push(format!("  {}  {base_url}/login", style.dim("console")));
    }
    let none_yet = gateway.admin().account_list().await?.is_empty();
    let label = if none_yet { "or make an account here:" } else { "make an account here:" };
    lines.push(format!("  {}  {first}", style.dim(label)));
    lines.push(format!("  {}", style.dim("Ctrl-C stops it")));
    print::talk(&lines.join("\n"));
    Ok(())
}

fn print_config(config: &Config, json: bool) -> Result<(), Failure> {
    let failed = |error: String| Failure::failed(format!("can't print the settings: {error}"));
    if json {
        let value = serde_json::to_value(config).map_err(|error| failed(error.to_string()))?;
        return print::line(&value.to_string());
    }
    print::line(&config.to_toml_text().map_err(|error| failed(error.to_string()))?)
}

/// Libraries that print what they carry when they are asked for details: SQL parameters with prompts in them,
/// headers with signatures.
const CARRIERS: [&str; 7] =
    ["tokio_postgres", "postgres", "hyper", "h2", "reqwest", "object_store", "rustls"];

/// Whether an event is free of what people sent, whatever the settings ask for.
fn tells_no_values(target: &str, level: Level) -> bool {
    let library = target.split("::").next().unwrap_or_default();
    level <= Level::INFO || !CARRIERS.iter().any(|carrier| library.starts_with(carrier))
}

/// Sends events to stderr, as the settings say, and spans to whoever collects them.
fn logging(config: &Config, spans: Option<&trace::Spans>) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.log.filter).map_err(|error| {
        Failure::failed(format!("log.filter {:?} is no filter: {error}", config.log.filter))
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log.format {
        LogFormat::Text => lines.with_ansi(terminal::stderr() != Style::PLAIN).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let lines =
        lines.with_filter(filter.and(filter_fn(|event| tells_no_values(event.target(), *event.level()))));
    // One filter each: what is logged and what is traced have nothing to do with each other.
    let registry = tracing_subscriber::registry().with(lines);
    let set = match spans {
        Some(spans) => registry.with(spans.layer()).try_init(),
        None => registry.try_init(),
    };
    set.map_err(|error| Failure::failed(format!("can't log: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_library_prints_what_it_carries() {
        let rows = [
            ("tokio_postgres::query", Level::DEBUG, false),
            ("hyper_util::client", Level::TRACE, false),
            ("object_store::aws", Level::DEBUG, false),
            ("tokio_postgres::connection", Level::INFO, true),
            ("rynjer_server::http", Level::DEBUG, true),
        ];
        for (target, level, told) in rows {
            assert_eq!(tells_no_values(target, level), told, "{target}");
        }
    }
}
