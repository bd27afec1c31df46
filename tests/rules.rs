//! Rules of the source that a search can check: what may name what, and how long a file may be.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use unmixel::engine::passes;
use unmixel::rooms::posterior::nested::KERNELS;

/// Longer files no longer explain themselves.
const MOST_LINES: usize = 500;

/// Files below a folder of the repository, as paths from its root with `/`.
fn files(folder: &str) -> Vec<String> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { collect(&path, found) } else { found.push(path) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(&root.join(folder), &mut found);
    let mut names: Vec<String> = found
        .iter()
        .map(|path| path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/"))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{folder} has no files");
    names
}

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// A word that is at home in some places only.
struct Rule {
    words: &'static [&'static str],
    homes: &'static [&'static str],
}

const RULES: [Rule; 4] = [
    // Another graphics library, or none, must stay possible.
    Rule { words: &["wgpu"], homes: &["src/engine/backend/gpu/"] },
    // Nothing blocks but the edge of a native program.
    Rule { words: &["pollster"], homes: &["src/engine/wait.rs"] },
    // The library is for programs too: it takes no arguments and prints nothing.
    Rule {
        words: &["clap", "indicatif", "comfy_table", "ctrlc"],
        homes: &["src/cli/", "src/main.rs"],
    },
    Rule {
        words: &["println!", "eprintln!", "print!", "eprint!", "dbg!", "process::exit"],
        // Tests that end a process at a chosen moment are a file of their own.
        homes: &["src/cli/", "src/main.rs", "src/results/faults.rs"],
    },
];

/// The lines of a file that break a rule. Comments may name anything, and unit tests, which come
/// last, may print.
fn breaches(name: &str, text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code_of = |line: &str| line.split("//").next().unwrap().to_owned();
    let mut found = Vec::new();
    for rule in RULES.iter().filter(|rule| !rule.homes.iter().any(|home| name.starts_with(home))) {
        for (i, line) in code.lines().enumerate() {
            for word in rule.words.iter().filter(|word| has_word(&code_of(line), word)) {
                found.push(format!("{name}:{}: {word} belongs in {:?}", i + 1, rule.homes));
            }
        }
    }
    found
}

/// Whether the word is there, not as the end of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !joins(before) && (word.ends_with('!') || !joins(after))
    })
}

/// A folder with a Rust file for each of some shaders, and files of its own beside them.
struct Room<'a> {
    folder: &'a str,
    shaders: &'a [&'a str],
    of_all: &'a [&'a str],
}

/// Shaders and Rust files that do not belong together.
fn strays(rooms: &[Room], shaders: &[String], sources: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for room in rooms {
        for name in room.shaders {
            for (file, files) in [
                (format!("shaders/{name}.wgsl"), shaders),
                (format!("{}/{name}.rs", room.folder), sources),
            ] {
                if !files.contains(&file) {
                    found.push(format!("the shader {name} has no {file}"));
                }
            }
        }
        // A shader has a file, or a folder of its own beside it.
        let known = |file: &&String| {
            let rest = file.trim_start_matches(room.folder).trim_start_matches('/');
            let name = rest.split(['/', '.']).next().unwrap_or_default();
            room.shaders.contains(&name) || room.of_all.contains(&name)
        };
        let here = sources.iter().filter(|file| file.starts_with(room.folder));
        found.extend(here.filter(|file| !known(file)).map(|f| format!("{f} has no shader")));
    }
    let named = |file: &&String| {
        let name = file.trim_start_matches("shaders/").trim_end_matches(".wgsl");
        rooms.iter().any(|room| room.shaders.contains(&name))
    };
    let own = shaders.iter().filter(|file| !file.starts_with("shaders/shared/"));
    found.extend(own.filter(|file| !named(file)).map(|f| format!("{f} is nobody's")));
    found
}

#[test]
fn words_stay_at_home() {
    let found: Vec<String> =
        files("src").iter().flat_map(|name| breaches(name, &read(name))).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_word_away_from_home_is_seen() {
    let text = "use wgpu::Device; // clap\n/// eprintln!\nfn f() { eprintln!(); \
        }\n#[cfg(test)]\nmod tests { println!() }";
    let at_home =
        ["src/engine/backend/gpu/mod.rs", "src/engine/svi/mod.rs", "src/cli/fit.rs", "src/main.rs"]
            .map(|name| breaches(name, text).len());
    assert_eq!(at_home, [1, 2, 1, 1]);
    assert!(
        breaches("src/engine/svi/mod.rs", text)[1]
            .starts_with("src/engine/svi/mod.rs:3: eprintln!")
    );
}

#[test]
fn shaders_and_files_belong_together() {
    let passes: Vec<&str> = passes::every().iter().map(|pass| pass.name).collect();
    let kernels = KERNELS.map(|kernel| kernel.name);
    let (engine, device) = ("src/engine/passes", "src/posterior/nested/device");
    let of_all = ["mod", "list", "pass", "buffers"];
    let rooms = [
        Room { folder: engine, shaders: &passes, of_all: &of_all },
        Room { folder: device, shaders: &kernels, of_all: &["mod", "sizes"] },
    ];
    let sources: Vec<String> = [files(engine), files(device)].concat();
    let found = strays(&rooms, &files("shaders"), &sources);
    assert!(found.is_empty(), "{}", found.join("\n"));
    // A shared text that no shader takes.
    let mut texts = passes::every().into_iter().map(|pass| pass.shader).collect::<Vec<_>>();
    texts.extend(KERNELS.map(|kernel| kernel.shader));
    for file in files("shaders/shared") {
        let text = read(&file);
        assert!(texts.iter().any(|shader| shader.contains(&text)), "{file} is in no shader");
    }
}

#[test]
fn a_stray_file_is_seen() {
    let shaders = ["shaders/mix.wgsl", "shaders/old.wgsl", "shaders/shared/math.wgsl"];
    let room = Room { folder: "src/p", shaders: &["mix", "elbo"], of_all: &["mod"] };
    let sources = ["src/p/mod.rs", "src/p/mix/lanes.rs", "src/p/mix.rs", "src/p/elbo.rs"];
    let sources: Vec<String> =
        sources.into_iter().chain(["src/p/new.rs"]).map(Into::into).collect();
    let found = strays(&[room], &shaders.map(String::from), &sources);
    let expected = [
        "the shader elbo has no shaders/elbo.wgsl",
        "src/p/new.rs has no shader",
        "shaders/old.wgsl is nobody's",
    ];
    assert_eq!(found, expected);
}

#[test]
fn files_are_short() {
    let too_long = |name: &String| read(name).lines().count() > MOST_LINES;
    let names = files("src").into_iter().chain(files("shaders"));
    let found: Vec<String> = names.filter(too_long).collect();
    assert!(found.is_empty(), "more than {MOST_LINES} lines: {found:?}");
    assert!(too_long(&"Cargo.lock".to_owned()), "the count sees nothing");
}

/// Every place with unsafe code, and why it is sound.
const UNSAFE: [(&str, usize, &str); 4] = [
    (
        "src/engine/ground/lanes.rs",
        1,
        "a prefetch, which reads nothing and may be given any address",
    ),
    (
        "src/engine/backend/gpu/pipelines.rs",
        1,
        "the program's own shaders, whose loops have stated bounds, get no second counter",
    ),
    (
        "src/cli/mod.rs",
        2,
        "an environment variable is set before there is a second thread; a signal is ignored",
    ),
    (
        "src/cli/memory.rs",
        6,
        "the system's allocator under another name, call by call; the process ends with no orderly \
         exit",
    ),
];

/// Lines of code that begin a block or an implementation, comments apart. A function that is unsafe
/// to call has its blocks, too.
fn unsafe_lines(text: &str) -> usize {
    let code = text.lines().map(|line| line.split("//").next().unwrap());
    let begins = |line: &str| {
        has_word(line, "unsafe") && !line.contains("unsafe_") && !line.contains("unsafe fn ")
    };
    code.filter(|line| begins(line)).count()
}

#[test]
fn unsafe_blocks_are_few_and_have_their_reasons() {
    for name in files("src") {
        let text = read(&name);
        let known = UNSAFE.iter().find(|(place, ..)| *place == name).map_or(0, |(_, n, _)| *n);
        assert_eq!(
            unsafe_lines(&text),
            known,
            "{name}: list each block in UNSAFE, with its reason"
        );
        assert_eq!(
            text.matches("// SAFETY: ").count(),
            known,
            "{name}: a block says why it is sound"
        );
    }
    assert_eq!(unsafe_lines("unsafe { f() } // unsafe\n/// unsafe\nlet not_unsafe = 1;"), 1);
    assert_eq!(unsafe_lines("unsafe impl A for B {\n    unsafe fn f() { unsafe { g() } }"), 1);
}
