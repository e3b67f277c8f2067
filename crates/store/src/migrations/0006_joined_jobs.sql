-- Jobs that are several calls upstream, whose ids are one text: no index by that text finds one of them.
CREATE INDEX attempts_joined ON attempts (provider, started_at) WHERE provider_task_id LIKE '%,%';
