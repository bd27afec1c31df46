//! Names of endmembers: as shown, and as parts of file names.

use std::collections::HashSet;

/// Longest part of a file name, in characters; leaves room for what is added around it.
const LONGEST: usize = 60;

/// Names of all endmembers, for each of their uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// For titles, legends and tables: as given, without control characters, never empty, and no
    /// two alike.
    pub shown: Vec<String>,
    /// For file names: lower-case ASCII letters, digits, `-` and `_`; no two alike, also not
    /// after `_sd` is added to one of them.
    pub files: Vec<String>,
}

impl Labels {
    /// Labels for `count` endmembers. Missing and empty names become `endmember 1` and so on.
    pub fn new(names: &[String], count: usize) -> Self {
        let mut labels = Labels { shown: Vec::new(), files: Vec::new() };
        let (mut shown, mut files) = (HashSet::new(), HashSet::new());
        for k in 0..count {
            let given = names.get(k).map_or(String::new(), |name| tidy(name));
            let given = if given.is_empty() { format!("endmember {}", k + 1) } else { given };
            let label = first_free(
                |n| match n {
                    1 => given.clone(),
                    n => format!("{given} ({n})"),
                },
                |label| !shown.contains(label),
            );

            let stem = stem(&given);
            let stem = if stem.is_empty() { format!("endmember_{}", k + 1) } else { stem };
            let sd = |file: &str| format!("{file}_sd");
            let file = first_free(
                |n| match n {
                    1 => stem.clone(),
                    n => format!("{stem}_{n}"),
                },
                |file| !files.contains(file) && !files.contains(&sd(file)),
            );

            shown.insert(label.clone());
            files.extend([file.clone(), sd(&file)]);
            labels.shown.push(label);
            labels.files.push(file);
        }
        labels
    }
}

/// One line without control characters and doubled spaces.
fn tidy(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn stem(name: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words = name.split(|c| !safe(c)).map(|word| word.trim_matches('-'));
    let joined = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
    let short: String = joined.to_ascii_lowercase().chars().take(LONGEST).collect();
    short.trim_end_matches(['_', '-']).to_owned()
}

fn first_free(name: impl Fn(usize) -> String, free: impl Fn(&String) -> bool) -> String {
    // Among n + 1 different names one is not among the n taken: the search ends.
    let mut n = 1;
    loop {
        let candidate = name(n);
        if free(&candidate) {
            return candidate;
        }
        n += 1;
    }
}
