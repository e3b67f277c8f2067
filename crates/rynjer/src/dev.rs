//! `rynjer dev upstream`: a stand-in of a vendor on this machine, for trying a gateway without a bill.
//!
//! Invariant: it listens on loopback alone and makes nothing that anybody charges for. Not here: what a
//! stand-in answers (`rynjer-emulator`).

use crate::{cli::dev::Dev, failure::Failure, print, signal::Signals};
use rynjer_emulator::{CONTROL_PATH, Emulator, Vendor};
use serde_json::json;

/// Runs `rynjer dev upstream VENDOR`.
pub(crate) async fn run(arguments: Dev, json: bool) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let Dev::Upstream { vendor, listen } = arguments;
    let known = || Vendor::ALL.map(Vendor::name).join(", ");
    let found = Vendor::parse(&vendor).ok_or_else(|| {
        Failure::usage(format!("there is no stand-in for {vendor:?}; there are {}", known()))
    })?;
    if !listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "{listen} is not loopback: a stand-in is for this machine alone"
        )));
    }
    let emulator = Emulator::listen(found, listen, None)
        .await
        .map_err(|error| Failure::failed(format!("can't listen on {listen}: {error}")))?;
    let base_url = emulator.base_url();
    let name = vendor.to_uppercase();
    print::answer(json, &json!({"vendor": vendor, "base_url": base_url}), |_| base_url.clone())?;
    if !json {
        let origin = emulator.world().origin();
        print::talk(&format!(
            "A stand-in of {vendor}: real files, no bill. Start a gateway with it:\n  \
             RYNJER_{name}_API_KEY=anything RYNJER_{name}_BASE_URL={base_url} rynjer serve\n\
             Make the next job go wrong: curl -d '{{\"fault\": \"lost\"}}' -H content-type:application/json \
             {origin}{CONTROL_PATH}"
        ));
    }
    signals.next().await;
    Ok(())
}
