//! A vendor that gives the same answers to whoever asks: for what a stand-in never says.
//!
//! Invariant: only calls without a body are answered. Not here: submits.

use crate::support::settings_at;
use rynjer_providers::upstream::VendorSettings;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Settings for a vendor that answers so. `answer` gets its origin and the first line of the request.
pub(crate) async fn canned<F>(answer: F) -> VendorSettings
where
    F: Fn(&str, &str) -> (u16, String) + Send + 'static,
{
    dated("", answer).await
}

/// The same with lines at the end of each head.
#[expect(clippy::disallowed_methods, reason = "it ends with the runtime of its test")]
pub(crate) async fn dated<F>(head_lines: &'static str, answer: F) -> VendorSettings
where
    F: Fn(&str, &str) -> (u16, String) + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let base_url = origin.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 8192];
            let length = stream.read(&mut head).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&head[..length]).into_owned();
            let (status, body) = answer(&origin, text.lines().next().unwrap_or_default());
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{head_lines}\r\n"
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    settings_at(&base_url)
}
