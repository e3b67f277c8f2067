//! Colours for code: comments, texts and the names of JSON members, nothing more.
//!
//! Invariant: without its marks the result is the code, escaped. Not here: the colours (`style.css`).

use super::markdown::escaped;

/// The code as HTML with `c` around comments, `s` around texts and `k` around JSON's names.
pub(super) fn coloured(language: &str, code: &str) -> String {
    let comment = match language {
        "sh" | "python" => "#",
        "js" => "//",
        "json" => "",
        _ => return escaped(code),
    };
    let mut html = String::new();
    let mut rest = code;
    let mut before = '\n';
    while let Some(letter) = rest.chars().next() {
        let begins_comment = !comment.is_empty() && before.is_whitespace() && rest.starts_with(comment);
        let (length, class) = if begins_comment {
            (rest.find('\n').unwrap_or(rest.len()), "c")
        } else if letter == '"' || (letter == '\'' && language != "json") {
            let length = text_length(rest, letter, language);
            let is_name = language == "json" && rest.get(length..).is_some_and(|rest| rest.starts_with(':'));
            (length, if is_name { "k" } else { "s" })
        } else {
            (letter.len_utf8(), "")
        };
        let (part, behind) = rest.split_at(length);
        match class {
            "" => html.push_str(&escaped(part)),
            class => html.push_str(&format!("<span class=\"{class}\">{}</span>", escaped(part))),
        }
        before = part.chars().last().unwrap_or(before);
        rest = behind;
    }
    html
}

/// How long the text at the start of `rest` is, its quotes included; a shell knows no escape between `'`.
fn text_length(rest: &str, quote: char, language: &str) -> usize {
    let escapes = !(language == "sh" && quote == '\'');
    let mut skip = false;
    for (at, letter) in rest.char_indices().skip(1) {
        if skip {
            skip = false;
        } else if escapes && letter == '\\' {
            skip = true;
        } else if letter == quote {
            return at + 1;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_texts_and_names() {
        let rows = [
            (
                "sh",
                "a '\\' b # c\nd#e",
                "a <span class=\"s\">'\\'</span> b <span class=\"c\"># c</span>\nd#e",
            ),
            (
                "js",
                "f(\"a\\\"b\") // é",
                "f(<span class=\"s\">&quot;a\\&quot;b&quot;</span>) \
              <span class=\"c\">// é</span>",
            ),
            (
                "json",
                "{\"a\": \"#\"}",
                "{<span class=\"k\">&quot;a&quot;</span>: \
              <span class=\"s\">&quot;#&quot;</span>}",
            ),
            ("python", "'open", "<span class=\"s\">'open</span>"),
            ("text", "'a' <b>", "'a' &lt;b&gt;"),
        ];
        for (language, code, expected) in rows {
            assert_eq!(coloured(language, code), expected, "{code}");
        }
    }
}
