//! The fields of a form that a browser sends.
//!
//! Invariant: a body is bounded before it is read; a field is text without control characters but line
//! breaks. Not here: who sends it (`guard`).

use crate::{
    app::Error,
    http::extract::{Shared, body_patience},
};
use axum::extract::Request;
use http::header;

/// The largest form; pictures are not sent this way.
const BODY_BYTES_MAX: usize = 64 << 10;

/// The fields of a form, in their order.
#[derive(Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body of a form.
    pub(super) async fn read(request: Request, shared: &Shared) -> Result<Self, Error> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Error::UnsupportedMediaType);
        }
        let reading = shared.bodies.read(request.into_body(), BODY_BYTES_MAX);
        let read = tokio::time::timeout(body_patience(BODY_BYTES_MAX), reading).await;
        let (body, _memory) =
            read.map_err(|_| Error::field("", "the form did not arrive in time"))?.map_err(|fail| fail.0)?;
        Self::parse(&body)
    }

    /// The fields of a form that stands in an address.
    pub(super) fn of_query(query: Option<&str>) -> Result<Self, Error> {
        Self::parse(query.unwrap_or_default().as_bytes())
    }

    fn parse(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Vec::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            if value.chars().any(|letter| letter.is_control() && !matches!(letter, '\r' | '\n' | '\t')) {
                return Err(Error::field(name, "has control characters"));
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(fields))
    }

    /// A field without blanks around it; empty where it was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A field as it was typed, such as a password.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// All values of a field, such as of boxes that were ticked.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.trim())
    }

    /// Whether a box was ticked, or a field has any text.
    pub(crate) fn has(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    /// A whole number; none where the field is empty.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Error> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| Error::field(name, "must be a whole number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_send_them() {
        let form = Form::parse(b"email=a%40b.c&scopes=image&scopes=video&n=+12+&password=+p%2B+").unwrap();
        assert_eq!((form.text("email"), form.raw("password"), form.text("none")), ("a@b.c", " p+ ", ""));
        assert_eq!(form.all("scopes").collect::<Vec<_>>(), ["image", "video"]);
        assert_eq!((form.number("n").unwrap(), form.number("none").unwrap()), (Some(12), None));
        assert!(form.has("n") && !form.has("none"));
        assert!(form.number("email").is_err() && Form::parse(b"a=%00").is_err());
    }
}
