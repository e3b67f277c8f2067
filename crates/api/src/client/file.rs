//! Uploading the pictures that generations start from.
//!
//! Invariant: the multipart boundary is nowhere in the bytes. Not here: the connection (`client`).

use super::{ANSWER_TIMEOUT, Client, ClientError, call, path_segment};
use crate::file::{FileAnswer, FileDeleteAnswer};
use reqwest::{Method, header};
use std::time::Duration;

/// A line that sends this much in a second is waited for.
const UPLOAD_BYTES_PER_SECOND: u64 = 64 << 10;

impl Client {
    /// Uploads a PNG, JPEG or WebP picture. The same bytes again give the same file.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn upload(&self, bytes: &[u8], mime: &str) -> Result<FileAnswer, ClientError> {
        if !mime.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ClientError::Address(format!("{mime:?} is not a media type")));
        }
        let boundary = boundary(bytes);
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"picture\"\r\n\
             Content-Type: {mime}\r\n\r\n"
        );
        let body = [head.as_bytes(), bytes, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
        let size = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let patience = ANSWER_TIMEOUT + Duration::from_secs(size / UPLOAD_BYTES_PER_SECOND);
        let request = self
            .request(Method::POST, "/v1/files")
            .header(header::CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"));
        call(request.body(body).timeout(patience)).await
    }

    /// An uploaded file, with a fresh link.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn file(&self, file_id: &str) -> Result<FileAnswer, ClientError> {
        self.get(&format!("/v1/files/{}", path_segment(file_id)?)).await
    }

    /// Deletes an uploaded file.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn delete_file(&self, file_id: &str) -> Result<FileDeleteAnswer, ClientError> {
        let path = format!("/v1/files/{}", path_segment(file_id)?);
        call(self.request(Method::DELETE, &path).timeout(ANSWER_TIMEOUT)).await
    }
}

/// A text that the bytes don't hold.
fn boundary(bytes: &[u8]) -> String {
    let mut number = 0_u64;
    loop {
        let text = format!("rynjer-boundary-{number}");
        if !bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
            return text;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        net::TcpListener,
    };

    #[test]
    fn a_boundary_is_not_in_the_bytes() {
        assert_eq!(boundary(b"picture"), "rynjer-boundary-0");
        assert_eq!(boundary(b"a--rynjer-boundary-0--rynjer-boundary-1x"), "rynjer-boundary-2");
    }

    const ANSWER: &str = r#"{"code":0,"message":"ok","data":{"file_id":"file_1","url":"http://h/f",
        "mime":"image/png","width":1,"height":1,"bytes":3,"sha256":"x","mode":"test","created_at":"t",
        "expires_at":"t"}}"#;

    #[tokio::test]
    async fn an_upload_is_one_part() {
        let expected = "--rynjer-boundary-0\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"picture\"\r\nContent-Type: image/png\r\n\r\nPNG\r\n--rynjer-boundary-0--\r\n";
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = String::new();
            while !text.ends_with(expected) {
                let mut piece = [0; 1024];
                let length = stream.read(&mut piece).unwrap();
                assert_ne!(length, 0, "{text}");
                text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
            }
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", ANSWER.len());
            stream.write_all(format!("{head}{ANSWER}").as_bytes()).unwrap();
            text
        });
        assert_eq!(client.upload(b"PNG", "image/png").await.unwrap().file_id, "file_1");
        let asked = asked.join().unwrap();
        assert!(asked.starts_with("POST /v1/files HTTP/1.1\r\n"), "{asked}");
        let kind = "content-type: multipart/form-data; boundary=rynjer-boundary-0\r\n";
        assert!(asked.contains(kind), "{asked}");
        let error = client.upload(b"", "a b").await.unwrap_err();
        assert_eq!(error.to_string(), "not a usable address: \"a b\" is not a media type");
    }
}
