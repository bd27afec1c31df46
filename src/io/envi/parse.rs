//! The text of an ENVI header, as keys and values.

use std::collections::HashMap;

/// Splits the text of a header into its fields, keys in lower case with single blanks, or says why
/// it is none. Lists may open on the line after their key, and be in brackets as NumPy prints them.
pub(super) fn parse(text: &str) -> Result<HashMap<String, String>, String> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate().peekable();
    let first = lines.by_ref().map(|(_, l)| l.trim()).find(|l| !l.is_empty());
    if first.is_none_or(|l| !l.starts_with("ENVI")) {
        return Err("is no ENVI header: its first line is not `ENVI`.".into());
    }
    let mut map = HashMap::new();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        // A line without `=` says nothing; some writers wrap descriptions without braces.
        let Some((key, value)) = line.split_once('=') else { continue };
        let key = key.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let mut value = value.trim().to_owned();
        if value.is_empty() {
            while lines.peek().is_some_and(|(_, next)| next.trim().is_empty()) {
                lines.next();
            }
            if let Some((_, next)) = lines.next_if(|(_, next)| next.trim().starts_with(['{', '[']))
            {
                value = next.trim().to_owned();
            }
        }
        let close = match value.chars().next() {
            Some('{') => '}',
            // NumPy wraps the arrays that it prints; a bracket that no line closes opens nothing.
            Some('[') if lines.clone().take(MOST_WRAPPED).any(|(_, l)| l.contains(']')) => ']',
            _ => {
                map.insert(key, value);
                continue;
            }
        };
        while !is_closed(&value, close) {
            let Some((_, more)) = lines.next() else {
                return Err(format!(
                    "the brace that `{key}` opens in line {} is never closed.",
                    number + 1
                ));
            };
            if !more.trim_start().starts_with(';') {
                value.push('\n');
                value.push_str(more.trim());
            }
        }
        map.insert(key, value);
    }
    Ok(map)
}

/// Lines over which NumPy wraps an array at most.
const MOST_WRAPPED: usize = 2000;

/// True when the value ends with the closing mark, whatever comment follows it.
fn is_closed(value: &str, close: char) -> bool {
    match value.rfind(close) {
        None => false,
        Some(at) => {
            let after = value[at + close.len_utf8()..].trim();
            after.is_empty() || after.starts_with(';')
        }
    }
}

/// What stands between the braces or brackets of a list; the whole text where there are none.
pub(super) fn inside_braces(text: &str) -> &str {
    let text = text.trim();
    let Some(open) = text.chars().next().filter(|c| matches!(c, '{' | '[' | '(')) else {
        return text;
    };
    let end = text.rfind(['}', ']', ')']).unwrap_or(text.len());
    text.get(open.len_utf8()..end).unwrap_or_default().trim()
}

/// The number that an item begins with and the word that follows it, as in `460.0 nm`.
pub(crate) fn number_and_word(item: &str) -> Option<(f64, &str)> {
    let item = item.trim().trim_matches(['"', '\'']);
    if let Ok(number) = item.parse() {
        return Some((number, ""));
    }
    // The longest beginning that is a number; an exponent's `e` may be followed by nothing.
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e' | 'E');
    let longest = item.find(|c: char| !digits(c)).unwrap_or(item.len());
    (1..=longest)
        .rev()
        .find_map(|end| Some((item.get(..end)?.parse().ok()?, item.get(end..)?.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_any_case_lists_over_lines_and_comments() {
        let map = parse(
            "ENVI\r\n; made by hand\r\nSamples  = 3\r\nData   Type=4\r\nwavelength = {\r\n \
             1.5,\r\n; \
             inside\r\n 2.5 }\r\nbands = 2",
        )
        .unwrap();
        assert_eq!(map["samples"], "3");
        assert_eq!(map["data type"], "4");
        assert_eq!(map["bands"], "2");
        assert_eq!(inside_braces(&map["wavelength"]).split(',').count(), 2);
    }

    #[test]
    fn an_open_brace_is_named() {
        let why = parse("ENVI\nbands = 1\nbbl = { 1,\n 0").unwrap_err();
        assert!(why.contains("`bbl`") && why.contains("line 3"), "{why}");
        assert!(parse("samples = 3").is_err());
    }

    #[test]
    fn lists_open_late_and_in_brackets() {
        let map = parse(
            "ENVI\nbbl =\n\n {1, 0} ; the second is noise\nempty =\nbands = 2\nw = [1.0 2.0\n \
             3.0]\nx = [1.0",
        )
        .unwrap();
        assert_eq!(inside_braces(&map["bbl"]), "1, 0");
        assert_eq!(map["empty"], "");
        assert_eq!(map["bands"], "2");
        assert_eq!(inside_braces(&map["w"]), "1.0 2.0\n3.0");
    }

    #[test]
    fn numbers_with_words() {
        assert_eq!(number_and_word("460.0 nm"), Some((460.0, "nm")));
        assert_eq!(number_and_word("2 ; int16"), Some((2.0, "; int16")));
        assert_eq!(number_and_word("1.5e-3um"), Some((1.5e-3, "um")));
        assert_eq!(number_and_word("-9999"), Some((-9999.0, "")));
        assert_eq!(number_and_word("5eV"), Some((5.0, "eV")));
        assert_eq!(number_and_word("none"), None);
    }
}
