//! Uploaded files: what is sent and how one is shown.
//!
//! Invariant: type and size in pixels are those of the bytes, whatever the upload said. Not here: limits,
//! storage (the server).

use crate::account::Mode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/files`, as `multipart/form-data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileUpload {
    /// A PNG, JPEG or WebP picture.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    pub file: Vec<u8>,
}

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileAnswer {
    /// The file's id, to send in `input_image_urls`.
    #[schema(example = "file_06egn8yc0hs5fc4pkp2kezx3y4")]
    pub file_id: String,
    /// Where to download it, signed anew with each answer; works in `input_image_urls` too.
    #[schema(format = "uri")]
    pub url: String,
    /// Its media type, from its bytes.
    #[schema(example = "image/png")]
    pub mime: String,
    /// Its width in pixels.
    #[schema(minimum = 1, example = 1024)]
    pub width: u32,
    /// Its height in pixels.
    #[schema(minimum = 1, example = 1024)]
    pub height: u32,
    /// Its size.
    #[schema(minimum = 1, example = 482_113)]
    pub bytes: i64,
    /// The SHA-256 of its bytes, in hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: String,
    /// The account's mode.
    pub mode: Mode,
    /// When it was first uploaded, RFC 3339 UTC.
    #[schema(format = DateTime, example = "2026-03-20T09:46:40Z")]
    pub created_at: String,
    /// Until when it is there, RFC 3339 UTC; uploading the same bytes again renews it.
    #[schema(format = DateTime, example = "2026-03-21T09:46:40Z")]
    pub expires_at: String,
    /// What was ignored, such as unknown parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The answer of `DELETE /v1/files/{file_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileDeleteAnswer {
    /// The file that was there.
    #[schema(example = "file_06egn8yc0hs5fc4pkp2kezx3y4")]
    pub file_id: String,
    /// Always true.
    pub deleted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_uploaded_file_is_that_of_the_contract() {
        let answer = FileAnswer {
            file_id: "file_1".to_owned(),
            url: "http://h/files/a/file_1.png".to_owned(),
            mime: "image/png".to_owned(),
            width: 2,
            height: 1,
            bytes: 3,
            sha256: "ab".repeat(32),
            mode: Mode::Test,
            created_at: "2026-03-20T09:46:40Z".to_owned(),
            expires_at: "2026-03-21T09:46:40Z".to_owned(),
            warnings: vec![],
        };
        let expected = json!({
            "file_id": "file_1", "url": "http://h/files/a/file_1.png", "mime": "image/png", "width": 2,
            "height": 1, "bytes": 3, "sha256": "ab".repeat(32), "mode": "test",
            "created_at": "2026-03-20T09:46:40Z", "expires_at": "2026-03-21T09:46:40Z"
        });
        assert_eq!(serde_json::to_value(&answer).unwrap(), expected);
        assert_eq!(serde_json::from_value::<FileAnswer>(expected).unwrap(), answer);
    }
}
