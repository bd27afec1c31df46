//! Runs that are killed at any moment, and runs that meet in one folder.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::bench::{Bench, PROGRAM};

/// Kills of this test; `scripts/kills.sh` asks for 1,000.
fn kills() -> u32 {
    std::env::var("UNMIXEL_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(24)
}

/// Numbers from 0 to 1 that look random and are the same every time.
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn start(bench: &Bench, line: &str) -> Child {
    let mut command = Command::new(PROGRAM);
    command.current_dir(bench.at(".")).args(line.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The seed of the result in a folder, all of whose files are those on record; none without one.
fn seed_of(bench: &Bench, folder: &str) -> Option<u64> {
    let path = bench.at(folder);
    if !path.join("report.json").exists() {
        let left = std::fs::read_dir(&path).map_or(0, |entries| {
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.starts_with("abundance_")).count()
        });
        assert_eq!(left, 0, "maps without a report");
        return None;
    }
    let report = bench.report(folder);
    let files: Vec<&str> =
        report["files"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    let named: Vec<&str> = files.into_iter().filter(|name| *name != "record.json").collect();
    unmixel::rooms::results::check(&path, &named).unwrap();
    // No picture of another fit beside those of this one.
    for name in bench.names_in(folder) {
        let own = name == "record.json" || named.contains(&name.as_str());
        assert!(own || name == "thesis.txt" || name.starts_with('.'), "{name} is no part of it");
    }
    report["seed"].as_u64()
}

fn assert_thesis(path: &Path) {
    assert_eq!(std::fs::read_to_string(path.join("thesis.txt")).unwrap(), "three years");
}

#[test]
fn a_run_killed_at_a_random_moment_leaves_the_old_result_or_the_new_one() {
    let bench = Bench::with_scene();
    // Ended before it finds a start: kills are to meet the writing, which takes most of this time.
    let fit = "fit s/scene.npz -k 2 --device cpu --init vca --steps 20";
    let begin = Instant::now();
    bench.ok(&format!("{fit} --out probe"));
    let mut whole = begin.elapsed().as_secs_f64();
    let (mut chance, mut ended, mut seen) = (Chance(7), 0, [0; 3]);
    for n in 0..kills() {
        let into_old = n % 2 == 1;
        let folder = format!("o{n}");
        let names = ["--names a,b", "--names soil,tree"];
        let force = if into_old { "--force" } else { "" };
        if into_old {
            bench.ok(&format!("{fit} --out {folder} --seed 1 {}", names[0]));
            std::fs::write(bench.at(&folder).join("thesis.txt"), "three years").unwrap();
        }
        let line = format!("{fit} --out {folder} --seed 2 {} {force}", names[1]);
        let mut child = start(&bench, &line);
        std::thread::sleep(Duration::from_secs_f64(1.1 * whole * chance.next()));
        child.kill().unwrap();
        ended += u32::from(child.wait().unwrap().success());

        let found = seed_of(&bench, &folder);
        seen[found.unwrap_or(0) as usize] += 1;
        match into_old {
            true => assert!(matches!(found, Some(1 | 2)), "{n}: {found:?}"),
            false => assert!(matches!(found, None | Some(2)), "{n}: {found:?}"),
        }
        if into_old {
            assert_thesis(&bench.at(&folder));
        }
        // The same command again, with nothing added; it tells how long a run takes by now.
        let begin = Instant::now();
        let ran = bench.run(&line);
        whole = if ran.code == Some(0) { begin.elapsed().as_secs_f64() } else { whole };
        let complete = !into_old && found == Some(2);
        // A run that has come to its end is no crash: its result is not to be written over.
        if !complete || ran.code == Some(0) {
            assert_eq!(ran.code, Some(0), "{n}: {}", ran.stderr);
        }
        assert_eq!(seed_of(&bench, &folder), Some(2));
        let names = bench.names_in(&folder);
        assert!(!names.iter().any(|name| name.starts_with('.') || name.contains("_a.png")));
        if into_old {
            assert_thesis(&bench.at(&folder));
        }
        assert!(!bench.at(&format!(".{folder}.unmixel")).exists());
        std::fs::remove_dir_all(bench.at(&folder)).unwrap();
    }
    eprintln!(
        "{} kills in {whole:.2} s each, {ended} too late; left: {} nothing, {} old, {} new",
        kills(),
        seen[0],
        seen[1],
        seen[2]
    );
}

#[test]
fn of_two_runs_at_once_one_is_told_and_the_other_whole() {
    let bench = Bench::with_scene();
    let line = |seed: u32| {
        format!(
            "fit s/scene.npz -k 2 --device cpu --init vca --steps 300 --out o --force --seed {seed}"
        )
    };
    let begin = Instant::now();
    bench.ok(&line(3));
    let whole = begin.elapsed().as_secs_f64();
    let (mut chance, mut told_so) = (Chance(5), 0);
    let times = (kills() / 8).max(4);
    for n in 0..times {
        if n % 4 < 2 {
            std::fs::remove_dir_all(bench.at("o")).unwrap();
        }
        let mut runs = [start(&bench, &line(1)), start(&bench, &line(2))];
        // One of them is killed in every second pair.
        if n % 2 == 1 {
            std::thread::sleep(Duration::from_secs_f64(1.5 * whole * chance.next()));
            runs[usize::from(chance.next() < 0.5)].kill().unwrap();
        }
        let ended: Vec<(Option<i32>, String)> = runs
            .into_iter()
            .map(|run| {
                let output = run.wait_with_output().unwrap();
                (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
            })
            .collect();
        let told = |(code, text): &&(Option<i32>, String)| {
            *code == Some(2) && text.contains("another unmixel")
        };
        let refused = ended.iter().filter(told).count();
        let ended_by = |wanted| ended.iter().filter(|(code, _)| *code == wanted).count();
        // They may also have come one after the other.
        assert_eq!(refused + ended_by(Some(0)) + ended_by(None), 2, "{n}: {ended:?}");
        assert!(refused < 2 && ended_by(None) <= (n % 2) as usize, "{n}: {ended:?}");
        told_so += refused;
        let found = seed_of(&bench, "o");
        match ended_by(Some(0)) {
            // The one that went on was told that the killed one was still there.
            0 if n % 4 < 2 => assert!(matches!(found, None | Some(1 | 2)), "{n}: {found:?}"),
            0 => assert!(found.is_some(), "{n}: lost: {ended:?}"),
            _ => assert!(matches!(found, Some(1 | 2)), "{n}: {found:?}"),
        }
        if n % 2 == 1 {
            bench.ok(&line(3));
            assert_eq!(seed_of(&bench, "o"), Some(3));
            assert!(!bench.at(".o.unmixel").exists(), "{n}: leftovers");
        }
    }
    eprintln!("{times} pairs at once, {told_so} told so");
}
