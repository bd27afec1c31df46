//! The house of the source: what a room may import (the table in docs/architecture.md), circles
//! between files, lines and functions that are too long, and what the crate shows of itself.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Wider lines do not fit beside each other on a screen.
const MOST_COLUMNS: usize = 100;
/// Longer functions have more than one job.
const MOST_LINES: usize = 110;

/// Rooms in which some files import each other, and why that is one thing.
const CIRCLES: [(&str, &str); 11] = [
    ("engine/backend", "a device names the adapter behind it, and a GPU is one of the backends"),
    ("io", "arrays are read by formats, which give arrays"),
    ("scene", "a scene's rules speak of scenes, and loading applies them"),
    ("starts", "a start is what every family gives"),
    ("search", "short fits are judged by the steps that the search gives them"),
    ("posterior", "a pixel given the scene is a part of the nested posterior"),
    ("fit", "a pass is made of a fit and gives one"),
    ("score", "a reference is scored by the scores of its room"),
    ("results", "folder, stage and record are three sides of one promise"),
    ("unmixing", "a run has the settings that it came from"),
    ("bench", "a report is made of what was measured"),
];

type Edges = BTreeMap<String, BTreeSet<String>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// Files below some folders with one of these endings, as paths from the root with `/`.
fn files(folders: &[&str], endings: &[&str]) -> Vec<String> {
    fn collect(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let skipped = ["node_modules", "target"].iter().any(|name| path.ends_with(name));
            match path.is_dir() {
                true if skipped => {}
                true => collect(&path, found),
                false => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    folders.iter().for_each(|folder| collect(&root().join(folder), &mut found));
    let name = |path: &std::path::PathBuf| {
        path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/")
    };
    let mut names: Vec<String> = found.iter().map(name).collect();
    names.retain(|name| endings.iter().any(|ending| name.ends_with(ending)));
    names.sort();
    names
}

/// The code of a file without its unit tests, which come last, and without comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// Every path that the code names from `crate::`, `self::` or `super::`, or a `use` names at all,
/// its braces taken apart.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let starts_a_line = rest[..at].rsplit('\n').next().is_some_and(|before| {
            let before = before.trim();
            before.is_empty() || before.starts_with("pub")
        });
        rest = &rest[at + 4..];
        if starts_a_line && let Some(end) = rest.find(';') {
            let tree: String = rest[..end].split_whitespace().collect::<Vec<_>>().join(" ");
            take_apart("", &tree, &mut found);
        }
    }
    for head in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(head) {
            let joins = code[..at].ends_with(|c: char| c.is_alphanumeric() || "_:$".contains(c));
            let path: String = code[at..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || "_:".contains(*c))
                .collect();
            // Braces have been taken apart before.
            if !joins && !path.ends_with("::") {
                found.push(path);
            }
        }
    }
    found
}

fn take_apart(before: &str, tree: &str, found: &mut Vec<String>) {
    let Some(open) = tree.find('{') else {
        let name = tree.split(" as ").next().unwrap().trim();
        found.push(format!("{before}{name}"));
        return;
    };
    let before = format!("{before}{}", tree[..open].trim());
    let inner = &tree[open + 1..tree.rfind('}').unwrap()];
    let (mut depth, mut part) = (0, String::new());
    for c in inner.chars().chain([',']) {
        match c {
            ',' if depth == 0 => {
                if !part.trim().is_empty() {
                    take_apart(&before, part.trim(), found);
                }
                part.clear();
                continue;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        part.push(c);
    }
}

/// The module of a file: `src/a/mod.rs` and `src/a.rs` are `a`.
fn module(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// The room of a module.
fn room(module: &[String]) -> String {
    match module {
        [first, second, ..] if first == "engine" => format!("engine/{second}"),
        [first, ..] => first.clone(),
        [] => String::new(),
    }
}

/// Which files of the library import which others.
fn imports(sources: &BTreeMap<String, String>) -> Edges {
    let at: BTreeMap<Vec<String>, &String> =
        sources.keys().map(|file| (module(file), file)).collect();
    let mut edges = Edges::new();
    for (file, text) in sources {
        let own = module(file);
        let to = edges.entry(file.clone()).or_default();
        for path in paths(&code(text)) {
            let mut parts: Vec<String> =
                path.split("::").filter(|p| !p.is_empty()).map(str::to_owned).collect();
            let mut full = match parts.first().map(String::as_str) {
                Some("crate") => Vec::new(),
                Some("super") => own[..own.len() - 1].to_vec(),
                Some("self") => own.clone(),
                // A child of the own module, or another crate.
                Some(_) => {
                    parts.insert(0, String::new());
                    own.clone()
                }
                None => continue,
            };
            parts.remove(0);
            while parts.first().is_some_and(|part| part == "super") {
                parts.remove(0);
                full.pop();
            }
            full.extend(parts);
            let found = (1..=full.len()).rev().find_map(|n| at.get(&full[..n]));
            to.extend(found.filter(|other| **other != file).map(|other| (*other).clone()));
        }
    }
    edges
}

fn library() -> BTreeMap<String, String> {
    let own = |name: &String| {
        !name.starts_with("src/cli/")
            && !["src/lib.rs", "src/main.rs", "src/rooms.rs"].contains(&name.as_str())
    };
    files(&["src"], &[".rs"])
        .into_iter()
        .filter(own)
        .map(|name| (name.clone(), read(&name)))
        .collect()
}

/// Rooms and what they may import, from the table in docs/architecture.md.
fn allowed(text: &str) -> Edges {
    let mut rooms = Edges::new();
    let words = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let table = text.lines().skip_while(|line| !line.contains("| may import |"));
    for line in table.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        if let ([room], [_, .., last]) = (&words(cells[0])[..], &cells[..]) {
            rooms.entry(room.clone()).or_default().extend(words(last));
        }
    }
    rooms
}

/// Imports between rooms that the table does not allow.
fn trespasses(edges: &Edges, rooms: &Edges) -> Vec<String> {
    let mut found = Vec::new();
    for (file, others) in edges {
        let own = room(&module(file));
        // What all of the engine shares.
        if own == "engine" {
            continue;
        }
        let Some(may) = rooms.get(&own) else {
            found.push(format!("{file}: the room {own} is not in the table"));
            continue;
        };
        for other in others {
            let to = room(&module(other));
            let whole = to.starts_with("engine/") && may.contains("engine");
            if to != own && to != "engine" && !may.contains(&to) && !whole {
                found.push(format!("{file}: {own} may not import {to} ({other})"));
            }
        }
    }
    found
}

/// Groups of files that import each other, directly or not.
fn circles(edges: &Edges) -> Vec<BTreeSet<String>> {
    let reach = |from: &String| {
        let mut seen = BTreeSet::new();
        let mut left = vec![from];
        while let Some(next) = left.pop() {
            for to in edges.get(next).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    left.push(to);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        edges.keys().map(|file| (file, reach(file))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (file, others) in &reached {
        let back = |other: &&String| reached.get(other).is_some_and(|back| back.contains(*file));
        let circle: BTreeSet<String> = others.iter().filter(back).cloned().collect();
        if circle.len() > 1 && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

#[test]
fn rooms_import_what_the_table_allows() {
    let rooms = allowed(&read("docs/architecture.md"));
    assert!(rooms.len() > 20, "{rooms:?}");
    let found = trespasses(&imports(&library()), &rooms);
    assert!(found.is_empty(), "{}", found.join("\n"));
    // The table itself goes one way.
    let of_engine = |room: &String| room.starts_with("engine/");
    let mut table = rooms.clone();
    for may in table.values_mut() {
        if may.remove("engine") {
            may.extend(rooms.keys().filter(|room| of_engine(room)).cloned());
        }
    }
    assert_eq!(circles(&table), Vec::<BTreeSet<String>>::new());
}

#[test]
fn a_planted_import_is_seen() {
    let rooms = allowed(&read("docs/architecture.md"));
    for planted in [
        "use crate::unmixing::Unmixing;",
        "use crate::{\n    unmixing::{self, Unmixing},\n};",
        "fn f() { crate::unmixing::Unmixing::new(3); }",
        "pub(crate) use crate::unmixing::Unmixing as U;",
    ] {
        let mut sources = library();
        sources.get_mut("src/engine/svi/run.rs").unwrap().insert_str(0, &format!("{planted}\n"));
        let found = trespasses(&imports(&sources), &rooms);
        assert_eq!(found.len(), 1, "{planted}: {found:?}");
        assert!(found[0].starts_with("src/engine/svi/run.rs: engine/svi may not import unmixing"));
    }
    // In comments and tests anything may be named.
    let mut sources = library();
    let run = sources.get_mut("src/engine/svi/run.rs").unwrap();
    run.insert_str(0, "//! See crate::unmixing::Unmixing.\n");
    run.push_str("\n#[cfg(test)]\nmod tests { use crate::unmixing::Unmixing; }\n");
    assert!(trespasses(&imports(&sources), &rooms).is_empty());
}

#[test]
fn circles_stay_in_one_room_and_have_a_reason() {
    let mut seen = BTreeMap::new();
    for circle in circles(&imports(&library())) {
        let rooms: BTreeSet<String> = circle.iter().map(|file| room(&module(file))).collect();
        assert_eq!(rooms.len(), 1, "a circle through several rooms: {circle:?}");
        let room = rooms.into_iter().next().unwrap();
        assert!(
            CIRCLES.iter().any(|(known, _)| *known == room),
            "{room} has no reason: {circle:?}"
        );
        *seen.entry(room).or_insert(0) += 1;
    }
    for (room, reason) in CIRCLES {
        assert!(seen.contains_key(room), "{room} has no circle any more: {reason}");
    }
}

#[test]
fn a_planted_circle_is_seen() {
    let mut sources = library();
    sources
        .get_mut("src/engine/model.rs")
        .unwrap()
        .insert_str(0, "use crate::engine::guide::Guide;\n");
    let through = |circle: &BTreeSet<String>| circle.contains("src/engine/model.rs");
    assert!(circles(&imports(&sources)).iter().any(through));
    assert!(!circles(&imports(&library())).iter().any(through));
}

/// Lines that are too wide.
fn wide(name: &str, text: &str) -> Vec<String> {
    let too_wide = |(i, line): (usize, &str)| {
        let columns = line.chars().count();
        (columns > MOST_COLUMNS).then(|| format!("{name}:{}: {columns} columns", i + 1))
    };
    text.lines().enumerate().filter_map(too_wide).collect()
}

#[test]
fn lines_are_at_most_100_columns() {
    let mut names = files(
        &["src", "shaders", "tests", "examples", "docs", "python", "benches", "scripts"],
        &[".rs", ".wgsl", ".md", ".py", ".pyi", ".sh"],
    );
    names
        .extend(["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned));
    let found: Vec<String> = names.iter().flat_map(|name| wide(name, &read(name))).collect();
    assert!(found.is_empty(), "{} lines:\n{}", found.len(), found.join("\n"));
    assert_eq!(
        wide("a", &format!("{}\n{}", "x".repeat(101), "é".repeat(100))),
        ["a:1: 101 columns"]
    );
}

/// Functions that are too long, by the indentation of their braces.
fn long(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(usize, usize, String)> = None;
    for (i, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_whitespace().take(5).collect();
        let is_fn = words.iter().take_while(|word| **word != "{").any(|word| *word == "fn")
            && !line.trim_start().starts_with("//");
        match &open {
            Some((first, at, title)) if indent == *at && line.trim_start().starts_with('}') => {
                if i - first + 1 > MOST_LINES {
                    found.push(format!(
                        "{name}:{}: {title} has {} lines",
                        first + 1,
                        i - first + 1
                    ));
                }
                open = None;
            }
            None if is_fn && !line.trim_end().ends_with(';') && !line.trim_end().ends_with('}') => {
                open = Some((i, indent, line.trim().chars().take(60).collect()));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn functions_are_short() {
    let names = files(&["src", "examples"], &[".rs"]);
    let found: Vec<String> = names.iter().flat_map(|name| long(name, &read(name))).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    let body = "    let x = 1;\n".repeat(MOST_LINES);
    assert_eq!(long("a", &format!("fn f() {{\n{body}}}\n")).len(), 1);
    assert_eq!(long("a", "fn f() {\n    g();\n}\n").len(), 0);
}

/// Names at the top of the crate: modules, and what is re-exported there.
const TOP: [&str; 26] = [
    "Checkpoint",
    "Concentration",
    "Convention",
    "CubeFormat",
    "Device",
    "EffectiveBands",
    "Error",
    "Event",
    "Family",
    "Fit",
    "Init",
    "Noise",
    "Posterior",
    "PosteriorKind",
    "Progress",
    "Result",
    "Run",
    "Scene",
    "SearchBudget",
    "Spectra",
    "Truth",
    "Unmixing",
    "engine",
    "rooms",
    "scene",
    "simulate",
];

#[test]
fn the_top_of_the_crate_is_what_is_listed() {
    let text = code(&read("src/lib.rs"));
    let mut names: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(module) = line.strip_prefix("pub mod ") {
            names.push(module.trim_end_matches(';').to_owned());
        }
    }
    // What is imported for the crate alone is not shown.
    let shown: Vec<&str> = text.split(';').filter(|item| item.contains("pub use ")).collect();
    for path in paths(&format!("{};", shown.join(";"))) {
        names.push(path.rsplit("::").next().unwrap().to_owned());
    }
    names.sort();
    names.dedup();
    assert_eq!(names, TOP, "what the crate shows has changed: change the list with it");
}
