-- People, what they may do, and what they did. An account belongs to one owner; an operator runs the gateway.
CREATE TABLE owners (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('owner', 'operator')),
    password_hash TEXT,
    -- The key of one-time codes, sealed; the newest time step whose code was used.
    totp_sealed {bytes},
    totp_enabled_at {int},
    totp_step {int} NOT NULL DEFAULT 0,
    oidc_issuer TEXT,
    oidc_subject TEXT,
    created_at {int} NOT NULL,
    signed_in_at {int},
    disabled_at {int}
) {strict};
CREATE UNIQUE INDEX owners_oidc ON owners (oidc_issuer, oidc_subject) WHERE oidc_subject IS NOT NULL;
ALTER TABLE accounts ADD COLUMN owner_id TEXT;
ALTER TABLE accounts ADD COLUMN paused_at {int};
ALTER TABLE accounts ADD COLUMN closed_at {int};
CREATE INDEX accounts_owner ON accounts (owner_id);

CREATE TABLE sessions (
    hash {bytes} NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES owners (id),
    account_id TEXT,
    created_at {int} NOT NULL,
    seen_at {int} NOT NULL,
    -- When the password was last typed.
    confirmed_at {int} NOT NULL,
    expires_at {int} NOT NULL
) {clustered};
CREATE INDEX sessions_owner ON sessions (owner_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Links that do one thing once: the first set-up, an invitation, a new password.
CREATE TABLE tickets (
    hash {bytes} NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('setup', 'invitation', 'reset')),
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    owner_id TEXT,
    created_by TEXT NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int} NOT NULL,
    used_at {int}
) {clustered};
CREATE INDEX tickets_expiry ON tickets (expires_at);

-- Wrong guesses, by whoever or whatever is guessed at.
CREATE TABLE throttles (
    subject TEXT NOT NULL PRIMARY KEY,
    failures {int} NOT NULL,
    since_at {int} NOT NULL,
    until_at {int} NOT NULL
) {clustered};
CREATE INDEX throttles_until ON throttles (until_at);

-- Every change, by whom. Rows without an account are the installation's; they have an empty account.
CREATE TABLE audit_log (
    account_id TEXT NOT NULL,
    id TEXT NOT NULL,
    at {int} NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    action TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    detail TEXT NOT NULL,
    address TEXT,
    PRIMARY KEY (account_id, id)
) {clustered};
CREATE INDEX audit_log_time ON audit_log (at);

-- What an account, agent or key may ask for: names of models as a JSON list (none is all), and the highest
-- price of one generation.
CREATE TABLE policies (
    account_id TEXT NOT NULL,
    subject TEXT NOT NULL CHECK (subject IN ('account', 'agent', 'key')),
    subject_id TEXT NOT NULL,
    models TEXT,
    max_price {int},
    updated_at {int} NOT NULL,
    PRIMARY KEY (account_id, subject, subject_id)
) {clustered};

-- Models and providers that the operator stopped.
CREATE TABLE pauses (
    kind TEXT NOT NULL CHECK (kind IN ('model', 'provider')),
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at {int} NOT NULL,
    PRIMARY KEY (kind, name)
) {clustered};

-- What an owner should hear about. `once` keeps the same news from coming twice.
CREATE TABLE notices (
    account_id TEXT NOT NULL,
    id TEXT NOT NULL,
    at {int} NOT NULL,
    kind TEXT NOT NULL,
    once TEXT NOT NULL,
    detail TEXT NOT NULL,
    read_at {int},
    PRIMARY KEY (account_id, id)
) {clustered};
CREATE UNIQUE INDEX notices_once ON notices (account_id, once);
CREATE INDEX notices_time ON notices (at);

-- Credits that somebody buys, and what the payment service said about them.
CREATE TABLE topups (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    id TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    credits {int} NOT NULL CHECK (credits > 0),
    amount_minor {int} NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'paid', 'expired', 'refunded', 'disputed')),
    checkout_id TEXT,
    payment_id TEXT,
    taken_back {int} NOT NULL DEFAULT 0,
    created_at {int} NOT NULL,
    paid_at {int},
    PRIMARY KEY (account_id, id)
) {strict};
CREATE UNIQUE INDEX topups_checkout ON topups (checkout_id) WHERE checkout_id IS NOT NULL;
CREATE INDEX topups_payment ON topups (payment_id) WHERE payment_id IS NOT NULL;
-- Refunds and disputes of payments, each as far as it was heard to have come.
CREATE TABLE reversals (
    account_id TEXT NOT NULL,
    topup_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('refund', 'dispute')),
    amount_minor {int} NOT NULL CHECK (amount_minor > 0),
    standing TEXT NOT NULL CHECK (standing IN ('inquiry', 'gone', 'lost', 'returned')),
    updated_at {int} NOT NULL,
    PRIMARY KEY (account_id, topup_id, id)
) {clustered};
CREATE TABLE payment_events (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    received_at {int} NOT NULL
) {clustered};
CREATE INDEX payment_events_time ON payment_events (received_at);

-- Agents that another network vouches for.
CREATE TABLE moltbook_agents (
    moltbook_id TEXT NOT NULL PRIMARY KEY,
    agent_id TEXT NOT NULL UNIQUE,
    key_id TEXT,
    created_at {int} NOT NULL
) {strict};

-- A code that people type is looked up.
CREATE INDEX agents_user_code ON agents (user_code_hash);
