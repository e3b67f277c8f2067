//! Services that the operator turned on beside the vendors of models.
//!
//! Invariant: what is off is not there; a secret file that can't be read stops the start. Not here: what they
//! are asked (`rynjer-peers`), and what an answer means (`app`).

use crate::{config, vendors};
use rynjer_peers::moltbook::Moltbook;
use url::Url;

/// The way to Moltbook, if it is on.
pub(crate) fn moltbook(section: &config::Moltbook) -> Result<Option<Moltbook>, String> {
    if !section.enabled {
        return Ok(None);
    }
    let verify_url = Url::parse(&section.verify_url).map_err(|error| error.to_string())?;
    let app_key = vendors::secret(&section.app_key, section.app_key_file.as_deref())?;
    Moltbook::new(verify_url, app_key.trim()).map(Some).map_err(|error| error.to_string())
}
