//! `admin policy`: set and list what may be asked for.
//!
//! Invariant: what `set` does not name stays as it was. Not here: when a policy refuses (`core::policy`).

use super::{account_id, moment, open, prices::catalog, rfc3339};
use crate::{
    cli::admin::Policy as Command, failure::Failure, print, table::table, terminal::Style, words::grouped,
};
use rynjer_core::{budget::Subject, policy::Policy};
use rynjer_store::policy::PolicyRow;
use serde_json::{Value, json};

/// Runs `rynjer admin policy …`.
pub(super) async fn run(command: Command, json: bool) -> Result<(), Failure> {
    let (account, rows) = match command {
        Command::Set { account, agent, key, models, max_price, place } => {
            let admin = open(&place)?;
            let account = account_id(&admin, &account).await?;
            let (subject, id) = match (&agent, &key) {
                (Some(agent), _) => (Subject::Agent, agent.as_str()),
                (None, Some(key)) => (Subject::Key, key.as_str()),
                (None, None) => (Subject::Account, account.as_str()),
            };
            let known = admin.policy_list(&account).await?;
            let same = |row: &&PolicyRow| row.policy.subject == subject && row.subject_id == id;
            let old = known.iter().find(same).map(|row| row.policy.clone());
            let mut policy = old.unwrap_or(Policy { subject, models: None, max_price: None });
            if let Some(models) = models {
                policy.models = models.0;
            }
            if let Some(max_price) = max_price {
                policy.max_price = max_price.0;
            }
            let rows = admin.policy_set(&catalog(&place)?, &account, id, policy).await?;
            (account, rows)
        }
        Command::List { account, place } => {
            let admin = open(&place)?;
            let account = account_id(&admin, &account).await?;
            let rows = admin.policy_list(&account).await?;
            (account, rows)
        }
    };
    let objects: Vec<Value> = rows.iter().map(object).collect();
    let value = json!({"account_id": account.as_str(), "policies": objects});
    print::answer(json, &value, |style| lines(style, &rows))
}

fn object(row: &PolicyRow) -> Value {
    json!({
        "kind": row.policy.subject.as_str(),
        "subject_id": row.subject_id,
        "models": row.policy.models,
        "max_price": row.policy.max_price.map(|price| price.0),
        "updated_at": rfc3339(Some(row.updated_at_ms)),
    })
}

fn lines(style: Style, rows: &[PolicyRow]) -> String {
    let cells = rows.iter().map(|row| {
        vec![
            row.policy.subject.as_str().to_owned(),
            row.subject_id.clone(),
            row.policy.models.as_ref().map_or_else(|| "all".to_owned(), |names| names.join(", ")),
            row.policy.max_price.map_or_else(|| "-".to_owned(), |price| grouped(price.0)),
            moment(Some(row.updated_at_ms)),
        ]
    });
    let headings = ["POLICY OF", "ID", "MODELS", ">MAX PRICE", "SET"];
    table(style, &headings, &cells.collect::<Vec<_>>())
}
