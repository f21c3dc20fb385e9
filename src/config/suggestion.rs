//! Suggestions and lists of names, for hints.

/// The hint "did you mean `x`?", if one of `known` is close to `typed`.
pub(super) fn did_you_mean<'k>(
    typed: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<String> {
    // A slip in every fourth letter and one more; further away it is a guess, not a suggestion.
    let reach = 1 + typed.chars().count() / 4;
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(typed, name), name))
        .filter(|(distance, _)| *distance <= reach)
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// The names in backticks, as in "`a`, `b`, `c`".
pub(super) fn quoted<'k>(names: impl IntoIterator<Item = &'k str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
