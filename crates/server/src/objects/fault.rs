//! What is wrong with an object storage, in one sentence that says what to do.
//!
//! Invariant: neither a secret nor what the storage says at length is repeated. Not here: whether it is tried
//! again.

use super::s3;
use crate::config::Storage;
use object_store::Error;

/// The reason why a bucket can't be used; none: it did not answer in time.
pub(super) fn sentence(settings: &Storage, error: Option<&Error>) -> String {
    let endpoint = if settings.endpoint.is_empty() { "AWS" } else { settings.endpoint.as_str() };
    let (url, bucket) = (&settings.url, &settings.url.bucket);
    let text = error.map(ToString::to_string).unwrap_or_default();
    let code = code(&text);
    match code {
        Some("NoSuchBucket") => {
            format!("the bucket {bucket} does not exist at {endpoint}: create it, or correct storage.url")
        }
        Some(code @ ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "ExpiredToken")) => {
            format!(
                "{endpoint} refuses the credentials for {url} ({code}): correct storage.access_key_id and \
             storage.secret_access_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        }
        Some("RequestTimeTooSkewed") => {
            format!("{endpoint} refuses requests of this machine, whose clock is wrong: set the clock")
        }
        Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            another_region(settings)
        }
        _ if text.contains("incorrectly configured region") => another_region(settings),
        _ if is_refusal(error) => format!(
            "{endpoint} does not allow what is needed in {url} ({}): allow s3:ListBucket on the bucket, and \
             s3:PutObject, s3:GetObject, s3:DeleteObject and s3:AbortMultipartUpload on its objects",
            code.unwrap_or("refused")
        ),
        Some(code) => format!("{endpoint} answers with {code} for {url}: look at its own log"),
        None if !s3::has_credentials(settings) => format!(
            "there are no credentials for {url}, and this machine has no role that gives some: set \
             storage.access_key_id and storage.secret_access_key, or AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY"
        ),
        None => {
            let cause = error.map_or_else(|| "no answer in time".to_owned(), cause);
            format!(
                "{endpoint} can't be reached for {url}: correct storage.endpoint or the network ({cause})"
            )
        }
    }
}

fn another_region(settings: &Storage) -> String {
    let (bucket, region) = (&settings.url.bucket, s3::region(settings));
    format!("the bucket {bucket} is in another region than {region}: correct storage.region")
}

fn is_refusal(error: Option<&Error>) -> bool {
    matches!(error, Some(Error::PermissionDenied { .. } | Error::Unauthenticated { .. }))
}

/// The code in an answer of S3.
fn code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let plain =
        !code.is_empty() && code.len() <= 64 && code.chars().all(|letter| letter.is_ascii_alphanumeric());
    plain.then_some(code)
}

/// The code that S3 gave, else the innermost cause.
pub(super) fn cause(error: &Error) -> String {
    if let Some(code) = code(&error.to_string()) {
        return code.to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().lines().next().unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_an_answer() {
        let rows = [
            ("403: <?xml?><Error><Code>AccessDenied</Code></Error>", Some("AccessDenied")),
            ("<Code></Code>", None),
            ("<Code>a b</Code>", None),
            ("<Code>Cut", None),
        ];
        for (text, expected) in rows {
            assert_eq!(code(text), expected, "{text}");
        }
    }
}
