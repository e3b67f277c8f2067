//! Which crate may depend on which: down the list of the design only.
//!
//! Invariant: a crate that the table doesn't name is refused, so a new one takes its place on purpose.
//! Not here: crates of others, which `cargo deny` looks at.

/// Each crate with those of ours that it may depend on; `None` is any.
const MAY_USE: &[(&str, Option<&[&str]>)] = &[
    ("rynjer-core", Some(&[])),
    ("rynjer-sandbox", Some(&[])),
    ("rynjer-emulator", Some(&["rynjer-sandbox"])),
    ("rynjer-api", Some(&[])),
    ("rynjer-peers", Some(&[])),
    ("rynjer-store", Some(&["rynjer-core"])),
    ("rynjer-providers", Some(&["rynjer-core", "rynjer-sandbox", "rynjer-emulator"])),
    (
        "rynjer-server",
        Some(&[
            "rynjer-core",
            "rynjer-store",
            "rynjer-providers",
            "rynjer-peers",
            "rynjer-api",
            "rynjer-emulator",
        ]),
    ),
    ("rynjer", Some(&["rynjer-server", "rynjer-api", "rynjer-store", "rynjer-core", "rynjer-emulator"])),
    ("rynjer-sim", None),
    ("xtask", None),
];

/// What a member's `Cargo.toml` does against the table, with line numbers counted from 1.
pub(super) fn problems(text: &str) -> Vec<(usize, String)> {
    let Some((name_line, name)) = package_name(text) else {
        return vec![(1, "no package name".to_owned())];
    };
    let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
        return vec![(name_line, format!("{name} has no row in the table of xtask/src/tidy/manifest.rs"))];
    };
    let Some(allowed) = allowed else { return Vec::new() };
    let list = if allowed.is_empty() { "none of ours".to_owned() } else { allowed.join(", ") };
    dependencies(text)
        .into_iter()
        .filter(|(_, used)| is_ours(used) && !allowed.contains(&used.as_str()))
        .map(|(line, used)| (line, format!("{name} depends on {used}, but may use {list}")))
        .collect()
}

fn is_ours(name: &str) -> bool {
    MAY_USE.iter().any(|(known, _)| *known == name) || name.starts_with("rynjer")
}

fn package_name(text: &str) -> Option<(usize, String)> {
    let mut heading = "";
    for (at, line) in text.lines().map(str::trim).enumerate() {
        if line.starts_with('[') {
            heading = line;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if heading == "[package]" && key.trim() == "name" {
            return Some((at + 1, value.trim().trim_matches('"').to_owned()));
        }
    }
    None
}

/// Every dependency of any kind: for tests, builds or one platform, renamed, or with a section of its own.
fn dependencies(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut within = false;
    for (at, line) in text.lines().map(str::trim).enumerate() {
        if let Some(heading) = line.strip_prefix('[') {
            let heading = heading.split(']').next().unwrap_or_default();
            within = heading.ends_with("dependencies");
            if let Some((kind, name)) = heading.rsplit_once('.')
                && kind.ends_with("dependencies")
            {
                found.push((at + 1, name.trim_matches('"').to_owned()));
            }
        } else if within && !line.starts_with('#') {
            let key = line.split(['.', '=']).next().unwrap_or_default().trim().trim_matches('"');
            let renamed = line.split_once("package").and_then(|(_, rest)| rest.split('"').nth(1));
            found.push((at + 1, renamed.unwrap_or(key).to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, rest: &str) -> Vec<(usize, String)> {
        problems(&format!("[package]\nname = \"{name}\"\n{rest}"))
    }

    fn one(line: usize, text: &str) -> Vec<(usize, String)> {
        vec![(line, text.to_owned())]
    }

    #[test]
    fn dependencies_go_down_only() {
        assert_eq!(of("rynjer-core", "[dependencies]\nserde.workspace = true\n"), []);
        let upward = one(4, "rynjer-core depends on rynjer-store, but may use none of ours");
        assert_eq!(of("rynjer-core", "[dependencies]\nrynjer-store.workspace = true"), upward);
        assert_eq!(of("rynjer-core", "[dev-dependencies]\nrynjer-store = { path = \"../store\" }"), upward);
        assert_eq!(of("rynjer-core", "[target.'cfg(unix)'.dependencies]\nrynjer-store = \"1\""), upward);
        assert_eq!(of("rynjer-core", "[dependencies]\ns = { package = \"rynjer-store\" }"), upward);
        assert_eq!(of("rynjer-core", "\n[dependencies.rynjer-store]\nworkspace = true"), upward);
        assert_eq!(of("rynjer-store", "[dependencies]\nrynjer-core.workspace = true"), []);
        assert_eq!(
            of(
                "rynjer-server",
                "[dependencies]\nrynjer-core.workspace = true\nrynjer-sandbox.workspace = true"
            ),
            one(
                5,
                "rynjer-server depends on rynjer-sandbox, but may use \
                 rynjer-core, rynjer-store, rynjer-providers, rynjer-peers, rynjer-api, rynjer-emulator"
            )
        );
        assert_eq!(
            of("rynjer-store", "[dependencies]\nxtask = \"1\""),
            one(4, "rynjer-store depends on xtask, but may use rynjer-core")
        );
        assert_eq!(of("xtask", "[dependencies]\nrynjer-server.workspace = true"), []);
        assert_eq!(of("rynjer-core", "[features]\nrynjer-store = []\n# rynjer-store = 1"), []);
    }

    #[test]
    fn every_crate_has_its_row() {
        let message = "rynjer-extra has no row in the table of xtask/src/tidy/manifest.rs";
        assert_eq!(of("rynjer-extra", ""), one(2, message));
        assert_eq!(problems("[workspace]"), one(1, "no package name"));
    }
}
