//! Starts the stand-in of Stripe, says its origin on stdout, and serves until it is killed.
//!
//! Invariant: the first line is the URL and nothing else is printed. Not here: what the stand-in answers.

use rynjer_emulator::{Hook, StripeEmulator};
use std::{env, io, io::Write};

#[tokio::main]
async fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let (key, hook) = match words.as_slice() {
        [key] => (key, None),
        [key, url, secret] => (key, Some(Hook { url: url.clone(), secret: secret.clone() })),
        _ => return Err(io::Error::other("usage: stripe SECRET_KEY [HOOK_URL HOOK_SECRET]")),
    };
    let emulator = StripeEmulator::listen(key, hook).await?;
    writeln!(io::stdout(), "{}", emulator.origin())?;
    io::stdout().flush()?;
    std::future::pending::<()>().await;
    Ok(())
}
