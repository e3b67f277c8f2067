//! Calls that help to choose and to test: routing, triggers, the test clock.
//!
//! Invariant: as of all calls of the client. Not here: sending (`client`).

use super::{Client, ClientError};
use crate::{
    route::{RouteAnswer, RouteRequest},
    test_mode::{ClockAnswer, ClockRequest, TriggersAnswer},
};

impl Client {
    /// Ranks the models for what is to be made. Costs nothing.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn route(&self, request: &RouteRequest) -> Result<RouteAnswer, ClientError> {
        self.post("/v1/models/route", request).await
    }

    /// Lists the texts that force outcomes when they stand in a prompt; for test accounts.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn test_triggers(&self) -> Result<TriggersAnswer, ClientError> {
        self.get("/v1/test/triggers").await
    }

    /// The time of a gateway that was started with `--test-clock`; for test accounts.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn test_clock(&self) -> Result<ClockAnswer, ClientError> {
        self.get("/v1/test/clock").await
    }

    /// Moves that time forward.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn advance_test_clock(&self, seconds: i64) -> Result<ClockAnswer, ClientError> {
        self.post("/v1/test/clock", &ClockRequest { advance_seconds: seconds }).await
    }
}
