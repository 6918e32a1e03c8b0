//! What a registry's answers mean.

use serde_json::Value;

/// A JSON object; none if it is anything else.
pub(super) fn parsed(body: &str) -> Option<Value> {
    serde_json::from_str::<Value>(body).ok().filter(Value::is_object)
}

/// True if the protocol's error code says that there is no such subject, version or schema.
pub(super) fn is_absent(body: &str) -> bool {
    let code = || parsed(body)?.get("error_code")?.as_u64();
    code().is_some_and(|code| code / 100 == 404)
}

/// The protocol's error in words.
pub(super) fn message(body: &str) -> Option<String> {
    parsed(body)?.get("message")?.as_str().map(str::to_owned)
}

/// What is said against a schema; none if the answer is of another kind.
pub(super) fn compatible(body: &str) -> Option<Vec<String>> {
    let answer = parsed(body)?;
    if answer.get("is_compatible")?.as_bool()? {
        return Some(Vec::new());
    }
    let messages = answer.get("messages").and_then(Value::as_array).into_iter().flatten();
    let mut problems: Vec<_> = messages.filter_map(|text| text.as_str().map(str::to_owned)).collect();
    if problems.is_empty() {
        problems
            .push("it is not compatible with the latest version; the registry does not say why".to_owned());
    }
    Some(problems)
}
