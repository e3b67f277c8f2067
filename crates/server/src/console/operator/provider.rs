//! `/operator/providers`: how providers do, what they cost, and the processes of this installation.
//!
//! Invariant: a cost that nobody knows is told as unknown, never as zero. Not here: the sums
//! (`app::operator`).

use super::tag_of;
use crate::{
    app::{
        operator::{self, ProviderHealth},
        session::Session,
    },
    console::{
        fault::Fault,
        frame::{Frame, page},
        guard::Operator,
        shown,
    },
    http::extract::Shared,
};
use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    response::Response,
    routing::get,
};
use rynjer_store::reconcile::OfModel;
use serde::Deserialize;

pub(super) const PATH: &str = "/operator/providers";
/// How far back figures go unless the address says so.
pub(super) const DAYS: u32 = 1;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route(PATH, get(show))
}

#[derive(Deserialize)]
struct Asked {
    days: Option<u32>,
}

#[derive(Template)]
#[template(path = "operator_providers.html")]
struct Page {
    frame: Frame,
    problem: String,
    days: u32,
    providers: Vec<Provider>,
    faults: Vec<FaultLine>,
    costs: Vec<Cost>,
    /// Whether anybody said what a credit is worth.
    priced: bool,
    losses: Vec<Loss>,
    nodes: Vec<Node>,
}

struct Provider {
    name: String,
    state: &'static str,
    tag: &'static str,
    /// Why an operator stopped it.
    paused: Option<String>,
    /// What is the matter, a sentence for each route.
    matter: Vec<String>,
    waiting: String,
    under_way: String,
    succeeded: String,
    failed: String,
}

impl Provider {
    fn of(health: &ProviderHealth, now_ms: i64) -> Self {
        let shut = health.ailing.iter().any(|route| route.shut_until_ms.is_some());
        let state = if health.paused.is_some() {
            "paused"
        } else if shut {
            "shut"
        } else if health.ailing.is_empty() {
            "active"
        } else {
            "ailing"
        };
        let matter = health.ailing.iter().map(|route| match route.shut_until_ms {
            Some(until_ms) => {
                let until = shown::ago(until_ms, now_ms);
                format!("{}: {} failures; tried again {until}", route.vendor_model, route.failures)
            }
            None => format!("{}: {} failures", route.vendor_model, route.failures),
        });
        Self {
            name: health.name.clone(),
            state,
            tag: tag_of(state),
            paused: health.paused.clone(),
            matter: matter.collect(),
            waiting: shown::credits(health.waiting),
            under_way: shown::credits(health.under_way),
            succeeded: shown::credits(health.succeeded),
            failed: shown::credits(health.failed),
        }
    }
}

struct FaultLine {
    at: String,
    provider: String,
    model: String,
    state: String,
    detail: String,
}

struct Cost {
    model: String,
    tasks: String,
    charged: String,
    cost: String,
    margin: String,
}

impl Cost {
    fn of(model: &OfModel, credit_micro_usd: i64) -> Self {
        let known = usd(model.vendor_cost_micro_usd);
        let earned = model.charged.saturating_mul(credit_micro_usd);
        let margin = match (credit_micro_usd > 0, model.cost_unknown) {
            (false, _) => "no price of a credit is set".to_owned(),
            (true, 0) => usd(earned - model.vendor_cost_micro_usd),
            (true, _) => "unknown".to_owned(),
        };
        Self {
            model: model.model.clone(),
            tasks: shown::credits(model.tasks),
            charged: shown::credits(model.charged),
            cost: match model.cost_unknown {
                0 => known,
                unknown => format!("{known} and {unknown} unknown"),
            },
            margin,
        }
    }
}

struct Loss {
    at: String,
    provider: String,
    task: String,
    job: String,
    loss: String,
}

struct Node {
    id: String,
    role: String,
    version: String,
    started: String,
    seen: String,
}

/// Millionths of a US dollar.
fn usd(micro: i64) -> String {
    let (sign, micro) = (if micro < 0 { "−" } else { "" }, micro.unsigned_abs());
    format!("{sign}${}.{:04}", micro / 1_000_000, micro % 1_000_000 / 100)
}

async fn show(
    State(shared): State<Shared>,
    Operator(session): Operator,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    providers_page(&shared, &session, asked.days.unwrap_or(DAYS).clamp(1, 365), String::new()).await
}

pub(super) async fn providers_page(
    shared: &Shared,
    session: &Session,
    days: u32,
    problem: String,
) -> Result<Response, Fault> {
    let (fault, app) = (|error| Fault::of(error, &shared.app), &shared.app);
    let hand = session.operator_hand(app).map_err(fault)?;
    let view = operator::providers(app, &hand, days).await.map_err(fault)?;
    let frame = Frame::new(app, session, PATH, "Providers");
    page(shared, &Page { problem, ..page_of(frame, &view, days, shared) })
}

fn page_of(frame: Frame, view: &operator::ProviderView, days: u32, shared: &Shared) -> Page {
    let (now_ms, worth) = (shared.app.now_ms(), i64::from(shared.app.config.routes.credit_micro_usd));
    let faults = view.faults.iter().map(|fault| FaultLine {
        at: shown::minute(fault.at_ms),
        provider: fault.provider.clone(),
        model: fault.model.clone(),
        state: fault.state.clone(),
        detail: fault.detail.clone(),
    });
    let losses = view.reckoning.unmatched.iter().take(20).map(|loss| Loss {
        at: shown::minute(loss.at_ms),
        provider: loss.provider.clone(),
        task: loss.task.clone(),
        job: if loss.provider_task_id.is_empty() { "unknown" } else { &loss.provider_task_id }.to_owned(),
        loss: shown::credits(loss.loss),
    });
    let nodes = view.nodes.iter().map(|node| Node {
        id: shown::short(&node.id),
        role: node.role.clone(),
        version: node.version.clone(),
        started: shown::ago(node.started_at_ms, now_ms),
        seen: shown::ago(node.seen_at_ms, now_ms),
    });
    Page {
        frame,
        problem: String::new(),
        days,
        providers: view.providers.iter().map(|health| Provider::of(health, now_ms)).collect(),
        faults: faults.collect(),
        costs: view.reckoning.models.iter().map(|model| Cost::of(model, worth)).collect(),
        priced: worth > 0,
        losses: losses.collect(),
        nodes: nodes.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_of_vendors_is_shown_to_a_hundredth_of_a_cent() {
        assert_eq!([0, 40_000, -1_234_567].map(usd), ["$0.0000", "$0.0400", "−$1.2345"]);
    }
}
