//! The page around a guide: head, navigation, table of contents.
//!
//! Invariant: no script, no asset of others, nothing inline: the policy in `PAGE_POLICY` allows our
//! stylesheet and icon alone. Not here: the guides (`pages`).

use super::{
    GUIDES,
    markdown::{self, Heading, escaped},
};

/// What a page may load.
pub(super) const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                                      form-action 'none'; frame-ancestors 'none'";

/// What a page is, beside its text.
pub(super) struct Frame<'a> {
    pub(super) path: &'a str,
    pub(super) title: &'a str,
    pub(super) description: &'a str,
    /// Changes with the stylesheet, so that it can be kept for ever.
    pub(super) style_version: &'a str,
}

/// A whole page.
pub(super) fn page(frame: &Frame<'_>, text: &str) -> String {
    let rendered = markdown::render(text);
    let (title, description) = (escaped(frame.title), escaped(frame.description));
    let navigation = navigation(frame.path);
    let with_contents = rendered.headings.len() > 3;
    let contents = if with_contents { contents(&rendered.headings) } else { String::new() };
    let class = if with_contents { "with-contents" } else { "plain" };
    let markdown = if GUIDES.iter().any(|guide| guide.path == frame.path) {
        format!("<p class=\"source\"><a href=\"{}.md\">This page as Markdown</a></p>\n", frame.path)
    } else {
        String::new()
    };
    let (version, html) = (frame.style_version, rendered.html);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n\
         <meta name=\"color-scheme\" content=\"light dark\" />\n<title>{title}</title>\n\
         <meta name=\"description\" content=\"{description}\" />\n\
         <link rel=\"stylesheet\" href=\"/docs/style.css?v={version}\" />\n\
         <link rel=\"icon\" type=\"image/svg+xml\" href=\"/docs/icon.svg\" />\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#content\">Skip to the text</a>\n\
         <header><div class=\"bar\"><a class=\"brand\" href=\"/docs\"><img src=\"/docs/icon.svg\" alt=\"\" \
         width=\"22\" height=\"22\" />rynjer</a>\n{navigation}</div></header>\n\
         <div class=\"frame {class}\">\n{contents}<main id=\"content\" tabindex=\"-1\">\n\
         {html}{markdown}</main>\n</div>\n<footer><p><a href=\"/docs\">All guides</a> · For machines: \
         <a href=\"/llms.txt\">llms.txt</a> · \
         <a href=\"/llms-full.txt\">llms-full.txt</a> · <a href=\"/skill.md\">skill.md</a> · \
         <a href=\"/agent/openapi.json\">OpenAPI</a></p></footer>\n</body>\n</html>\n"
    )
}

fn navigation(path: &str) -> String {
    let links = GUIDES.iter().map(|guide| {
        let current = if guide.path == path { " aria-current=\"page\"" } else { "" };
        format!("<li><a href=\"{}\"{current}>{}</a></li>\n", guide.path, guide.short)
    });
    format!("<nav aria-label=\"Guides\"><ul>\n{}</ul></nav>\n", links.collect::<String>())
}

/// The headings as a list of links: beside the text where there is room, folded up above it where not.
fn contents(headings: &[Heading]) -> String {
    let links = headings.iter().map(|heading| {
        let Heading { level, id, html } = heading;
        format!("<li class=\"level-{level}\"><a href=\"#{id}\">{html}</a></li>\n")
    });
    let links: String = links.collect();
    format!(
        "<details class=\"contents narrow\"><summary>On this page</summary>\
         <nav aria-label=\"On this page\"><ul>\n{links}</ul></nav></details>\n\
         <aside class=\"contents wide\"><nav aria-label=\"On this page\">\
         <p>On this page</p><ul>\n{links}</ul></nav></aside>\n"
    )
}
