//! Secrets are compared by looking up their hash or in constant time, never by `==`: its time tells how much
//! of a guess was right.
//!
//! Invariant: what is refused is a comparison of what is named like a secret or a hash; what has another name
//! is not seen. Not here: tests' code, and the binary, which checks nobody.

use super::scan::Line;

/// Names of secrets, and of what stands for them; also as the last word of a longer name.
const WORDS: [&str; 9] =
    ["secret", "mac", "signature", "password", "csrf", "api_key", "token", "hash", "digest"];
/// What shows the same in another form.
const VIEWS: [&str; 8] =
    ["as_str", "as_bytes", "as_ref", "as_deref", "as_slice", "expose", "to_owned", "clone"];
/// Who checks secrets.
const WITHIN: [&str; 6] = [
    "crates/core/src/",
    "crates/store/src/",
    "crates/server/src/",
    "crates/peers/src/",
    "crates/providers/src/",
    "crates/api/src/",
];

/// What this line compares in the wrong way.
pub(crate) fn compared(path: &str, line: &Line) -> Vec<String> {
    if !WITHIN.iter().any(|start| path.starts_with(start)) {
        return Vec::new();
    }
    let code = &line.code;
    let mut found = Vec::new();
    for (at, operator) in code.match_indices("==").chain(code.match_indices("!=")) {
        let left = operand_before(code.get(..at).unwrap_or_default());
        let right = operand_after(code.get(at + operator.len()..).unwrap_or_default());
        // A text in the source is no secret, so nothing is learnt from how long it took.
        if left.starts_with('"') || right.starts_with('"') {
            continue;
        }
        let name = [left, right].into_iter().find_map(secret_in);
        found.extend(name.map(|name| {
            format!("`{name}` is compared by `{operator}`: use `constant_time_eq`, or look up a hash")
        }));
    }
    found
}

fn is_part(letter: char) -> bool {
    letter.is_alphanumeric() || "_.()?&*:[]\"".contains(letter)
}

fn operand_before(code: &str) -> &str {
    let code = code.trim_end();
    let start = code.char_indices().rev().take_while(|(_, letter)| is_part(*letter)).last();
    start.and_then(|(at, _)| code.get(at..)).unwrap_or_default()
}

fn operand_after(code: &str) -> &str {
    let code = code.trim_start();
    let end = code.find(|letter| !is_part(letter)).unwrap_or(code.len());
    code.get(..end).unwrap_or_default()
}

/// The name of the secret that an operand is. A field or a length of something else is none.
fn secret_in(operand: &str) -> Option<&str> {
    let names = operand.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let is_view =
        |name: &str| VIEWS.contains(&name) || name.starts_with(|letter: char| letter.is_ascii_digit());
    let name = names.rev().find(|name| !name.is_empty() && !is_view(name))?;
    WORDS.iter().any(|word| name == *word || name.ends_with(&format!("_{word}"))).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::scan::lines;

    fn told(path: &str, source: &str) -> usize {
        lines(source).iter().flat_map(|line| compared(path, line)).count()
    }

    #[test]
    fn secrets_are_not_compared_by_equality() {
        let path = "crates/server/src/app/key.rs";
        let wrong = [
            "if found.registration_hash != hash {",
            "let same = row.hash(0)? == *hash;",
            "form.raw(\"csrf\") == session.csrf",
            "ok = signature == expected;",
            "(sent.as_bytes() == api_key.as_bytes())",
            "Some(password) if given == self.password.expose() => {",
            "assert(&mac[..] != tag)",
        ];
        for source in wrong {
            assert_eq!(told(path, source), 1, "{source}");
            assert_eq!(told("crates/rynjer/src/save.rs", source), 0, "{source}");
        }
        let fine = [
            "constant_time_eq(&hash, &agent.registration_hash)",
            "if parsed.kind != KeyKind::RefreshToken {",
            "token.model == plan.model",
            "if token == \"\" {",
            "hash.len() == 64",
            "// hash == hash",
            "let a = \"token == token\";",
            "code == ErrorCode::InvalidToken",
            "hashes == tokens",
            "if a <= hash_length {",
        ];
        for source in fine {
            assert_eq!(told(path, source), 0, "{source}");
        }
    }
}
