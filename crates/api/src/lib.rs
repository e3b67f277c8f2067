//! The wire: request and answer types of the HTTP API, their error codes, and (feature `client`) a typed
//! client.
//!
//! Invariant: a field name or code that was once published never changes its meaning and never goes away.
//! Not here: any rule that decides about a request; `rynjer-core` and the server do that.

pub mod account;
pub mod agent;
#[cfg(feature = "client")]
pub mod client;
pub mod envelope;
pub mod error;
pub mod estimate;
pub mod generate;
pub mod key;
pub mod model;
mod schema;
pub mod task;
pub mod token;
pub mod usage;

pub use account::{
    BalanceAnswer, Budget, BudgetKind, BudgetPeriod, MeAccount, MeAgent, MeAnswer, MeKey, Mode,
};
pub use agent::{RegisterAnswer, RegisterRequest};
#[cfg(feature = "client")]
pub use client::{Client, ClientError};
pub use envelope::{Envelope, ErrorData, FailureEnvelope, FieldProblem, Problem, SuccessEnvelope};
pub use error::{ErrorCode, TaskErrorCode};
pub use estimate::{Breakdown, CountOrUnits, EstimateAnswer, EstimateRequest};
pub use generate::{DurationSeconds, GenerateRequest, Scene, Units};
pub use key::{
    KeyCreateAnswer, KeyCreateRequest, KeyListAnswer, KeyListRequest, KeyRevokeAnswer, KeyRevokeRequest,
    KeyStatus, KeySummary, Scope,
};
pub use model::{Model, ModelsAnswer, Multiplier, Product};
pub use task::{
    MissingPart, Output, OutputType, TaskAnswer, TaskCredits, TaskError, TaskListAnswer, TaskStatus,
};
pub use token::{MoltbookExchangeRequest, RefreshRequest, TokenAnswer, TokenRequest};
pub use usage::{ReceiptAnswer, ReceiptLine, ReceiptTotals, UsageAnswer, UsageEvent, UsageTotals};
