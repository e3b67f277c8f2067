//! What the program is made of, as CycloneDX 1.6: from `cargo metadata` and `Cargo.lock`.
//!
//! Invariant: the same tree gives the same bytes, and every crate that is compiled into the program is named
//! with its version, licence and checksum. Not here: crates of tests and of build scripts.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The document for one package and what it needs to run.
pub(crate) fn document(metadata: &Value, lock: &str, package: &str) -> Result<Value, Failure> {
    let lock: toml::Table = lock.parse()?;
    let checksums = checksums(&lock);
    let packages = by_id(metadata, "packages");
    let nodes: BTreeMap<&str, &Value> = by_id(&metadata["resolve"], "nodes");
    let named = |id: &&&str| packages.get(**id).is_some_and(|found| found["name"] == package);
    let root = *packages.keys().find(named).ok_or_else(|| format!("there is no package {package}"))?;
    let reached = reached(root, &nodes);
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    for id in &reached {
        let found = packages.get(id).ok_or_else(|| format!("{id} is not described"))?;
        let own = nodes.get(id).map(|node| needed(node)).unwrap_or_default();
        let mut needs: Vec<String> =
            own.into_iter().filter_map(|id| packages.get(id)).map(|p| purl(p)).collect();
        needs.sort();
        dependencies.push(json!({"ref": purl(found), "dependsOn": needs}));
        if *id != root {
            components.push(component(found, &checksums)?);
        }
    }
    let by_text = |list: &mut Vec<Value>, key: &str| list.sort_by_key(|item| item[key].to_string());
    by_text(&mut components, "purl");
    by_text(&mut dependencies, "ref");
    let root = packages.get(root).ok_or("the root is not described")?;
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {
            "type": "application", "bom-ref": purl(root), "name": root["name"], "version": root["version"],
            "purl": purl(root), "licenses": licenses(root),
        }},
        "components": components,
        "dependencies": dependencies,
    }))
}

fn by_id<'a>(value: &'a Value, list: &str) -> BTreeMap<&'a str, &'a Value> {
    let items = value[list].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| Some((item["id"].as_str()?, item))).collect()
}

/// What a package is compiled with to run; not its tests, not its build script's.
fn needed(node: &Value) -> Vec<&str> {
    let all = node["deps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let runs = |dependency: &&Value| {
        let kinds = dependency["dep_kinds"].as_array().map(Vec::as_slice).unwrap_or_default();
        kinds.iter().any(|kind| kind["kind"].is_null())
    };
    all.iter().filter(runs).filter_map(|dependency| dependency["pkg"].as_str()).collect()
}

fn reached<'a>(root: &'a str, nodes: &BTreeMap<&'a str, &'a Value>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::from([root]);
    let mut ahead = vec![root];
    while let Some(id) = ahead.pop() {
        let next = nodes.get(id).map(|node| needed(node)).unwrap_or_default();
        ahead.extend(next.into_iter().filter(|id| reached.insert(id)));
    }
    reached
}

fn checksums(lock: &toml::Table) -> BTreeMap<(String, String), String> {
    let packages = lock.get("package").and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |package: &toml::Value, key: &str| Some(package.get(key)?.as_str()?.to_owned());
    let row =
        |package| Some(((text(package, "name")?, text(package, "version")?), text(package, "checksum")?));
    packages.iter().filter_map(row).collect()
}

fn component(package: &Value, checksums: &BTreeMap<(String, String), String>) -> Result<Value, Failure> {
    let (name, version) = (text(package, "name"), text(package, "version"));
    let mut component = json!({
        "type": "library", "bom-ref": purl(package), "name": name, "version": version, "purl": purl(package),
        "licenses": licenses(package),
    });
    match checksums.get(&(name.to_owned(), version.to_owned())) {
        Some(sum) => component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]),
        // Ours have none; anything else without one would come from nobody knows where.
        None if package["source"].is_null() => {}
        None => return Err(format!("{name} {version} has no checksum in Cargo.lock").into()),
    }
    Ok(component)
}

/// As an SPDX expression; old packages write a slash for OR.
fn licenses(package: &Value) -> Value {
    match package["license"].as_str() {
        Some(license) if license.contains(" / ") => json!([{"expression": license.replace(" / ", " OR ")}]),
        Some(license) => json!([{"expression": license.replace('/', " OR ")}]),
        None => json!([]),
    }
}

fn purl(package: &Value) -> String {
    format!("pkg:cargo/{}@{}", text(package, "name"), text(package, "version"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, source: &Value) -> Value {
        json!({"id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0", "source": source})
    }

    fn tree() -> Value {
        let registry = json!("registry+https://github.com/rust-lang/crates.io-index");
        let needs = |pkg: &str, kind: Value| json!({"pkg": pkg, "dep_kinds": [{"kind": kind}]});
        json!({
            "packages": [
                package("program", &Value::Null), package("ours", &Value::Null), package("runs", &registry),
                package("tests", &registry), package("builds", &registry),
            ],
            "resolve": {"nodes": [
                {"id": "program", "deps": [needs("ours", Value::Null), needs("tests", json!("dev"))]},
                {"id": "ours", "deps": [needs("runs", Value::Null), needs("builds", json!("build"))]},
                {"id": "runs", "deps": []}, {"id": "tests", "deps": []}, {"id": "builds", "deps": []},
            ]},
        })
    }

    #[test]
    fn only_what_runs_is_named_with_its_checksum() {
        let lock = "[[package]]\nname = \"runs\"\nversion = \"1.0.0\"\nchecksum = \"abc\"\n";
        let made = document(&tree(), lock, "program").unwrap();
        let expected = json!([
            {"type": "library", "bom-ref": "pkg:cargo/ours@1.0.0", "name": "ours", "version": "1.0.0",
             "purl": "pkg:cargo/ours@1.0.0", "licenses": [{"expression": "MIT OR Apache-2.0"}]},
            {"type": "library", "bom-ref": "pkg:cargo/runs@1.0.0", "name": "runs", "version": "1.0.0",
             "purl": "pkg:cargo/runs@1.0.0", "licenses": [{"expression": "MIT OR Apache-2.0"}],
             "hashes": [{"alg": "SHA-256", "content": "abc"}]},
        ]);
        assert_eq!(made["components"], expected);
        assert_eq!(
            made["dependencies"],
            json!([
                {"ref": "pkg:cargo/ours@1.0.0", "dependsOn": ["pkg:cargo/runs@1.0.0"]},
                {"ref": "pkg:cargo/program@1.0.0", "dependsOn": ["pkg:cargo/ours@1.0.0"]},
                {"ref": "pkg:cargo/runs@1.0.0", "dependsOn": []},
            ])
        );
    }

    #[test]
    fn a_crate_from_nowhere_is_refused() {
        let refused = document(&tree(), "", "program").unwrap_err().to_string();
        assert_eq!(refused, "runs 1.0.0 has no checksum in Cargo.lock");
        assert_eq!(document(&tree(), "", "other").unwrap_err().to_string(), "there is no package other");
    }
}
