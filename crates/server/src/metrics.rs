//! `/metrics` for Prometheus, on a port of its own.
//!
//! Invariant: labels have few values; no ids, no prompts. Not here: where values are counted.

use crate::state::App;
use axum::{Router, extract::State, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use rynjer_core::task::{Status, Step};
use std::{sync::OnceLock, time::Duration};

/// Bounds of everything that takes time; the limits of the promises in the documents are among them.
const SECONDS: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Bounds of how many share a commit.
const JOBS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
/// How often what was recorded is summed up, whether anybody reads it or not.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// The process-wide recorder; a second gateway in one process shares it.
fn handle() -> Option<&'static PrometheusHandle> {
    RECORDER.get_or_init(install).as_ref()
}

fn install() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new();
    let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS).ok()?;
    let builder = builder.set_buckets_for_metric(Matcher::Suffix("_jobs".to_owned()), &JOBS).ok()?;
    let handle = builder.install_recorder().ok()?;
    let kept = handle.clone();
    let upkeep = move || loop {
        std::thread::sleep(UPKEEP_EVERY);
        kept.run_upkeep();
    };
    // Without it each sample stays in memory until somebody asks for the text.
    std::thread::Builder::new().name("rynjer-metrics".to_owned()).spawn(upkeep).ok()?;
    describe();
    Some(handle)
}

/// What each name means, for whoever reads the text; kinds follow from the macros.
fn describe() {
    use metrics::{describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};
    counter!("rynjer_http_requests_total", "Requests answered, by route template and status.");
    histogram!("rynjer_http_request_seconds", "How long requests took, by route template and status class.");
    gauge!("rynjer_tasks_open", "Tasks of the whole database that are not finished.");
    gauge!("rynjer_tasks_open_by_step", "The same by the step they are in.");
    gauge!("rynjer_tasks_oldest_due_seconds", "How overdue the oldest open step is.");
    counter!("rynjer_tasks_finished_total", "Tasks that this process ended, by product and status.");
    gauge!("rynjer_ledger_findings", "Broken invariants that the last audit found.");
    histogram!("rynjer_ledger_batch_seconds", "Loading, deciding and saving one batch of ledger commands.");
    counter!("rynjer_ledger_commands_total", "Ledger commands decided in batches.");
    gauge!("rynjer_store_writes_waiting", "Jobs that wait for the writer.");
    gauge!("rynjer_store_queue_capacity", "Jobs that may wait before callers are sent away.");
    histogram!("rynjer_store_batch_jobs", "Jobs that one commit carried.");
    histogram!("rynjer_store_commit_seconds", "How long one commit took, sync included.");
    counter!("rynjer_store_commits_total", "Commits, by result.");
    counter!("rynjer_store_refused_total", "Jobs sent away because a queue was full.");
    counter!("rynjer_leases_lost_total", "Leases that ran out while this worker had the task.");
    counter!("rynjer_payment_alarms_total", "Payments that need an operator.");
    gauge!("rynjer_worker_tasks_in_hand", "Tasks in an active step in this process.");
    counter!("rynjer_sweeps_total", "Sweeps, by kind and result.");
    counter!("rynjer_provider_calls_total", "Calls of providers, by provider, call and outcome.");
    histogram!("rynjer_provider_call_seconds", "How long calls of providers took.");
    gauge!("rynjer_route_open", "1 while a route to a vendor is left alone because it failed, by route.");
    counter!("rynjer_reroutes_total", "Tasks that went on at another vendor, by both.");
    counter!("rynjer_callbacks_total", "Genuine callbacks of vendors.");
    gauge!("rynjer_build_info", "Always 1; the version is its label.");
}

/// A task was ended by this process.
pub(crate) fn task_finished(product: &str, end: Status) {
    let (product, status) = (product.to_owned(), end.as_str());
    metrics::counter!("rynjer_tasks_finished_total", "product" => product, "status" => status).increment(1);
}

/// A sweep ended.
pub(crate) fn swept(kind: &'static str, done: bool) {
    let result = if done { "done" } else { "failed" };
    metrics::counter!("rynjer_sweeps_total", "kind" => kind, "result" => result).increment(1);
}

/// Names that are there from the start, since an alert on a name that nobody serves is never raised.
fn begin(app: &App) {
    for result in ["done", "failed"] {
        metrics::counter!("rynjer_store_commits_total", "result" => result).absolute(0);
    }
    for queue in ["read", "write"] {
        metrics::counter!("rynjer_store_refused_total", "queue" => queue).absolute(0);
    }
    for kind in ["retention", "orphans", "audit", "payments"] {
        for result in ["done", "failed"] {
            metrics::counter!("rynjer_sweeps_total", "kind" => kind, "result" => result).absolute(0);
        }
    }
    metrics::counter!("rynjer_leases_lost_total").absolute(0);
    metrics::counter!("rynjer_payment_alarms_total").absolute(0);
    metrics::gauge!("rynjer_ledger_findings").increment(0.0);
    metrics::gauge!("rynjer_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    metrics::gauge!("rynjer_store_queue_capacity").set(number(app.config.database.threads.queue_capacity));
}

/// The routes of the metrics port.
pub(crate) fn router(app: App) -> Router {
    handle();
    begin(&app);
    Router::new().route("/metrics", get(text)).with_state(app)
}

async fn text(State(app): State<App>) -> String {
    if let Ok((open, oldest_due_ms)) = app.store.read(rynjer_store::admin::queue_depth).await {
        let overdue_ms = oldest_due_ms.map_or(0, |due_ms| (app.now_ms() - due_ms).max(0));
        metrics::gauge!("rynjer_tasks_open").set(number(open));
        metrics::gauge!("rynjer_tasks_oldest_due_seconds").set(number(overdue_ms / 1000));
    }
    if let Ok(open) = app.store.read(rynjer_store::admin::open_by_step).await {
        for step in [Step::Queued, Step::Submitting, Step::Submitted, Step::Storing, Step::Unknown] {
            let found = open.iter().find(|(name, _)| name == step.as_str());
            let tasks = number(found.map_or(0, |(_, tasks)| *tasks));
            metrics::gauge!("rynjer_tasks_open_by_step", "step" => step.as_str()).set(tasks);
        }
    }
    metrics::gauge!("rynjer_store_writes_waiting").set(number(app.store.writes_waiting()));
    handle().map(PrometheusHandle::render).unwrap_or_default()
}

/// A count as a figure; beyond what 32 bits hold nobody reads the difference.
fn number(count: impl TryInto<u32>) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}
