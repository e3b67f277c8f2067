//! Starts one vendor's stand-in, says its base URL on stdout, and serves until it is killed.
//!
//! Invariant: the first line is the URL and nothing else is printed. Not here: what a stand-in answers.

use rynjer_emulator::{Emulator, Tls, Vendor};
use std::{env, fs, io, io::Write};

#[tokio::main]
async fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let vendor = words.first().and_then(|name| Vendor::parse(name));
    let vendor = vendor.ok_or_else(|| io::Error::other("usage: upstream VENDOR [CERT.pem KEY.pem]"))?;
    let tls = match (words.get(1), words.get(2)) {
        (Some(cert), Some(key)) => {
            Some(Tls { cert_pem: fs::read_to_string(cert)?, key_pem: fs::read_to_string(key)? })
        }
        _ => None,
    };
    let emulator = Emulator::listen(vendor, ([127, 0, 0, 1], 0).into(), tls).await?;
    writeln!(io::stdout(), "{}", emulator.base_url())?;
    io::stdout().flush()?;
    std::future::pending::<()>().await;
    Ok(())
}
