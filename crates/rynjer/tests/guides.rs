//! Every block of code of every guide is run against a real gateway, as a reader would paste it.
//!
//! Invariant: a block is run, compared with what was run before it, or posted; one that is only shown says so,
//! and one that waits for a call says for which and is refused once that call exists. Not here: the pages as
//! HTML (`crates/server/tests/it/guide.rs`).

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

#[test]
fn agent_quickstart() {
    let page = Reader::start().read("/docs/agent-quickstart");
    assert_eq!(page.counts(), "21 run, 7 compared, 0 posted, 1 shown");
}

#[test]
fn for_agents() {
    let page = Reader::with_account().read("/docs/for-agents");
    assert_eq!(page.counts(), "7 run, 1 compared, 1 posted, 0 shown");
}

#[test]
fn model_routing() {
    let page = Reader::with_account().read("/docs/model-routing");
    assert_eq!(page.counts(), "3 run, 2 compared, 0 posted, 0 shown");
}

#[test]
fn api() {
    let page = Reader::with_account().read("/docs/api");
    // One example for each call that needs no signature, no file and no id of an answer.
    assert!(page.run > 10, "{}", page.counts());
}
