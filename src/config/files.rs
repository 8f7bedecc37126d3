//! Reading files that people write, and telling who else can read those that hold secrets.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What stands in a text file, without a byte order mark at its front.
///
/// # Errors
/// What is wrong with it, to be said after its name.
pub(super) fn read_text(file: &Path) -> Result<String, String> {
    let bytes = std::fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || is_utf16(&bytes) {
        return Err("is in UTF-16: save it as UTF-8".into());
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not in UTF-8: save it as UTF-8")?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Without its mark, text in UTF-16 is told by the empty half of its first letters.
fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0, first, ..] | [first, 0, ..] if *first != 0)
}

/// A secret as it was meant: editors and shells end a file with a line break, some with several, and blank lines.
pub(super) fn without_blank_end(text: &str) -> &str {
    let mut rest = text;
    while let Some((line, last)) = rest.rsplit_once('\n')
        && last.trim().is_empty()
    {
        rest = line.strip_suffix('\r').unwrap_or(line);
    }
    rest
}

/// Of these files those that everybody on the machine can read, each with its mode as `chmod` spells it.
#[must_use]
pub fn read_by_others(files: &[PathBuf]) -> Vec<(PathBuf, String)> {
    let exposed = |file: &PathBuf| {
        let mode = std::fs::metadata(file).ok()?.permissions().mode();
        (mode & 0o004 != 0).then(|| (file.clone(), format!("{:04o}", mode & 0o7777)))
    };
    files.iter().filter_map(exposed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_ends_with_its_last_line_that_says_something() {
        for (text, secret) in [
            ("token", "token"),
            ("token\n", "token"),
            ("token\r\n\r\n \n\t\n", "token"),
            ("token \n", "token "),
            ("\ntwo\nlines\n\n", "\ntwo\nlines"),
            ("\n\n", ""),
            ("", ""),
        ] {
            assert_eq!(without_blank_end(text), secret, "{text:?}");
        }
    }
}
