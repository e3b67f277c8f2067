//! Bodies of `multipart/form-data`, written by hand, and files that the gateway stored.
//!
//! Invariant: what is sent is exactly what the test says, broken or not. Not here: pictures (`png`).

use super::{Answer, Client, TestApp};
use http::Method;

const PATH: &str = "/v1/files";
const TYPE: &str = "multipart/form-data; boundary=XX";

/// A whole body of parts: name and content.
pub(crate) fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in parts {
        let head = format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n");
        body.extend(head.as_bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--XX--\r\n");
    body
}

/// Sends a body as multipart.
pub(crate) async fn send(client: &Client, body: Vec<u8>) -> Answer {
    client.with("content-type", TYPE).send(Method::POST, PATH, body.into()).await
}

/// Uploads a picture.
pub(crate) async fn upload(client: &Client, picture: &[u8]) -> Answer {
    send(client, form(&[("file", picture)])).await
}

/// The names of all stored objects, sorted, below the folder of outputs.
pub(crate) fn objects(app: &TestApp) -> Vec<String> {
    fn below(folder: &std::path::Path, prefix: &str, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = format!("{prefix}{}", entry.file_name().display());
            if entry.path().is_dir() {
                below(&entry.path(), &format!("{name}/"), names);
            } else {
                names.push(name);
            }
        }
    }
    let mut names = Vec::new();
    below(&app.data_dir().join("outputs"), "", &mut names);
    names.sort();
    names
}
