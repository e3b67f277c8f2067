-- Text, 64-bit integers, bytes and truth values only; times are milliseconds since 1970. Words in braces differ per
-- database. Every table that grows with use leads its keys with the account.
CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
    created_at {int} NOT NULL,
    frozen_reason TEXT,
    available {int} NOT NULL DEFAULT 0 CHECK (available >= 0),
    held {int} NOT NULL DEFAULT 0 CHECK (held >= 0),
    revenue {int} NOT NULL DEFAULT 0,
    provider_loss {int} NOT NULL DEFAULT 0,
    issued {int} NOT NULL DEFAULT 0,
    owed {int} NOT NULL DEFAULT 0,
    entry_sequence {int} NOT NULL DEFAULT 0,
    entry_hash {bytes} NOT NULL,
    open_tasks {int} NOT NULL DEFAULT 0,
    CHECK (available + held + revenue + provider_loss + issued + owed = 0)
) {strict};
CREATE UNIQUE INDEX accounts_email ON accounts (email, mode);

CREATE TABLE entries (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    sequence {int} NOT NULL,
    at {int} NOT NULL,
    kind TEXT NOT NULL,
    from_book TEXT NOT NULL,
    to_book TEXT NOT NULL,
    amount {int} NOT NULL CHECK (amount > 0),
    task_id TEXT,
    reference TEXT,
    hash {bytes} NOT NULL,
    PRIMARY KEY (account_id, sequence)
) {clustered};
CREATE UNIQUE INDEX entries_reference ON entries (account_id, reference) WHERE reference IS NOT NULL;

CREATE TABLE agents (
    id TEXT NOT NULL PRIMARY KEY,
    public_key TEXT NOT NULL UNIQUE,
    account_id TEXT REFERENCES accounts (id),
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    created_at {int} NOT NULL,
    registered_at {int} NOT NULL,
    bound_at {int},
    paused_at {int},
    revoked_at {int},
    scopes TEXT NOT NULL DEFAULT '',
    registration_hash {bytes} NOT NULL,
    registration_expires_at {int} NOT NULL,
    user_code_hash {bytes} NOT NULL,
    user_code_expires_at {int} NOT NULL
) {strict};
CREATE INDEX agents_account ON agents (account_id, id);
CREATE UNIQUE INDEX agents_registration ON agents (registration_hash);

CREATE TABLE keys (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    agent_id TEXT REFERENCES agents (id),
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash {bytes} NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int},
    last_used_at {int},
    revoked_at {int}
) {strict};
CREATE INDEX keys_account ON keys (account_id, agent_id);

CREATE TABLE token_families (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int} NOT NULL,
    revoked_at {int}
) {strict};
CREATE INDEX token_families_expiry ON token_families (expires_at);
CREATE INDEX token_families_key ON token_families (key_id);

CREATE TABLE refresh_tokens (
    hash {bytes} NOT NULL PRIMARY KEY,
    family_id TEXT NOT NULL,
    created_at {int} NOT NULL,
    used_at {int}
) {clustered};
CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id);

CREATE TABLE nonces (
    public_key TEXT NOT NULL,
    nonce TEXT NOT NULL,
    expires_at {int} NOT NULL,
    PRIMARY KEY (public_key, nonce)
) {clustered};
CREATE INDEX nonces_expiry ON nonces (expires_at);

CREATE TABLE budgets (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    subject TEXT NOT NULL CHECK (subject IN ('account', 'agent', 'key')),
    subject_id TEXT NOT NULL,
    period TEXT NOT NULL CHECK (period IN ('day', 'month', 'total')),
    limit_credits {int} NOT NULL CHECK (limit_credits >= 0),
    window_start {int} NOT NULL,
    spent {int} NOT NULL CHECK (spent >= 0),
    created_at {int} NOT NULL
) {strict};
CREATE UNIQUE INDEX budgets_subject ON budgets (account_id, subject_id, subject, period);

CREATE TABLE runs (
    account_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    max_credits {int},
    spent {int} NOT NULL CHECK (spent >= 0),
    PRIMARY KEY (account_id, agent_id, run_id)
) {clustered};

CREATE TABLE tasks (
    account_id TEXT NOT NULL,
    id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    usage_id TEXT NOT NULL,
    model TEXT NOT NULL,
    product TEXT NOT NULL,
    mode TEXT NOT NULL,
    provider TEXT NOT NULL,
    vendor_model TEXT NOT NULL,
    price_version TEXT NOT NULL,
    unit_price {int} NOT NULL,
    count {int} NOT NULL,
    held {int} NOT NULL,
    charged {int} NOT NULL DEFAULT 0,
    released {int} NOT NULL DEFAULT 0,
    refunded {int} NOT NULL DEFAULT 0,
    budget_charges TEXT NOT NULL,
    run_id TEXT,
    status TEXT NOT NULL,
    step TEXT NOT NULL,
    provider_task_id TEXT,
    created_at {int} NOT NULL,
    finished_at {int},
    deadline_at {int} NOT NULL,
    due_at {int} NOT NULL,
    lease_owner TEXT,
    fence {int} NOT NULL DEFAULT 0,
    attempt {int} NOT NULL DEFAULT 0,
    deaths {int} NOT NULL DEFAULT 0,
    alone {int} NOT NULL DEFAULT 0,
    tries {int} NOT NULL DEFAULT 0,
    progress_permille {int},
    error_code TEXT,
    error_message TEXT,
    missing TEXT,
    body TEXT,
    metadata TEXT,
    PRIMARY KEY (account_id, id)
) {strict};
CREATE UNIQUE INDEX tasks_request ON tasks (account_id, agent_id, request_id);
CREATE INDEX tasks_due ON tasks (provider, account_id, due_at, id) WHERE finished_at IS NULL;
CREATE INDEX tasks_next ON tasks (provider, due_at) WHERE finished_at IS NULL;
CREATE INDEX tasks_bodies ON tasks (created_at) WHERE body IS NOT NULL AND finished_at IS NOT NULL;

CREATE TABLE attempts (
    account_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    number {int} NOT NULL,
    id TEXT NOT NULL,
    provider TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open',
    started_at {int} NOT NULL,
    ended_at {int},
    provider_task_id TEXT,
    vendor_cost_micro_usd {int},
    detail TEXT,
    PRIMARY KEY (account_id, task_id, number)
) {clustered};
CREATE UNIQUE INDEX attempts_job ON attempts (provider, provider_task_id) WHERE provider_task_id IS NOT NULL;

CREATE TABLE outputs (
    account_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    output_index {int} NOT NULL,
    object_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    mime TEXT NOT NULL,
    width {int},
    height {int},
    duration_ms {int},
    bytes {int} NOT NULL,
    sha256 TEXT NOT NULL,
    created_at {int} NOT NULL,
    deleted_at {int},
    PRIMARY KEY (account_id, task_id, output_index)
) {clustered};
CREATE INDEX outputs_age ON outputs (created_at) WHERE deleted_at IS NULL;

CREATE TABLE price_versions (
    name TEXT NOT NULL PRIMARY KEY,
    hash {bytes} NOT NULL,
    text TEXT NOT NULL,
    stored_at {int} NOT NULL
) {strict};

CREATE TABLE secrets (
    purpose TEXT NOT NULL,
    id TEXT NOT NULL,
    sealed {bytes} NOT NULL,
    created_at {int} NOT NULL,
    retired_at {int},
    PRIMARY KEY (purpose, id)
) {strict};

CREATE TABLE writer_batches (
    writer TEXT NOT NULL PRIMARY KEY,
    batch {int} NOT NULL
) {strict};
CREATE INDEX tasks_suspects ON tasks (provider, due_at) WHERE finished_at IS NULL AND deaths >= 1;
