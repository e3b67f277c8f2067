//! Balance and identity of the caller, by the typed client.
//!
//! Invariant: as for every call, it is sent once. Not here: what was spent before (`usage`).

use super::{Client, ClientError};
use crate::account::{BalanceAnswer, MeAnswer};

impl Client {
    /// Tells how many credits there are.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn balance(&self) -> Result<BalanceAnswer, ClientError> {
        self.get("/v1/credits/balance").await
    }

    /// Tells who the credential speaks for.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn me(&self) -> Result<MeAnswer, ClientError> {
        self.get("/v1/me").await
    }
}
