//! What stands around a value: envelopes by the names that servers give them, in any nesting.

use super::forms::{Said, is_furniture, is_named};
use super::json::{Json, Object, Read};
use crate::probonus::operation::Operation;

/// Names of envelopes. An object or a list by such a name is what the answer tells; a plain value may be a word (`"result": "ok"`).
const WRAPPERS: [&str; 7] = ["$values", "data", "result", "value", "response", "payload", "d"];

/// Names of lists around entries: envelopes where the object has no id of its own, as a check with its `items` has.
const LISTS: [&str; 5] = ["items", "list", "rows", "records", "results"];

/// The deepest nesting of envelopes that is followed.
const DEEPEST: usize = 8;

/// A value taken out of its envelopes, and what they say about the call.
pub(in crate::probonus) struct Opened<'a> {
    pub value: Json<'a>,
    pub said: Said,
    /// Names of the envelopes, the outermost first; `[]` is a list of one.
    pub around: Vec<&'static str>,
}

/// Opens all envelopes of an answer to `operation`.
pub(in crate::probonus) fn open(answer: Json<'_>, operation: Operation) -> Read<Opened<'_>> {
    let mut opened = Opened {
        value: answer,
        said: Said::default(),
        around: Vec::new(),
    };
    for _ in 0..DEEPEST {
        let inner = if opened.value.is_object() {
            let object = opened.value.object()?;
            opened.said.hear(&object);
            inside(&object, operation, opened.said)
        } else {
            only_entry(opened.value, operation)?
        };
        let Some((name, value)) = inner else { break };
        opened.around.push(name);
        opened.value = value;
    }
    Ok(opened)
}

/// The one object or list of a list of one, where a list is not what is asked for.
fn only_entry(value: Json<'_>, operation: Operation) -> Read<Option<(&'static str, Json<'_>)>> {
    if !value.is_list() || operation.tells_a_list() {
        return Ok(None);
    }
    Ok(match value.array()?.as_slice() {
        [one] if one.is_object() || one.is_list() => Some(("[]", *one)),
        _ => None,
    })
}

fn inside<'a>(object: &Object<'a>, operation: Operation, said: Said) -> Option<(&'static str, Json<'a>)> {
    let by = |name: &'static str| object.get(&[name]).map(|value| (name, value));
    let wraps = |(_, value): &(&str, Json)| value.is_object() || value.is_list();
    let mut named = WRAPPERS.iter().filter_map(|name| by(name));
    if let Some(inner) = named.clone().find(wraps) {
        return Some(inner);
    }
    if object.told(&["id", "accountId"]).is_none() {
        let lists = LISTS.iter().chain(operation.own_envelopes());
        if let Some(inner) = lists.filter_map(|name| by(name)).find(wraps) {
            return Some(inner);
        }
    }
    let plain = named.find(|(_, value)| value.is_null() || value.is_flag())?;
    // An account may have a member of such a name. And `null` beside a text that nothing calls good is the text's answer, not "none".
    let alone = object
        .members()
        .all(|(name, value)| value.is_null() || is_named(name, &[plain.0]) || is_furniture(name));
    let meant = !plain.1.is_null() || said.done || !said.explained;
    (alone && meant).then_some(plain)
}
