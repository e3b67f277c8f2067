//! Usage as CSV, where a caller asks for it.
//!
//! Invariant: the link to the next page asks the same question. Not here: cells (`app::csv`), which events.

use crate::app::{Error, csv, request::Fields};
use axum::{body::Body, response::Response};
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, header};
use rynjer_api::UsageEvent;

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
    let mut writer = csv::writer(Vec::new())?;
    for event in events {
        csv::write(&mut writer, event)?;
    }
    let text = writer.into_inner().map_err(Error::internal)?;
    let mut response = Response::new(Body::from(text));
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
    let heading = futures::stream::once(async { csv::headings() });
    let rows = pages.map(|page| csv::rows(&page?));
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
