-- The processes that live on this database, and which of them does what only one may do at a time.
CREATE TABLE nodes (
    id TEXT NOT NULL PRIMARY KEY,
    role TEXT NOT NULL,
    version TEXT NOT NULL,
    started_at {int} NOT NULL,
    seen_at {int} NOT NULL
) {strict};
CREATE TABLE elections (
    duty TEXT NOT NULL PRIMARY KEY,
    node_id TEXT NOT NULL,
    until_at {int} NOT NULL
) {strict};
-- What holds for this database as a whole, such as the oldest program that may run on it.
CREATE TABLE installation (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) {strict};
-- What belongs to one agent is found without the account's other keys.
CREATE INDEX keys_agent ON keys (agent_id);
CREATE INDEX token_families_agent ON token_families (agent_id);
