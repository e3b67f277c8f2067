//! The list of models, by the typed client.
//!
//! Invariant: as for every call, it is sent once. Not here: prices of a request (`estimate`).

use super::{Client, ClientError};
use crate::model::ModelsAnswer;

impl Client {
    /// Lists the models and their prices.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn models(&self) -> Result<ModelsAnswer, ClientError> {
        self.get("/v1/models/list").await
    }
}
