-- Keys that another one took the place of. The caps of a line of keys are those of its newest, and count what
-- each of them spends. Rows of `budgets` of a replaced key stay for the previous program, which alone reads
-- them.
CREATE TABLE key_successors (
    account_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    newest_id TEXT NOT NULL,
    replaced_at {int} NOT NULL,
    PRIMARY KEY (account_id, key_id)
) {clustered};
CREATE INDEX key_successors_newest ON key_successors (account_id, newest_id);

-- Until now only the log told of it.
INSERT INTO key_successors (account_id, key_id, newest_id, replaced_at)
    SELECT l.account_id, l.subject_id, MAX(n.id), MAX(l.at) FROM audit_log l
    JOIN keys n ON n.account_id = l.account_id AND l.detail LIKE '%"new_key":"' || n.id || '"%'
    WHERE l.action = 'key.rotated' GROUP BY l.account_id, l.subject_id;
-- Each pass doubles how far along its line a key looks.
UPDATE key_successors SET newest_id = (SELECT s.newest_id FROM key_successors s
    WHERE s.account_id = key_successors.account_id AND s.key_id = key_successors.newest_id)
    WHERE EXISTS (SELECT 1 FROM key_successors s
    WHERE s.account_id = key_successors.account_id AND s.key_id = key_successors.newest_id);
UPDATE key_successors SET newest_id = (SELECT s.newest_id FROM key_successors s
    WHERE s.account_id = key_successors.account_id AND s.key_id = key_successors.newest_id)
    WHERE EXISTS (SELECT 1 FROM key_successors s
    WHERE s.account_id = key_successors.account_id AND s.key_id = key_successors.newest_id);
UPDATE key_successors SET newest_id = (SELECT s.newest_id FROM key_successors s
    WHERE s.account_id = key_successors.account_id AND s.key_id = key_successors.newest_id)
    WHERE EXISTS (SELECT 1 FROM key_successors s
    WHERE s.account_id = key_successors.account_id AND s.key_id = key_successors.newest_id);
UPDATE key_successors SET newest_id = (SELECT s.newest_id FROM key_successors s
    WHERE s.account_id = key_successors.account_id AND s.key_id = key_successors.newest_id)
    WHERE EXISTS (SELECT 1 FROM key_successors s
    WHERE s.account_id = key_successors.account_id AND s.key_id = key_successors.newest_id);
