//! A page for people who wait in a browser, instead of a request that hangs.

use super::own::RETRY_AFTER_SECS;
use crate::plugin::Answer;
use crate::proxy::http1::fields::asks_for_websocket;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use pingora::http::RequestHeader;

const PAGE: &str = include_str!("waiting.html");

/// Whether a person is about to look at the answer: a browser goes to a page, and prefers HTML to
/// anything else. Requests of scripts, images and programs are held instead.
pub fn is_for_a_page(head: &RequestHeader) -> bool {
    let mode = head.headers.get("sec-fetch-mode");
    head.method == Method::GET
        && mode.is_none_or(|mode| mode == "navigate")
        && !asks_for_websocket(head)
        && prefers_html(head)
}

/// HTML is named, and nothing is wanted more.
fn prefers_html(head: &RequestHeader) -> bool {
    let values = head.headers.get_all(header::ACCEPT).iter();
    let ranges = values.filter_map(|value| value.to_str().ok());
    let ranges = ranges.flat_map(|value| value.split(','));
    let mut html: f32 = 0.0;
    let mut most: f32 = 0.0;
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
        let weight: f32 = weight.unwrap_or(1.0);
        if name.eq_ignore_ascii_case("text/html") {
            html = weight;
        }
        most = most.max(weight);
    }
    html > 0.0 && html >= most
}

/// Says who is waited for, and asks again every second. Nothing is loaded from anywhere, and
/// nobody keeps it.
pub fn page(service: &str) -> Answer {
    let text = HeaderValue::from_static;
    Answer {
        status: StatusCode::SERVICE_UNAVAILABLE,
        headers: vec![
            ("content-type", text("text/html; charset=utf-8")),
            ("retry-after", text(RETRY_AFTER_SECS)),
            ("cache-control", text("no-store")),
        ],
        body: Bytes::from(PAGE.replace("{service}", &escaped(service))),
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut head = RequestHeader::build(method, b"/", None).unwrap();
        for (name, value) in headers {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    #[test]
    fn the_page_is_for_people_who_go_somewhere() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8";
        for (method, headers, expected) in [
            (Method::GET, &[("accept", browser)][..], true),
            (
                Method::GET,
                &[("accept", browser), ("sec-fetch-mode", "navigate")],
                true,
            ),
            (
                Method::GET,
                &[("accept", browser), ("sec-fetch-mode", "cors")],
                false,
            ),
            (Method::POST, &[("accept", browser)], false),
            (Method::HEAD, &[("accept", browser)], false),
            (Method::GET, &[], false),
            (Method::GET, &[("accept", "*/*")], false),
            (
                Method::GET,
                &[("accept", "application/json, text/html;q=0.5")],
                false,
            ),
            (Method::GET, &[("accept", "text/html;q=0")], false),
            (
                Method::GET,
                &[("accept", "text/html"), ("accept", "*/*;q=0.1")],
                true,
            ),
        ] {
            let head = request(method.clone(), headers);
            assert_eq!(is_for_a_page(&head), expected, "{method} {headers:?}");
        }
    }

    #[test]
    fn a_name_is_text_and_nothing_else() {
        let body = page("a<b>&\"c\"").body;
        let body = std::str::from_utf8(&body).unwrap();
        assert!(body.contains("a&lt;b&gt;&amp;&quot;c&quot;"), "{body}");
        assert!(
            !body.contains("{service}") && !body.contains("<b>"),
            "{body}"
        );
        for loads in ["http:", "https:", "src=", "<script", "url("] {
            assert!(!body.contains(loads), "{loads}");
        }
    }
}
