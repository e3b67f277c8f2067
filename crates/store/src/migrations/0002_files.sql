-- Uploaded files, which requests start from. The same bytes from the same caller are one row.
CREATE TABLE files (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    object_key TEXT NOT NULL,
    mime TEXT NOT NULL,
    width {int} NOT NULL,
    height {int} NOT NULL,
    bytes {int} NOT NULL,
    sha256 TEXT NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int} NOT NULL,
    PRIMARY KEY (account_id, id)
) {strict};
CREATE UNIQUE INDEX files_content ON files (account_id, agent_id, sha256);
CREATE INDEX files_expiry ON files (expires_at);
-- What an account has stored is summed without a look at its rows.
CREATE INDEX files_living ON files (account_id, expires_at, bytes);
