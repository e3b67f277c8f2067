//! `generate`: one request, sent until it is answered, and waited for if that was asked.
//!
//! Invariant: the request id is printed before a byte is sent, and every further try has the same id and the
//! same body. Not here: waiting and downloading (`wait`).

use super::{
    account::object,
    estimate::units,
    input,
    patience::Patience,
    session::{Session, Trouble},
    wait::{self, page_of},
};
use crate::{
    cli::client::Generate, failure::Failure, folder::quoted, print, save, signal::Signals, terminal,
};
use data_encoding::BASE32_NOPAD_VISUAL;
use rynjer_api::{GenerateRequest, TaskAnswer};
use rynjer_server::entropy;

/// Runs `rynjer generate`.
pub(super) async fn run(arguments: Generate, json: bool) -> Result<(), Failure> {
    let mut session = Session::open(&arguments.reach)?;
    if !session.has_credential() {
        return Err(session.missing());
    }
    let folder = if arguments.wait { Some(save::folder(arguments.waiting.out.clone())?) } else { None };
    let request = request(&arguments)?;
    let id = request.request_id.clone().unwrap_or_default();
    print::talk(&format!("{} {id}", terminal::stderr().dim("request_id")));
    let mut signals = Signals::listen()?;
    let sent = tokio::select! {
        sent = Box::pin(send(&mut session, &request, arguments.retry_seconds)) => sent,
        () = signals.next() => Err(Failure::failed("interrupted; the request may have been accepted").suggest(
            format!("run the same command again with --request-id {}: it is not charged twice", quoted(&id)),
        )),
    };
    let task = sent?;
    let Some(folder) = folder else {
        task.warnings.iter().for_each(|warning| print::warn(warning));
        print::answer(json, &object(&task)?, |style| page_of(style, &task, &[]))?;
        print::hint(json, &format!("next: rynjer tasks wait {}", quoted(&id)));
        return Ok(());
    };
    wait::finish(&mut session, task, &folder, arguments.waiting.timeout_seconds, &mut signals, json).await
}

fn request(arguments: &Generate) -> Result<GenerateRequest, Failure> {
    let inputs = input::addresses(&arguments.wanted.input)?;
    let metadata = (!arguments.metadata.is_empty()).then(|| arguments.metadata.iter().cloned().collect());
    Ok(GenerateRequest {
        request_id: Some(arguments.request_id.clone().unwrap_or_else(new_id)),
        model: arguments.model.clone(),
        prompt: arguments.prompt.clone(),
        units: units(&arguments.wanted),
        input_image_urls: (!inputs.is_empty()).then_some(inputs),
        max_credits: arguments.max_credits,
        quote_id: arguments.quote_id.clone(),
        run_id: arguments.run_id.clone(),
        metadata,
        ..GenerateRequest::default()
    })
}

/// Eighty random bits, so that no two tasks of an account ever share one.
fn new_id() -> String {
    format!("cli-{}", BASE32_NOPAD_VISUAL.encode(&entropy::bytes::<10>()).to_ascii_lowercase())
}

async fn send(
    session: &mut Session,
    request: &GenerateRequest,
    retry_seconds: u64,
) -> Result<TaskAnswer, Failure> {
    let id = request.request_id.clone().unwrap_or_default();
    let mut patience = Patience::new(retry_seconds);
    loop {
        let error = match session.call(|client| async move { client.generate(request).await }).await {
            Ok(task) => return Ok(task),
            Err(Trouble::Setup(failure)) => return Err(failure),
            Err(Trouble::Call(error)) => error,
        };
        let passing = error.is_passing();
        let Some(pause) = patience.next(&error) else {
            let failure = Failure::from(error);
            if !passing {
                return Err(failure);
            }
            let hint = format!("the same command with --request-id {} is not charged twice", quoted(&id));
            return Err(failure.suggest(hint));
        };
        let why = Failure::from(error);
        let again = format!("{}; trying again with the same request_id", why.message());
        print::warn(&again);
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_new() {
        let (one, other) = (new_id(), new_id());
        assert!(one.starts_with("cli-") && one.len() == 20 && one != other, "{one}");
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    }
}
