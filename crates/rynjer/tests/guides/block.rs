//! The fenced blocks of a Markdown text.
//!
//! Invariant: a fence that says something unknown is refused, so that no block is passed over in silence. Not
//! here: running them (`reader`).

/// What a block is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Use {
    /// Pasted into the shell; `refused` if its last call is meant to be refused.
    Shell { refused: bool },
    /// Saved under this name, then run by this program.
    Program { name: String, program: &'static str },
    /// What the block before it prints.
    Answer,
    /// Sent with this method to this path.
    Request { method: String, path: String },
    /// Only looked at.
    Shown,
    /// Waits until this call exists.
    Later { call: String },
}

/// One block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) usage: Use,
    pub(crate) text: String,
    /// For messages.
    pub(crate) line: usize,
}

/// All blocks, in their order.
pub(crate) fn blocks(markdown: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = markdown.lines().zip(1..);
    while let Some((line, at)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let inside = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```");
        let text = inside.fold(String::new(), |text, line| text + line + "\n");
        found.push(Block {
            usage: usage(info).unwrap_or_else(|| panic!("line {at}: {line}")),
            text,
            line: at,
        });
    }
    found
}

fn usage(info: &str) -> Option<Use> {
    let words: Vec<&str> = info.split(' ').collect();
    Some(match words.as_slice() {
        ["sh"] => Use::Shell { refused: false },
        ["sh", "refused"] => Use::Shell { refused: true },
        ["sh" | "json" | "text", "shown"] => Use::Shown,
        ["sh", "later", method, path] => Use::Later { call: format!("{method} {path}") },
        ["python", name] => Use::Program { name: (*name).to_owned(), program: "python3" },
        ["js", name] => Use::Program { name: (*name).to_owned(), program: "node" },
        ["json"] => Use::Answer,
        ["json", "request", method, path] => {
            Use::Request { method: (*method).to_owned(), path: (*path).to_owned() }
        }
        _ => return None,
    })
}

#[test]
fn fences_say_what_they_are_for() {
    let found = blocks("a\n```sh refused\nb\nc\n```\n\n```python d.py\n```\n```sh later GET /v1/x/{}\n```\n");
    let uses: Vec<&Use> = found.iter().map(|block| &block.usage).collect();
    let program = Use::Program { name: "d.py".to_owned(), program: "python3" };
    let later = Use::Later { call: "GET /v1/x/{}".to_owned() };
    assert_eq!(uses, [&Use::Shell { refused: true }, &program, &later]);
    assert_eq!((found[0].text.as_str(), found[0].line), ("b\nc\n", 2));
    for unknown in ["", "sh hidden", "python", "json later", "yaml"] {
        assert_eq!(usage(unknown), None, "{unknown}");
    }
}
