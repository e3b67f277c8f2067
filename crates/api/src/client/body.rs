//! Bodies of answers that are read into memory.
//!
//! Invariant: whatever the other side sends, no more than `BYTES_MAX` of it is held. Not here: outputs, which
//! go to files (`output`).

use super::{ClientError, decode_error};
use reqwest::Response;

/// The most bytes of an answer.
const BYTES_MAX: usize = 32 << 20;

/// The whole body.
pub(super) async fn read(mut response: Response) -> Result<Vec<u8>, ClientError> {
    let too_much = decode_error(response.status(), format!("more than {BYTES_MAX} bytes"));
    let promised = response.content_length().unwrap_or_default();
    if usize::try_from(promised).map_or(true, |promised| promised > BYTES_MAX) {
        return Err(too_much);
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(ClientError::Transport)? {
        if bytes.len() + chunk.len() > BYTES_MAX {
            return Err(too_much);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use std::{
        io::{Read, Write},
        net::TcpListener,
    };

    /// What the client says about an answer of this head, with so many bytes of body.
    async fn said(head: &'static str, length: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
            stream.write_all(head.as_bytes()).unwrap();
            // The client may hang up before the end.
            drop(stream.write_all(&vec![b' '; length]));
        });
        let error = client.balance().await.unwrap_err();
        serving.join().unwrap();
        error.to_string()
    }

    #[tokio::test]
    async fn endless_answers_are_cut_off() {
        let refused = "HTTP 200 with an unexpected body: more than 33554432 bytes";
        assert_eq!(said("HTTP/1.1 200 OK\r\ncontent-length: 33554433\r\n\r\n", 0).await, refused);
        assert_eq!(said("HTTP/1.1 200 OK\r\n\r\n", BYTES_MAX + 1).await, refused);
        let whole = said("HTTP/1.1 200 OK\r\n\r\n", BYTES_MAX).await;
        assert!(whole.contains("EOF while parsing"), "{whole}");
    }
}
