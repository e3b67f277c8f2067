//! Markdown into HTML: headings with anchors, code with captions, tables that scroll inside themselves.
//!
//! Invariant: whatever the Markdown says, the HTML is well-formed: markup inside it is shown, not obeyed. Not
//! here: the page around it (`layout`), what a guide says (`pages`).

use super::colour;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};
use std::{collections::BTreeSet, fmt::Write as _};

/// A guide as HTML.
pub(super) struct Rendered {
    pub(super) html: String,
    pub(super) headings: Vec<Heading>,
}

/// A heading below the title.
pub(super) struct Heading {
    /// 2 or 3.
    pub(super) level: u8,
    pub(super) id: String,
    /// Its text as HTML.
    pub(super) html: String,
}

/// Turns Markdown into HTML.
pub(super) fn render(markdown: &str) -> Rendered {
    let mut writer = Writer::default();
    let mut events = Parser::new_ext(markdown, Options::ENABLE_TABLES);
    while let Some(event) = events.next() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => writer.heading(level, &until_end(&mut events)),
            Event::Start(Tag::CodeBlock(kind)) => writer.code(&kind, &until_end(&mut events)),
            Event::Start(Tag::Table(_)) => writer.table(until_end(&mut events)),
            other => writer.pending.push(plain(other)),
        }
    }
    writer.flush();
    Rendered { html: writer.html, headings: writer.headings }
}

/// The events inside the element that has just begun; takes its end too.
fn until_end<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> Vec<Event<'a>> {
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for event in events {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) if depth == 0 => break,
            Event::End(_) => depth -= 1,
            _ => {}
        }
        found.push(plain(event));
    }
    found
}

/// Markup inside the text is text.
fn plain(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        other => other,
    }
}

/// What a reader sees of events, without markup.
fn text_of(events: &[Event<'_>]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
        Event::SoftBreak | Event::HardBreak => Some(" "),
        _ => None,
    });
    texts.collect()
}

fn html_of(events: Vec<Event<'_>>) -> String {
    let mut text = String::new();
    html::push_html(&mut text, events.into_iter());
    text
}

/// The anchor of a heading: small letters, digits and `_`, all else a hyphen.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() || letter == '_' {
            slug.push(letter.to_ascii_lowercase());
        } else if letter != '\'' && !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[derive(Default)]
struct Writer<'a> {
    html: String,
    pending: Vec<Event<'a>>,
    headings: Vec<Heading>,
    ids: BTreeSet<String>,
}

impl<'a> Writer<'a> {
    fn flush(&mut self) {
        html::push_html(&mut self.html, self.pending.drain(..));
    }

    fn push(&mut self, html: &str) {
        self.flush();
        self.html.push_str(html);
    }

    fn fresh_id(&mut self, wanted: &str) -> String {
        let mut id = wanted.to_owned();
        let mut number = 1;
        while !self.ids.insert(id.clone()) {
            number += 1;
            id = format!("{wanted}-{number}");
        }
        id
    }

    fn heading(&mut self, level: HeadingLevel, events: &[Event<'a>]) {
        let id = self.fresh_id(&slug(&text_of(events)));
        let html = html_of(events.to_vec());
        if level == HeadingLevel::H1 {
            self.push(&format!("<h1 id=\"{id}\">{html}</h1>\n"));
            return;
        }
        let level = level as u8;
        self.push(&format!("<h{level} id=\"{id}\"><a href=\"#{id}\">{html}</a></h{level}>\n"));
        if level <= 3 {
            self.headings.push(Heading { level, id, html });
        }
    }

    fn code(&mut self, kind: &CodeBlockKind<'_>, events: &[Event<'a>]) {
        let info = match kind {
            CodeBlockKind::Fenced(info) => info.as_ref(),
            CodeBlockKind::Indented => "",
        };
        let (language, rest) = info.split_once(' ').unwrap_or((info, ""));
        let code = colour::coloured(language, &text_of(events));
        let block = format!("<pre tabindex=\"0\"><code>{code}</code></pre>");
        match caption(language, rest) {
            Some(caption) => {
                let caption = escaped(caption);
                self.push(&format!("<figure><figcaption>{caption}</figcaption>{block}</figure>\n"));
            }
            None => self.push(&format!("{block}\n")),
        }
    }

    fn table(&mut self, events: Vec<Event<'a>>) {
        let mut html = String::from("<div class=\"scroll\" tabindex=\"0\"><table>\n");
        let mut events = events.into_iter();
        let (mut column, mut in_head) = (0, false);
        let mut names: Vec<String> = Vec::new();
        while let Some(event) = events.next() {
            match event {
                Event::Start(Tag::TableHead) => {
                    in_head = true;
                    html.push_str("<thead><tr>");
                }
                Event::End(TagEnd::TableHead) => {
                    in_head = false;
                    html.push_str("</tr></thead>\n<tbody>\n");
                }
                Event::Start(Tag::TableRow) => column = 0,
                Event::End(TagEnd::TableRow) => html.push_str("</tr>\n"),
                Event::Start(Tag::TableCell) => {
                    let cell = until_end(&mut events);
                    let text = text_of(&cell);
                    if in_head {
                        let _ = write!(html, "<th scope=\"col\">{}</th>", html_of(cell));
                        names.push(text);
                        continue;
                    }
                    if column == 0 {
                        let by_code = names.first().is_some_and(|name| name == "Code");
                        html.push_str(&self.row_start(by_code, &text));
                    }
                    let name = names.get(column).map(|name| escaped(name)).unwrap_or_default();
                    // A phone shows the name of the column in each cell.
                    let _ = write!(html, "<td data-column=\"{name}\"><span>{}</span></td>", html_of(cell));
                    column += 1;
                }
                _ => {}
            }
        }
        html.push_str("</tbody></table></div>\n");
        self.push(&html);
    }

    /// A row of a table whose first column is `Code` can be linked to by its code.
    fn row_start(&mut self, by_code: bool, code: &str) -> String {
        if by_code { format!("<tr id=\"{}\">", self.fresh_id(code)) } else { "<tr>".to_owned() }
    }
}

/// What stands above a block of code: a file's name, or the call that takes it.
fn caption<'a>(language: &str, rest: &'a str) -> Option<&'a str> {
    match language {
        "json" => match rest.split_once(' ') {
            Some(("request", call)) => Some(call),
            _ if rest == "shown" => None,
            _ => Some("the answer"),
        },
        "python" | "js" if !rest.is_empty() => Some(rest),
        _ => None,
    }
}

/// Text as HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_anchors_of_their_own() {
        let rendered = render("# A `b`\n\n## C d!\n\n### C d\n");
        assert_eq!(
            rendered.html,
            "<h1 id=\"a-b\">A <code>b</code></h1>\n<h2 id=\"c-d\"><a href=\"#c-d\">C d!</a></h2>\n\
             <h3 id=\"c-d-2\"><a href=\"#c-d-2\">C d</a></h3>\n"
        );
        let found: Vec<(u8, &str)> =
            rendered.headings.iter().map(|heading| (heading.level, heading.id.as_str())).collect();
        assert_eq!(found, [(2, "c-d"), (3, "c-d-2")]);
        assert_eq!(slug("POST /v1/generate/{request_id}"), "post-v1-generate-request_id");
    }

    #[test]
    fn rows_of_codes_can_be_linked_to() {
        let html = render("| Code | A |\n|---|---|\n| `not_found` | x\\|y |\n").html;
        let head = "<thead><tr><th scope=\"col\">Code</th><th scope=\"col\">A</th></tr></thead>\n<tbody>\n";
        let code = "<td data-column=\"Code\"><span><code>not_found</code></span></td>";
        let meaning = "<td data-column=\"A\"><span>x|y</span></td>";
        let table = format!("<table>\n{head}<tr id=\"not_found\">{code}{meaning}</tr>\n</tbody></table>");
        assert_eq!(html, format!("<div class=\"scroll\" tabindex=\"0\">{table}</div>\n"));
    }

    #[test]
    fn markup_inside_is_text() {
        assert_eq!(
            render("a <script>b</script> & c").html,
            "<p>a &lt;script&gt;b&lt;/script&gt; &amp; c</p>\n"
        );
    }

    #[test]
    fn code_has_a_caption_where_that_helps() {
        let html = render("```json request POST /v1/x\n{}\n```\n\n```sh\na\n```\n").html;
        assert_eq!(
            html,
            "<figure><figcaption>POST /v1/x</figcaption><pre tabindex=\"0\"><code>{}\n</code></pre>\
             </figure>\n<pre tabindex=\"0\"><code>a\n</code></pre>\n"
        );
    }
}
