//! `rynjer demo`: one generation end to end, over HTTP, against a gateway in a temporary folder.
//!
//! Invariant: it needs no network and can't spend real money: the account is a test account, whose tasks go
//! to the sandbox. Nothing is left behind but the files. Not here: the gateway.

mod choice;
mod local;
mod receipt;
mod steps;
mod walk;

use crate::{cli::Demo, failure::Failure, picture, print, save, signal::Signals, terminal};
use local::Local;
use steps::Steps;

/// Runs `rynjer demo …`.
pub(crate) async fn run(arguments: Demo, json: bool) -> Result<(), Failure> {
    let choice = choice::choose(&arguments)?;
    let folder = save::folder(arguments.out)?;
    let mut signals = Signals::listen()?;
    let mut steps = Steps::start();
    let local = Local::start(&mut steps).await?;
    let walked = tokio::select! {
        walked = Box::pin(walk::walk(&local, &choice, &folder, &mut steps)) => walked,
        () = signals.next() => Err(Failure::failed("interrupted; nothing is left behind")),
    };
    local.stop().await?;
    let receipt = walked?;
    if !json {
        print::talk("");
        if let Some(shown) = receipt.picture().and_then(|file| picture::render(&file)) {
            print::talk_bytes(&shown);
            print::talk("");
        }
    }
    print::answer(json, &receipt.object(&steps), |style| receipt.text(style))?;
    receipt.verdict()?;
    if !json {
        let next = format!("\nRun your own: {}", terminal::stderr().bold("rynjer serve"));
        print::talk(&next);
    }
    Ok(())
}
