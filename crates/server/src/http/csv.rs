//! Usage as CSV (RFC 4180), for spreadsheets.
//!
//! Invariant: no cell is a formula: what a caller chose and a spreadsheet might run is made plain text. Not
//! here: which events.

use crate::app::{Error, request::Fields};
use axum::{body::Body, response::Response};
use csv::{Terminator, WriterBuilder};
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, header};
use rynjer_api::UsageEvent;

const COLUMNS: [&str; 19] = [
    "usage_event_id",
    "task_id",
    "request_id",
    "status",
    "model",
    "product",
    "agent_id",
    "key_id",
    "run_id",
    "price_version",
    "unit_price",
    "count",
    "held",
    "charged",
    "released",
    "refunded",
    "mode",
    "created_at",
    "finished_at",
];

const KIND: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8; header=present");

/// Whether the caller asks for CSV.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = values.flat_map(|value| value.split(',')).filter_map(|kind| kind.split(';').next());
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case("text/csv"))
}

/// The address of the next page of the same report.
pub(crate) fn next_page(base_url: &str, fields: &Fields, cursor: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields.object().iter().filter(|(name, _)| *name != "cursor") {
        query.append_pair(name, value.as_str().unwrap_or_default());
    }
    query.append_pair("cursor", cursor);
    format!("{base_url}/v1/usage?{}", query.finish())
}

/// The events as a table, with the address of the next page as a link.
pub(crate) fn table(events: &[UsageEvent], next: Option<String>) -> Result<Response, Error> {
    let mut response = Response::new(Body::from(text(events, true)?));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, KIND);
    if let Some(next) = next {
        let link = HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).map_err(Error::internal)?;
        headers.insert(header::LINK, link);
    }
    Ok(response)
}

/// Pages of events as one table to save under a name, sent while it is read. A failure cuts it short, which
/// the receiver notices.
pub(crate) fn download(
    pages: impl Stream<Item = Result<Vec<UsageEvent>, Error>> + Send + 'static,
    file_name: &str,
) -> Result<Response, Error> {
    let heading = futures::stream::once(async { text(&[], true) });
    let rows = pages.map(|page| text(&page?, false));
    let whole = heading.chain(rows).map_err(|error| std::io::Error::other(format!("{error:?}")));
    let mut response = Response::new(Body::from_stream(whole));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, KIND);
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{file_name}\""));
    headers.insert(header::CONTENT_DISPOSITION, name.map_err(Error::internal)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

fn text(events: &[UsageEvent], has_heading: bool) -> Result<Vec<u8>, Error> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    if has_heading {
        writer.write_record(COLUMNS).map_err(Error::internal)?;
    }
    for event in events {
        writer.write_record(cells(event)?.map(defused)).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(Error::internal)
}

fn cells(event: &UsageEvent) -> Result<[String; 19], Error> {
    let word = |value: Result<serde_json::Value, serde_json::Error>| {
        value.map(|value| value.as_str().unwrap_or_default().to_owned()).map_err(Error::internal)
    };
    let credits = &event.credits;
    Ok([
        event.usage_event_id.clone(),
        event.task_id.clone(),
        event.request_id.clone(),
        word(serde_json::to_value(event.status))?,
        event.model.clone(),
        word(serde_json::to_value(event.product))?,
        event.agent_id.clone().unwrap_or_default(),
        event.key_id.clone(),
        event.run_id.clone().unwrap_or_default(),
        event.price_version.clone(),
        event.unit_price.to_string(),
        event.count.to_string(),
        credits.held.to_string(),
        credits.charged.to_string(),
        credits.released.to_string(),
        credits.refunded.to_string(),
        word(serde_json::to_value(event.mode))?,
        event.created_at.clone(),
        event.finished_at.clone().unwrap_or_default(),
    ])
}

/// Spreadsheets take text for a formula by its first character; an apostrophe makes it text again.
fn defused(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_text() {
        let rows = ["=1", "+1", "-1", "@x", "\tx", "\rx", "a=1", "", "8"];
        let defused = rows.map(|cell| defused(cell.to_owned()));
        assert_eq!(defused, ["'=1", "'+1", "'-1", "'@x", "'\tx", "'\rx", "a=1", "", "8"]);
    }
}
