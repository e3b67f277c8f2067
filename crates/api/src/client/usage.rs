//! Reports on what was spent, by the typed client.
//!
//! Invariant: a receipt is given as it was received, because its signature covers every member of it. Not
//! here: verifying it.

use super::{ANSWER_TIMEOUT, Client, ClientError, body, decode_error, path_segment, query, refusal};
use crate::usage::UsageAnswer;
use reqwest::{Method, header};
use serde_json::Value;

/// One page of the report as CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageTable {
    /// The table with its headings.
    pub text: String,
    /// The cursor of the next page; none after the last one.
    pub next_cursor: Option<String>,
}

impl Client {
    /// Reports what tasks did with credits, newest first; `parameters` are those of `GET /v1/usage`.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn usage(&self, parameters: &[(&str, &str)]) -> Result<UsageAnswer, ClientError> {
        self.get(&format!("/v1/usage{}", query(parameters))).await
    }

    /// The same as CSV.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn usage_table(&self, parameters: &[(&str, &str)]) -> Result<UsageTable, ClientError> {
        let request = self.request(Method::GET, &format!("/v1/usage{}", query(parameters)));
        let request = request.header(header::ACCEPT, "text/csv").timeout(ANSWER_TIMEOUT);
        let response = request.send().await.map_err(ClientError::Transport)?;
        let status = response.status();
        let link = response.headers().get(header::LINK).and_then(|value| value.to_str().ok());
        let next_cursor = link.and_then(cursor_of);
        let bytes = body::read(response).await?;
        if !status.is_success() {
            return Err(refusal(status, &bytes));
        }
        let text = String::from_utf8(bytes).map_err(|error| decode_error(status, error))?;
        Ok(UsageTable { text, next_cursor })
    }

    /// The signed receipt of a usage event, every member as it was received.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn receipt(&self, usage_event_id: &str) -> Result<Value, ClientError> {
        self.get(&format!("/v1/usage/{}/receipt", path_segment(usage_event_id)?)).await
    }
}

/// The cursor in `<…/v1/usage?cursor=…>; rel="next"`.
fn cursor_of(link: &str) -> Option<String> {
    let (address, _) = link.split_once('>').filter(|(_, rest)| rest.contains("next"))?;
    let url = reqwest::Url::parse(address.trim_start_matches(['<', ' '])).ok()?;
    url.query_pairs().find(|(name, _)| name == "cursor").map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_in_the_link() {
        let link = r#"<http://h:1/v1/usage?limit=2&cursor=a%2Bb>; rel="next""#;
        assert_eq!(cursor_of(link).as_deref(), Some("a+b"));
        assert_eq!(cursor_of("<http://h/>; rel=\"prev\""), None);
        assert_eq!(
            query(&[("from", "2026-01-01T00:00:00+01:00"), ("limit", "2")]),
            "?from=2026-01-01T00:00:00%2B01:00&limit=2"
        );
        assert_eq!(query(&[]), "");
    }
}
