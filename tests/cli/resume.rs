//! Fits that are killed go on from what they kept. `UNMIXEL_KILLS` is the number of kills of the
//! test below; `scripts/kills.sh` asks for many.
#![cfg(unix)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::bench::{Bench, PROGRAM};
use super::kills::Chance;

const SMALL: &str = "fit s/scene.img -k 3 --device cpu --restarts 1 --search 0 --checkpoint kept \
                     --checkpoint-every 0 --out";
/// Read by rows, whatever the memory: its rows are kept one block after the other.
const LARGE: &str = "fit l/scene.img -k 2 --device cpu --init vca --steps 100 --checkpoint kept \
                     --checkpoint-every 0 --out";
const ARRAYS: [&str; 3] = ["abundance_mean.npy", "abundance_q95.npy", "endmembers.csv"];

/// Starts a command and kills it after a while, if it is not done by then.
fn killed(bench: &Bench, line: &str, after: Duration) -> bool {
    let mut child = Command::new(PROGRAM)
        .current_dir(bench.at("."))
        .args(line.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while begin.elapsed() < after {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

fn kills() -> u32 {
    std::env::var("UNMIXEL_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(4)
}

/// Kills a fit and what goes on with it, again and again, until it is done; the number of kills.
fn through_kills(bench: &Bench, line: &str, seconds: f64, chance: &mut Chance, most: u32) -> u32 {
    let mut count = 0;
    loop {
        let kept = bench.at("kept").join("resume.json").exists();
        let next = if kept { "resume kept".to_owned() } else { line.to_owned() };
        let after = Duration::from_secs_f64(seconds * chance.next());
        if count < most && killed(bench, &next, after) {
            count += 1;
            continue;
        }
        if bench.at("o").join("record.json").exists() && !bench.at("kept").exists() {
            return count;
        }
        // The last one is left alone.
        let kept = bench.at("kept").join("resume.json").exists();
        bench.ok(if kept { "resume kept" } else { line });
        assert!(!bench.at("kept").exists());
        return count;
    }
}

#[test]
fn a_fit_that_is_killed_goes_on_to_the_same_results() {
    let bench = Bench::new();
    bench.ok("simulate --out s --rows 24 --cols 25 --bands 20 --brightness 0.2");
    bench.ok("simulate --out l --rows 190 --cols 180 --bands 8 --brightness 0.2");
    let mut chance = Chance(5);
    for (line, share) in [(SMALL, 0.75), (LARGE, 0.25)] {
        let begin = Instant::now();
        bench.ok(&format!("{line} whole --force"));
        let seconds = begin.elapsed().as_secs_f64();
        assert!(!bench.at("kept").exists(), "what was kept goes when all is written");
        let most = (f64::from(kills()) * share).ceil() as u32;
        let (mut count, mut fits) = (0, 0);
        while count < most {
            let left = most - count;
            count += through_kills(&bench, &format!("{line} o"), 0.6 * seconds, &mut chance, left);
            fits += 1;
            for file in ARRAYS {
                let read = |of: &str| std::fs::read(bench.at(of).join(file)).unwrap();
                assert!(read("o") == read("whole"), "{file} after {count} kills of {line}");
            }
            std::fs::remove_dir_all(bench.at("o")).unwrap();
            // Nothing is killed in time on a machine that is fast by then.
            if fits > 20 * most {
                break;
            }
        }
        eprintln!("{count} kills of {fits} fits: {}", line.split(" --out").next().unwrap());
    }
}

#[test]
fn folders_without_checkpoints_and_with_those_of_others_are_refused() {
    let bench = Bench::with_scene();
    let fit = "fit s/scene.npz -k 2 --device cpu --steps 5000 --no-early-stop --init vca \
               --checkpoint kept --checkpoint-every 0 --out o";
    bench.refuses("resume nowhere".split(' '), &["nowhere", "no checkpoints"]);
    assert!(killed(&bench, fit, Duration::from_millis(400)) || !bench.at("kept").exists());
    if bench.at("kept").exists() {
        // What the killed run has left of its results goes with the next one.
        let refused = bench.run(fit);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("unmixel resume kept"), "{refused:?}");
        bench.ok("resume kept");
    }
    assert!(bench.at("o/record.json").exists());
    std::fs::create_dir(bench.at("mine")).unwrap();
    std::fs::write(bench.at("mine/thesis.txt"), "three years").unwrap();
    let foreign = fit.replace("kept", "mine").replace("--out o", "--out p");
    bench.refuses(foreign.split_whitespace(), &["mine", "other files"]);
    let negative = fit.replace("--checkpoint-every 0", "--checkpoint-every -1");
    bench
        .refuses(negative.replace("--out o", "--out p").split_whitespace(), &["number of seconds"]);
    // Damage is said, and nothing is lost by it.
    killed(&bench, &fit.replace("--out o", "--out q"), Duration::from_millis(400));
    if bench.at("kept/run.unmixel").exists() {
        std::fs::write(bench.at("kept/run.unmixel"), "damaged").unwrap();
        let refused = bench.run("resume kept");
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("run.unmixel"), "{refused:?}");
    }
}
