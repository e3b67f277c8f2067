//! Every block of code of every guide is run against a real gateway, as a reader would paste it.
//!
//! Invariant: a block is run, compared with what was run before it, or posted; one that is only shown says
//! so, and one that waits for a call says for which and is refused once that call exists. Not here: the pages
//! as HTML (`crates/server/tests/it/guide.rs`).

#[cfg(test)]
#[path = "cli/run.rs"]
#[allow(dead_code, reason = "shared with the tests of the command line, which use more of it")]
mod run;

#[cfg(test)]
#[path = "guides/block.rs"]
mod block;
#[cfg(test)]
#[path = "guides/reader.rs"]
mod reader;
#[cfg(test)]
#[path = "guides/shape.rs"]
mod shape;

use reader::Reader;

/// Reads a guide and runs at least so many of its blocks: fewer means that a page has lost them.
fn read(reader: &Reader, path: &str, least: usize) {
    let page = reader.read(path);
    assert!(page.run >= least, "{path}: {}", page.counts());
}

#[test]
fn agent_quickstart() {
    read(&Reader::start(), "/docs/agent-quickstart", 20);
}

#[test]
fn for_agents() {
    read(&Reader::with_account(), "/docs/for-agents", 7);
}

#[test]
fn model_routing() {
    read(&Reader::with_account(), "/docs/model-routing", 3);
}

#[test]
fn api() {
    // One example for each call that needs no signature, no file and no id out of an answer.
    read(&Reader::with_account(), "/docs/api", 10);
}
