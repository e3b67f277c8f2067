//! kie: what each answer to a look-up means for a job that is under way.
//!
//! Invariant: only an answer about the job ends it. Not here: answers that the stand-in gives.

use super::NANO;
use crate::support::{go_on, image_job, settings};
use rynjer_emulator::{Emulator, Vendor};
use rynjer_providers::{PollAnswer, Provider, ProviderError, Unit, kie::Kie};
use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

/// What became of a job whose look-up is answered so.
async fn word(status: u16, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap();
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nretry-after: 7\r\nconnection: close\r\n");
        write!(stream, "{head}content-length: {length}\r\n\r\n{body}").unwrap();
        String::from_utf8_lossy(&request[..read]).lines().next().unwrap_or_default().to_owned()
    });
    let emulator = Emulator::start(Vendor::Kie).await.unwrap();
    let mut settings = settings(&emulator);
    settings.base_url = origin.parse().unwrap();
    let provider = Kie::new(settings, None).unwrap();
    let answer = provider.poll(image_job(NANO, 1), "task_1".to_owned(), go_on()).await;
    assert_eq!(server.join().unwrap(), "GET /api/v1/jobs/recordInfo?taskId=task_1 HTTP/1.1");
    match answer {
        Ok(PollAnswer::Pending { .. }) => "pending".to_owned(),
        Ok(PollAnswer::Finished { units, .. }) => match &units[..] {
            [Unit::Refused { error, .. }] => error.code().to_owned(),
            [Unit::Delivered(_)] => "delivered".to_owned(),
            other => panic!("{other:?}"),
        },
        Err(ProviderError::NotNow { retry_after_ms, .. }) => format!("later {retry_after_ms:?}"),
        Err(ProviderError::Ambiguous { .. }) => "unknown".to_owned(),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_an_answer_about_the_job_ends_it() {
    let done = r#"{"state":"success","resultJson":"{\"resultUrls\":[\"https://f.example/1.png\"]}"}"#;
    let done: &'static str = format!(r#"{{"code":200,"msg":"success","data":{done}}}"#).leak();
    for (status, body, expected) in [
        (200, done, "delivered"),
        (200, r#"{"code":200,"data":{"state":"waiting"}}"#, "pending"),
        (200, r#"{"code":200,"data":{"state":"dreaming"}}"#, "pending"),
        (200, r#"{"code":200,"data":null}"#, "pending"),
        (200, r#"{"code":501,"data":{"state":"fail","failCode":"501"}}"#, "provider_failed"),
        (200, r#"{"code":422,"msg":"recordInfo is null","data":null}"#, "later Some(7000)"),
        (404, r#"{"code":404,"message":"Not Found"}"#, "later Some(7000)"),
        (200, r#"{"code":"429","msg":"slow down"}"#, "later Some(7000)"),
        (429, "", "later Some(7000)"),
        (200, r#"{"code":455,"msg":"maintenance"}"#, "later Some(7000)"),
        (401, r#"{"code":401,"msg":"no key"}"#, "later Some(7000)"),
        (200, r#"{"code":402,"msg":"top up"}"#, "later Some(7000)"),
        (200, r#"{"code":500,"msg":"oops","data":null}"#, "unknown"),
        (500, r#"{"code":200,"msg":"success","data":null}"#, "unknown"),
        (502, "<html>", "unknown"),
        (200, "[1]", "unknown"),
        (200, r#""text""#, "unknown"),
        (200, "", "unknown"),
    ] {
        assert_eq!(word(status, body).await, expected, "{status} {body}");
    }
}
