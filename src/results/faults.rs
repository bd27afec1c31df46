//! Faults of the disk, on purpose: a process that is killed, or whose system refuses, at every
//! write, sync, rename and removal in turn.

use std::io;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What happens and at which change of the disk: `kill:N`, `fail:N`, or `full:N` (that one and all
/// later ones but removals, as on a full disk). Set for a process of its own only.
const FAULT: &str = "UNMIXEL_TEST_FAULT";
/// Where set, the system exchanges no folders.
const NO_EXCHANGE: &str = "UNMIXEL_TEST_NO_EXCHANGE";
/// Exit code of a process that was killed.
const KILLED: i32 = 99;

static PLAN: LazyLock<Option<(String, usize)>> = LazyLock::new(|| {
    let text = std::env::var(FAULT).ok()?;
    let (kind, at) = text.split_once(':')?;
    Some((kind.to_owned(), at.parse().ok()?))
});
static DONE: AtomicUsize = AtomicUsize::new(0);

/// One change of the disk that is about to happen.
pub(super) fn point() -> io::Result<()> {
    let Some((kind, at)) = &*PLAN else { return Ok(()) };
    let now = DONE.fetch_add(1, Ordering::SeqCst);
    match kind.as_str() {
        // Nothing is tidied up and no buffer written: as far as files go, what SIGKILL leaves.
        "kill" if now == *at => std::process::exit(KILLED),
        "fail" if now == *at => Err(io::Error::other("a fault on purpose")),
        "full" if now >= *at => Err(io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    }
}

/// What a system without the call answers.
pub(super) fn exchange_is_missing() -> bool {
    std::env::var_os(NO_EXCHANGE).is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::super::{OutputFolder, RECORD_FILE, check};
    use super::*;

    const FOLDER: &str = "UNMIXEL_TEST_FOLDER";
    const FORCE: &str = "UNMIXEL_TEST_FORCE";

    /// What is in the folder before the run.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Before {
        Missing,
        Empty,
        /// An earlier result and files of others, one of which has the name of a result.
        Results,
    }

    /// A way to the end: exchange of folders, file by file, or from within the folder.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Way {
        Exchange,
        OneByOne,
        Inside,
    }

    fn results(folder: &OutputFolder, text: &str, names: &[&str]) -> crate::Result<()> {
        for name in names {
            folder.write(name, |to| {
                to.write_all(text.as_bytes())?;
                to.write_all(name.as_bytes())
            })?;
        }
        let inner = folder.inner("fit")?;
        inner.write("map.npy", |to| to.write_all(text.as_bytes()))?;
        inner.commit("fit")?;
        folder.commit("compare")?;
        Ok(())
    }

    const OLD: [&str; 3] = ["a.npy", "report.json", "stale.png"];
    const NEW: [&str; 4] = ["a.npy", "b.npy", "report.json", "taken.md"];

    /// Not a test: the process in which a fault happens.
    #[test]
    #[ignore = "run by the tests below, in a process of its own"]
    fn child() {
        let Some(path) = std::env::var_os(FOLDER) else { return };
        let done = OutputFolder::prepare(&path, std::env::var_os(FORCE).is_some())
            .and_then(|folder| results(&folder, "new ", &NEW));
        let count = DONE.load(Ordering::SeqCst).to_string();
        fs::write(Path::new(&path).with_file_name("points"), count).unwrap();
        std::process::exit(match done {
            Ok(()) => 0,
            Err(_) => 1,
        });
    }

    fn run(folder: &Path, way: Way, before: Before, fault: &str) -> Option<i32> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let (_, here) = module_path!().split_once("::").unwrap();
        command.args([&format!("{here}::child"), "--exact", "--ignored"]);
        command.env(FOLDER, folder).env(FAULT, fault);
        command.current_dir(if way == Way::Inside { folder } else { Path::new("/") });
        if way == Way::OneByOne {
            command.env(NO_EXCHANGE, "1");
        }
        if before == Before::Results {
            command.env(FORCE, "1");
        }
        command.output().unwrap().status.code()
    }

    /// The files of others, which must be there at every moment.
    fn foreign(folder: &Path) -> BTreeMap<PathBuf, String> {
        [
            ("thesis.txt", "three years"),
            ("fit/notes.txt", "of the inner folder"),
            ("data/deep/scene.img", "pixels"),
            ("taken.md", "has the name of a result"),
        ]
        .map(|(name, text)| (folder.join(name), text.to_owned()))
        .into()
    }

    fn set_up(before: Before) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("out");
        match before {
            Before::Missing => {}
            Before::Empty => fs::create_dir(&folder).unwrap(),
            Before::Results => {
                results(&OutputFolder::prepare(&folder, false).unwrap(), "old ", &OLD).unwrap();
                for (path, text) in foreign(&folder) {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, text).unwrap();
                }
            }
        }
        (root, folder)
    }

    /// "old" or "new", or "none" where there is no result; panics where it is a mixture.
    fn state(folder: &Path) -> &'static str {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let has = |names: &[&str], text: &str| {
            names.iter().all(|name| read(name) == Some(format!("{text}{name}")))
                && read("fit/map.npy").as_deref() == Some(text)
        };
        let gone = |names: &[&str]| names.iter().all(|name| read(name).is_none());
        if has(&NEW, "new ") && gone(&["stale.png"]) {
            "new"
        } else if has(&OLD, "old ") && gone(&["b.npy"]) {
            "old"
        } else {
            assert!(gone(&["a.npy", "b.npy", "report.json", "fit/map.npy", RECORD_FILE]), "mixed");
            "none"
        }
    }

    fn assert_foreign(folder: &Path, what: &str) {
        for (path, text) in foreign(folder) {
            let aside = path.with_file_name("taken.md.kept-1");
            let found = fs::read_to_string(&path).ok().filter(|found| *found == text);
            let found = found
                .or_else(|| fs::read_to_string(aside).ok().filter(|_| path.ends_with("taken.md")));
            assert_eq!(found.as_deref(), Some(&*text), "{what}: {}", path.display());
        }
    }

    /// A fault at every point in turn; how many there are.
    fn at_every_point(way: Way, before: Before, kind: &str) -> usize {
        let (root, folder) = set_up(before);
        assert_eq!(run(&folder, way, before, "none:0"), Some(0));
        let points = fs::read_to_string(root.path().join("points")).unwrap().parse().unwrap();
        for at in 0..points {
            let what = format!("{way:?}, {before:?}, {kind}:{at}");
            let (root, folder) = set_up(before);
            let code = run(&folder, way, before, &format!("{kind}:{at}"));
            if before == Before::Results {
                assert_foreign(&folder, &what);
            }
            let seen = match way {
                // Whoever looks sees one result or the other, without doing anything.
                Way::Exchange => state(&folder),
                _ => {
                    let _ = check(&folder, &[]);
                    state(&folder)
                }
            };
            match code {
                Some(0) => assert_eq!(seen, "new", "{what}"),
                _ if before == Before::Results => assert!(seen != "none", "{what}: lost"),
                _ => assert!(seen != "old", "{what}"),
            }
            if kind == "fail" && code == Some(1) {
                assert_eq!(seen, "old", "{what}: it failed, and something has changed");
            }
            // Killed or refused, the same command works the next time, and leaves nothing behind;
            // what came to its end needs leave to be written over.
            let refused = code == Some(0) && before != Before::Results;
            let again = run(&folder, way, before, "none:0");
            assert_eq!(again, Some(i32::from(refused)), "{what}: rerun");
            assert_eq!(state(&folder), "new", "{what}: rerun");
            if before == Before::Results {
                assert_foreign(&folder, &what);
            }
            check(&folder, &["a.npy", "b.npy", "report.json"]).unwrap();
            check(&folder.join("fit"), &["map.npy"]).unwrap();
            let left = fs::read_dir(root.path()).unwrap().chain(fs::read_dir(&folder).unwrap());
            let left: Vec<String> = left
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.starts_with('.'))
                .collect();
            assert_eq!(left, [""; 0], "{what}");
            // A refusal while it tidies up does not fail the run.
            assert!(kind != "kill" || code == Some(KILLED), "{what}: {code:?}");
        }
        points
    }

    #[test]
    fn killed_at_any_point_the_folder_holds_the_old_result_or_the_new_one() {
        for way in [Way::Exchange, Way::OneByOne, Way::Inside] {
            for before in [Before::Missing, Before::Empty, Before::Results] {
                if (way, before) != (Way::Inside, Before::Missing) {
                    // That many changes at least: else the faults are not where they should be.
                    assert!(at_every_point(way, before, "kill") > 20, "{way:?} {before:?}");
                }
            }
        }
    }

    #[test]
    fn refused_at_any_point_the_folder_holds_the_old_result_or_the_new_one() {
        for kind in ["fail", "full"] {
            for way in [Way::Exchange, Way::OneByOne] {
                at_every_point(way, Before::Results, kind);
            }
        }
    }
}
