//! Settings that must go together.
//!
//! Invariant: an address that strangers can reach never serves plain HTTP by accident. Not here: single
//! settings.

use super::Config;
use super::error::ConfigError;
use super::inputs::TASKS_IN_MEMORY;

/// Refuses contradictions; adds a sentence for what works but is probably not meant.
pub(super) fn together(config: &Config, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
    match problem(config) {
        Some(problem) => Err(ConfigError::Conflict(problem)),
        None => {
            warnings.extend(doubts(config));
            Ok(())
        }
    }
}

fn problem(config: &Config) -> Option<String> {
    listening(config)
        .or_else(|| sizes(config))
        .or_else(|| times(config))
        .or_else(|| config.storage.problem())
        .or_else(|| config.stripe.problem())
}

fn listening(config: &Config) -> Option<String> {
    let server = &config.server;
    match (&server.tls_cert, &server.tls_key) {
        (Some(_), None) => return Some("server.tls_cert needs server.tls_key beside it".to_owned()),
        (None, Some(_)) => return Some("server.tls_key needs server.tls_cert beside it".to_owned()),
        (None, None) | (Some(_), Some(_)) => {}
    }
    if server.on_loopback() {
        return None;
    }
    let listen = server.listen;
    if server.tls_cert.is_none() && !server.behind_proxy {
        return Some(format!(
            "server.listen {listen} can be reached from other machines: set server.tls_cert and \
             server.tls_key, or server.behind_proxy = true if a proxy in front does HTTPS"
        ));
    }
    if server.public_url.is_empty() {
        return Some(format!(
            "server.listen {listen} is not loopback, so server.public_url must say what clients call this \
             gateway, such as https://gateway.example"
        ));
    }
    None
}

fn sizes(config: &Config) -> Option<String> {
    let limits = &config.limits;
    let (body, data_uri) = (limits.body_bytes, limits.data_uri_body_bytes);
    if data_uri < body {
        return Some(format!(
            "limits.data_uri_body_bytes ({data_uri}) must not be less than limits.body_bytes ({body})"
        ));
    }
    let (one, all) = (config.inputs.max_bytes, config.inputs.memory_bytes);
    let file = u64::try_from(limits.file_bytes).unwrap_or(u64::MAX);
    if config.inputs.task_bytes() < one.max(file) {
        return Some(format!(
            "inputs.memory_bytes ({all}) must be at least {TASKS_IN_MEMORY} times inputs.max_bytes ({one}) \
             and limits.file_bytes ({file})"
        ));
    }
    let (batch, queue) = (config.database.threads.batch_max, config.database.threads.queue_capacity);
    if queue < batch {
        return Some(format!(
            "database.queue_capacity ({queue}) must not be less than database.batch_max ({batch})"
        ));
    }
    None
}

fn times(config: &Config) -> Option<String> {
    let (lease, beat) = (config.worker.lease_seconds, config.worker.beat_seconds);
    if lease < 2 * beat {
        return Some(format!(
            "worker.lease_seconds ({lease}) must be at least twice worker.beat_seconds ({beat}), \
             so that one lost beat loses no task"
        ));
    }
    let (url, output) = (config.retention.url_days, config.retention.output_days);
    if url > output {
        return Some(format!(
            "retention.url_days ({url}) must not be more than retention.output_days ({output}): \
             a link would outlive its file"
        ));
    }
    None
}

fn doubts(config: &Config) -> Option<String> {
    let server = &config.server;
    (server.behind_proxy && server.trusted_proxies.is_empty()).then(|| {
        let cause = "server.behind_proxy is true but server.trusted_proxies is empty";
        format!("{cause}: all clients count as one address")
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Loaded;
    use super::*;

    fn load(file: &str) -> Result<Loaded, ConfigError> {
        Config::load(Some((Path::new("r.toml"), file)), std::iter::empty(), toml::Table::new())
    }

    #[test]
    fn contradictions_are_refused() {
        let open = "can be reached from other machines: set server.tls_cert and server.tls_key, or \
                    server.behind_proxy = true if a proxy in front does HTTPS";
        let nameless = "is not loopback, so server.public_url must say what clients call this gateway, such \
                        as https://gateway.example";
        let rows = [
            ("server.tls_cert = \"c\"", "server.tls_cert needs server.tls_key beside it".to_owned()),
            ("server.tls_key = \"k\"", "server.tls_key needs server.tls_cert beside it".to_owned()),
            ("server.listen = \"0.0.0.0:80\"", format!("server.listen 0.0.0.0:80 {open}")),
            ("server.listen = \"[::]:80\"", format!("server.listen [::]:80 {open}")),
            (
                "server = { listen = \"0.0.0.0:80\", behind_proxy = true }",
                format!("server.listen 0.0.0.0:80 {nameless}"),
            ),
            (
                "server = { listen = \"0.0.0.0:80\", tls_cert = \"c\", tls_key = \"k\" }",
                format!("server.listen 0.0.0.0:80 {nameless}"),
            ),
            (
                "limits.data_uri_body_bytes = 1048575",
                "limits.data_uri_body_bytes (1048575) \
                 must not be less than limits.body_bytes (1048576)"
                    .into(),
            ),
            (
                "inputs.memory_bytes = 119999999",
                "inputs.memory_bytes (119999999) must be at least 4 times inputs.max_bytes (30000000) and \
                 limits.file_bytes (30000000)"
                    .into(),
            ),
            (
                "database.queue_capacity = 255",
                "database.queue_capacity (255) must not be less than database.batch_max (256)".to_owned(),
            ),
            (
                "worker.beat_seconds = 16",
                "worker.lease_seconds (30) must be at least twice worker.beat_seconds (16), so that one \
                 lost beat loses no task"
                    .to_owned(),
            ),
            (
                "retention.output_days = 6",
                "retention.url_days (7) must not be more than retention.output_days (6): a link would \
                 outlive its file"
                    .to_owned(),
            ),
        ];
        for (file, message) in rows {
            assert_eq!(load(file).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn what_just_fits_loads() {
        let rows = [
            ("server.listen = \"[::1]:0\"", "http://[::1]:0"),
            ("server.listen = \"[::ffff:127.0.0.1]:1\"", "http://[::ffff:127.0.0.1]:1"),
            ("server = { tls_cert = \"c\", tls_key = \"k\" }", "https://127.0.0.1:8787"),
            ("server.public_url = \"HTTPS://Gateway.example:443/\"", "https://gateway.example"),
            ("worker.beat_seconds = 14", "http://127.0.0.1:8787"),
            ("limits.data_uri_body_bytes = 1048576", "http://127.0.0.1:8787"),
            ("retention.output_days = 7", "http://127.0.0.1:8787"),
        ];
        for (file, base_url) in rows {
            let loaded = load(file).unwrap();
            assert_eq!(loaded.warnings, Vec::<String>::new(), "{file}");
            assert_eq!(loaded.config.server.base_url(loaded.config.server.listen), base_url);
        }
    }

    #[test]
    fn a_proxy_that_nobody_believes_is_told() {
        let proxied = "server = { listen = \"0.0.0.0:80\", public_url = \"https://a.b\", behind_proxy = true";
        let loaded = load(&format!("{proxied} }}")).unwrap();
        assert_eq!(
            loaded.warnings,
            ["server.behind_proxy is true but server.trusted_proxies is empty: all clients count as \
                 one address"]
        );
        let believed = load(&format!("{proxied}, trusted_proxies = [\"10.0.0.0/8\"] }}")).unwrap();
        assert_eq!(believed.warnings, Vec::<String>::new());
    }
}
