//! The short mark in a refill's comment by which the refill is found again in ProBonus. It is ours alone: no guest sees it.

/// What every mark begins with, so that a partner's own numbers are not taken for one.
const MARK: &str = "#gc-";

/// Hexadecimal digits of a mark: enough that two of one account never meet.
const MARK_DIGITS: usize = 12;

/// The mark of the operation with this id: a piece of the id, so that it stays the same whatever secret is in use.
#[must_use]
pub fn mark(id: &str) -> String {
    let digits = id.chars().filter(char::is_ascii_hexdigit).take(MARK_DIGITS);
    let mark: String = MARK.chars().chain(digits).collect();
    mark.to_ascii_lowercase()
}

/// A comment with its mark.
#[must_use]
pub fn marked(comment: Option<&str>, mark: &str) -> String {
    match comment.filter(|comment| !comment.is_empty()) {
        Some(comment) => format!("{comment} {mark}"),
        None => mark.to_owned(),
    }
}

/// The mark that a comment holds: the last whole one, for marks are put at the end and whatever stands before them is a partner's text.
#[must_use]
pub fn mark_in(comment: &str) -> Option<String> {
    let (start, length) = marks(comment).filter(|(_, length)| is_whole(*length)).last()?;
    Some(comment[start..start + length].to_ascii_lowercase())
}

/// Whether a text holds a mark or the beginning of one: such a text is not a partner's to give.
#[must_use]
pub fn resembles_mark(text: &str) -> bool {
    marks(text).next().is_some()
}

/// A comment as a guest sees it: without marks, nor the beginning of one that ProBonus cut off at the end; `None` when nothing is left.
#[must_use]
pub fn without_marks(comment: &str) -> Option<String> {
    let mut shown = String::with_capacity(comment.len());
    let mut rest = 0;
    for (start, length) in marks(comment) {
        let end = start + length;
        if is_whole(length) || (length < MARK.len() + MARK_DIGITS && end == comment.trim_end().len()) {
            let before = &comment[rest..start];
            shown.push_str(before.strip_suffix(' ').unwrap_or(before));
            rest = end;
        }
    }
    shown.push_str(&comment[rest..]);
    let untouched = rest == 0;
    Some(shown).filter(|shown| untouched || !shown.trim().is_empty())
}

/// Where `#gc-` and the hexadecimal digits behind it stand: start and length in bytes.
fn marks(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let bytes = text.as_bytes();
    let starts = (0..bytes.len()).filter(|&start| {
        let head = bytes.get(start..start + MARK.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(MARK.as_bytes()))
    });
    starts.map(|start| {
        let digits = bytes[start + MARK.len()..].iter();
        (
            start,
            MARK.len() + digits.take_while(|byte| byte.is_ascii_hexdigit()).count(),
        )
    })
}

/// Whether a mark of this length is a whole one: more digits are no mark of ours.
fn is_whole(length: usize) -> bool {
    length == MARK.len() + MARK_DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0a8b7a52-8f6e-4a39-9a2b-0d5f0c7f3b11";

    #[test]
    fn a_mark_is_found_in_any_comment_and_nothing_else_is_taken_for_one() {
        let mark = mark(ID);
        assert_eq!(mark, "#gc-0a8b7a528f6e");
        for comment in [
            marked(Some("За отзыв #1"), &mark),
            marked(None, &mark),
            marked(Some("к #gc-ffffffffffff"), &mark),
            "ЗА ОТЗЫВ #GC-0A8B7A528F6E (API)".to_owned(),
        ] {
            assert_eq!(mark_in(&comment).as_deref(), Some("#gc-0a8b7a528f6e"), "{comment}");
        }
        for other in [
            "",
            "#gc-",
            "За отзыв",
            "заказ #123456789012",
            "#gc-0a8b7a528f6",
            "#gc-0a8b7a528f6x",
            "#gc-0a8b7a528f6e0",
        ] {
            assert_eq!(mark_in(other), None, "{other}");
        }
    }

    #[test]
    fn a_guest_sees_a_comment_without_its_mark_and_every_other_comment_as_it_is() {
        for (comment, shown) in [
            ("За отзыв #gc-7eb961ba5eb9", Some("За отзыв")),
            ("#gc-7eb961ba5eb9", None),
            (" #gc-7eb961ba5eb9 ", None),
            ("За  отзыв  #gc-7eb961ba5eb9", Some("За  отзыв ")),
            ("За отзыв #gc-7eb961ba5eb9 (API)", Some("За отзыв (API)")),
            ("За отзыв #gc-7eb9", Some("За отзыв")),
            ("За отзыв #gc-", Some("За отзыв")),
            ("ЗА ОТЗЫВ #GC-7EB961BA5EB9", Some("ЗА ОТЗЫВ")),
            ("#gc-7eb961ba5eb9 #gc-0a8b7a528f6e", None),
            ("#gc-12 это номер", Some("#gc-12 это номер")),
            ("заказ #123456789012", Some("заказ #123456789012")),
            ("#gc-7eb961ba5eb90", Some("#gc-7eb961ba5eb90")),
            ("", Some("")),
            ("  ", Some("  ")),
        ] {
            assert_eq!(without_marks(comment).as_deref(), shown, "{comment:?}");
        }
    }
}
