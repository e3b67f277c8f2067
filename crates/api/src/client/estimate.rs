//! Prices of requests, by the typed client.
//!
//! Invariant: as for every call, it is sent once. Not here: the request itself (`task`).

use super::{Client, ClientError};
use crate::estimate::{EstimateAnswer, EstimateRequest};

impl Client {
    /// Tells what a generation would cost.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn estimate(&self, request: &EstimateRequest) -> Result<EstimateAnswer, ClientError> {
        self.post("/v1/credits/estimate", request).await
    }
}
