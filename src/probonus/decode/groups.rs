//! The groups of accounts.

use super::fields::{Context, Fields};
use super::json::{Json, Read};
use crate::model::AccountGroup;

/// Reads the groups; one without an id is left out.
pub(in crate::probonus) fn read_groups(answer: Json, context: Context) -> Read<Vec<AccountGroup>> {
    let entries = answer.array()?.into_iter();
    let read = |entry| read_group(entry, context).inspect_err(|_| context.odd.note("groups"));
    Ok(entries.filter_map(|entry| read(entry).ok()).collect())
}

fn read_group(entry: Json, context: Context) -> Read<AccountGroup> {
    let fields = Fields::of(entry, context)?;
    Ok(AccountGroup {
        id: fields.id(&["id"])?,
        name: fields.text(&["name"]),
        have_template: fields.flag(&["haveTemplate"]),
    })
}
