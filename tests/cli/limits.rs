//! Limits of the system: memory, the size of files, and things in the way that are no files.
#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use super::bench::{Bench, PROGRAM, Ran};

/// Runs it under a limit of the shell.
fn limited(bench: &Bench, limit: &str, line: &str) -> Ran {
    let script = format!("{limit}; exec {PROGRAM} {line}");
    let mut command = assert_cmd::Command::from_std(Command::new("sh"));
    command.current_dir(bench.at(".")).args(["-c", &script]).timeout(Duration::from_secs(120));
    Ran::of(&mut command)
}

/// It succeeded, or said in one sentence why not.
fn assert_ended(ran: &Ran, what: &str) {
    let errors = ran.stderr.lines().filter(|line| line.starts_with("error: ")).count();
    let wanted = match ran.code {
        Some(0) => 0,
        Some(1 | 2) => 1,
        _ => usize::MAX,
    };
    assert_eq!(errors, wanted, "{what}: {ran:?}");
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("backtrace"), "{what}");
}

#[cfg(target_os = "linux")]
#[test]
fn memory_that_does_not_suffice_is_a_sentence_wherever_it_ends() {
    let bench = Bench::new();
    bench.ok("simulate --out s --rows 150 --cols 150 --bands 60");
    for line in [
        "simulate --rows 300 --cols 300 --bands 100 --out o --force",
        "fit s/scene.npz -k 3 --device cpu --steps 5 --guide low-rank --rank 60 --out o --force",
        "fit s/scene.npz -k 3 --device cpu --steps 5 --batch-size 20000 --noise covariance --out o \
         --force",
        "compare s/scene.npz -k 3 --device cpu --steps 5 --truth s/truth.npz --out o --force",
        "count s/scene.npz --device cpu --out o --force",
    ] {
        let mut seen = [0; 3];
        for step in 0..14 {
            let kilobytes = (40_000.0 * 1.22_f64.powi(step)) as u32;
            let ran = limited(&bench, &format!("ulimit -v {kilobytes}"), line);
            assert_ended(&ran, &format!("{line}, {kilobytes} KB"));
            seen[ran.code.unwrap() as usize] += 1;
            // All of them is what the first ones show already.
            if ran.code == Some(0) {
                break;
            }
        }
        assert!(seen[1] + seen[2] > 0, "{line}: no limit was too small: {seen:?}");
        eprintln!("{line}: whole {}, failed {}, refused {}", seen[0], seen[1], seen[2]);
    }
}

#[test]
fn a_limit_on_files_and_a_full_disk_are_failures_that_leave_nothing() {
    let bench = Bench::with_scene();
    for line in [
        "simulate --rows 60 --cols 60 --out o",
        "fit s/scene.npz -k 2 --device cpu --steps 5 --out o",
        "compare s/scene.npz -k 3 --device cpu --steps 5 --truth s/truth.npz --out o",
        "info s/scene.npz --out o.png",
    ] {
        let before = bench.files();
        let ran = limited(&bench, "ulimit -f 8", line);
        assert_ended(&ran, line);
        assert_eq!(ran.code, Some(1), "{line}: {ran:?}");
        // The name that the user knows, and nothing that a library prints.
        assert!(!ran.stderr.contains(".unmixel"), "{line}: {ran:?}");
        assert!(ran.stderr.lines().last().unwrap().starts_with("error: o"), "{line}: {ran:?}");
        assert!(before == bench.files(), "{line}: leftovers");
    }
}

#[test]
fn what_is_no_file_is_neither_waited_for_nor_replaced() {
    let bench = Bench::with_scene();
    let pipe = |name: &str| {
        assert!(Command::new("mkfifo").arg(bench.at(name)).status().unwrap().success());
    };
    let is_pipe = |name: &str| {
        use std::os::unix::fs::FileTypeExt;
        std::fs::symlink_metadata(bench.at(name)).unwrap().file_type().is_fifo()
    };
    let begin = Instant::now();
    let fit = "fit s/scene.npz -k 2 --device cpu --steps 5";
    // In the folder of results: there it stays.
    std::fs::create_dir(bench.at("o")).unwrap();
    pipe("o/record.json");
    pipe("o/report.json");
    bench.ok(&format!("{fit} --out o --force"));
    assert!(is_pipe("o/record.json.kept-1") && is_pipe("o/report.json.kept-1"));
    // As the lock of a run that was killed.
    std::fs::create_dir(bench.at(".p.unmixel")).unwrap();
    pipe(".p.unmixel/lock");
    let ran = bench.run(&format!("{fit} --out p"));
    assert!(ran.code == Some(2) && ran.stderr.contains("something else"), "{ran:?}");
    // As a report to compare with.
    pipe("bench.json");
    let ran = bench.run("bench --compare bench.json bench.json");
    assert!(ran.code == Some(2) && ran.stderr.contains("no ordinary file"), "{ran:?}");
    // In the place of a picture.
    for name in ["bench.json", "link.png"] {
        if name == "link.png" {
            symlink(bench.at("s/scene.npz"), bench.at(name)).unwrap();
        }
        let ran = bench.run(&format!("info s/scene.npz --out {name} --force"));
        assert!(ran.code == Some(2) && ran.stderr.contains("no ordinary file"), "{ran:?}");
    }
    assert!(is_pipe("bench.json"));
    assert!(begin.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_picture_does_not_take_the_place_of_the_scene() {
    let bench = Bench::with_scene();
    for (scene, out) in
        [("scene.npz", "scene.npz"), ("scene.hdr", "scene.img"), ("scene.img", "scene.hdr")]
    {
        let line = format!("info s/{scene} --out s/{out} --force");
        bench.refuses(line.split_whitespace(), &["is the scene, or goes with it"]);
    }
    bench.ok("info s/scene.npz --out s/scene.png");
    bench.ok("info s/scene.npz --out s/scene.png --force");
}

#[test]
fn a_record_of_another_program_stays() {
    let bench = Bench::with_scene();
    for texts in [[r#"{"records": ["A Love Supreme"]}"#, "[1, 2]"], ["", "not JSON"]] {
        let _ = std::fs::remove_dir_all(bench.at("o"));
        std::fs::create_dir(bench.at("o")).unwrap();
        for (n, text) in texts.iter().enumerate() {
            // The second comes to a folder that holds a result, and had a record of its own.
            std::fs::write(bench.at("o/record.json"), text).unwrap();
            bench.ok("fit s/scene.npz -k 2 --device cpu --steps 5 --out o --force");
            let kept = bench.at(&format!("o/record.json.kept-{}", n + 1));
            assert_eq!(std::fs::read_to_string(kept).unwrap(), *text);
            unmixel::rooms::results::check(&bench.at("o"), &["report.json"]).unwrap();
        }
    }
}
