//! Usage as CSV (RFC 4180), for spreadsheets.
//!
//! Invariant: no cell is a formula: what a caller chose and a spreadsheet might run is made plain text. Not
//! here: which events.

use crate::app::Error;
use csv::{Terminator, Writer, WriterBuilder};
use rynjer_api::UsageEvent;
use std::io::Write;

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

/// A table with its headings.
pub(crate) fn writer<W: Write>(out: W) -> Result<Writer<W>, Error> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out);
    writer.write_record(COLUMNS).map_err(Error::internal)?;
    Ok(writer)
}

/// One more line.
pub(crate) fn write<W: Write>(writer: &mut Writer<W>, event: &UsageEvent) -> Result<(), Error> {
    writer.write_record(cells(event)?.map(defused)).map_err(Error::internal)
}

/// The headings alone.
pub(crate) fn headings() -> Result<Vec<u8>, Error> {
    writer(Vec::new())?.into_inner().map_err(Error::internal)
}

/// Lines alone, as they follow the headings.
pub(crate) fn rows(events: &[UsageEvent]) -> Result<Vec<u8>, Error> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    for event in events {
        write(&mut writer, event)?;
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
