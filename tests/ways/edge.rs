//! The edge that the table's requests go through: this very program, with a filter of its own.

use std::ffi::OsString;
use tidegate::plugin::prelude::*;

/// Arguments of the edge, by lines, for a process that is to be one.
pub const ARGUMENTS: &str = "WAYS_EDGE_ARGUMENTS";
/// Name of the test below.
pub const TEST: &str = "ways::edge::runs_where_the_table_starts_it";

/// Marks every request and every answer, and answers those that ask it to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Marks {}

impl Plugin for Marks {
    const NAME: &'static str = "marks";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.filter(self);
        Ok(())
    }
}

impl Filter for Marks {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let head = &mut request.head;
        if head.headers.contains_key("x-answer-me") {
            return Verdict::Answer(Answer {
                status: StatusCode::IM_A_TEAPOT,
                headers: vec![("x-from", HeaderValue::from_static("a filter"))],
                body: Bytes::from_static(b"filtered\n"),
            });
        }
        let _ = head.insert_header("x-marked", "request");
        head.remove_header("x-remove-me");
        Verdict::Continue
    }

    fn response(&self, response: &mut Response<'_>) {
        let _ = response.head.append_header("x-marked", "answer");
        response.head.remove_header("x-remove-me");
    }
}

#[test]
#[ignore = "the edge of the table, in a process that the table starts"]
fn runs_where_the_table_starts_it() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    let arguments = ["tidegate"].into_iter().chain(arguments.lines());
    let plugins = tidegate::plugins::standard().with::<Marks>();
    let code = tidegate::main_with(plugins, arguments.map(OsString::from));
    panic!("it ended: {code:?}");
}
