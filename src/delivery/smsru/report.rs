//! Reports of SMS.ru: up to a hundred records and one hash over all of them.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::super::report::{Event, Fate, ReportRefused};
use crate::keys::{hex, sha256};

/// Records in one report.
const MOST: usize = 100;

pub(super) fn read(api_id: &str, fields: &[(String, String)]) -> Result<Vec<Event>, ReportRefused> {
    let mut records: Vec<(u32, &str)> = fields
        .iter()
        .filter_map(|(name, value)| {
            let index = name.strip_prefix("data[")?.strip_suffix(']')?;
            Some((index.parse().ok()?, value.as_str()))
        })
        .collect();
    let hash = fields.iter().find(|(name, _)| name == "hash").map(|(_, hash)| hash);
    let hash = hash.ok_or(ReportRefused::Forged)?;
    if records.len() > MOST {
        return Err(ReportRefused::Malformed);
    }
    records.sort_by_key(|(index, _)| *index);
    let mut hashed = api_id.to_owned();
    hashed.extend(records.iter().map(|(_, record)| *record));
    let right = hex(&sha256(hashed.as_bytes()));
    if verify_slices_are_equal(right.as_bytes(), hash.to_ascii_lowercase().as_bytes()).is_err() {
        return Err(ReportRefused::Forged);
    }
    Ok(records.into_iter().filter_map(|(_, record)| event(record)).collect())
}

/// What a record says; heartbeats, states on the way and kinds that came later say nothing.
fn event(record: &str) -> Option<Event> {
    let mut lines = record.lines().map(str::trim);
    let (kind, id, code) = (lines.next()?, lines.next()?, lines.next()?);
    let (provider_id, fate) = match (kind, code) {
        ("sms_status", "103" | "110") => (id.to_owned(), Fate::Delivered),
        ("sms_status", "104" | "105" | "106" | "107" | "108" | "150") => (id.to_owned(), Fate::Failed),
        ("callcheck_status", "401") => (super::call_id(id), Fate::Confirmed),
        ("callcheck_status", "402") => (super::call_id(id), Fate::Failed),
        _ => return None,
    };
    Some(Event { provider_id, fate })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(records: &[&str], hash: &str) -> Vec<(String, String)> {
        let mut fields: Vec<(String, String)> = records
            .iter()
            .enumerate()
            .map(|(index, record)| (format!("data[{index}]"), (*record).to_owned()))
            .collect();
        fields.push(("hash".into(), hash.into()));
        fields
    }

    const RECORDS: [&str; 3] = [
        "test\n1767225600",
        "sms_status\n202601-1000001\n103\n1767225601",
        "callcheck_status\n202601-542\n401\n1767225602",
    ];
    const HASH: &str = "71a7735a33760437dcb9d3fa98d264185ee060c0f54882073032aad10730accf";

    #[test]
    fn the_hash_is_over_the_records_in_the_order_of_their_numbers() {
        let mut shuffled = fields(&RECORDS, HASH);
        shuffled.swap(0, 2);
        for fields in [fields(&RECORDS, HASH), shuffled] {
            let events = read("TEST-API-ID", &fields).expect("the gateway's own");
            let told: Vec<_> = events
                .iter()
                .map(|event| (event.provider_id.as_str(), event.fate))
                .collect();
            assert_eq!(
                told,
                [
                    ("202601-1000001", Fate::Delivered),
                    ("call 202601-542", Fate::Confirmed)
                ]
            );
        }
    }

    #[test]
    fn a_changed_record_a_wrong_and_a_missing_hash_are_forged() {
        let changed = [RECORDS[0], "sms_status\n202601-1000001\n104\n1767225601", RECORDS[2]];
        for fields in [
            fields(&changed, HASH),
            fields(&RECORDS[..2], HASH),
            fields(&RECORDS, ""),
            fields(&RECORDS, &HASH[1..]),
            fields(&RECORDS, HASH)[..3].to_vec(),
        ] {
            assert!(matches!(read("TEST-API-ID", &fields), Err(ReportRefused::Forged)));
        }
        assert!(matches!(
            read("OTHER", &fields(&RECORDS, HASH)),
            Err(ReportRefused::Forged)
        ));
    }

    #[test]
    fn a_hundred_records_are_taken_and_unknown_kinds_skipped() {
        let records: Vec<String> = (0..100).map(|index| format!("later_kind\n{index}\n1\n1")).collect();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let hash = hex(&sha256(format!("id{}", records.concat()).as_bytes()));
        assert_eq!(read("id", &fields(&records, &hash)).expect("signed"), []);
        let more = [&records[..], &["x"]].concat();
        assert!(matches!(
            read("id", &fields(&more, &hash)),
            Err(ReportRefused::Malformed)
        ));
    }
}
