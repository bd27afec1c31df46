//! Interrupts at random moments of every stage. `UNMIXEL_MOMENTS` is the number of moments a stage;
//! `scripts/interrupts.sh` asks for twenty.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::bench::{Bench, PROGRAM};
use super::kills::Chance;

/// Moments a stage of the tests below: a few, so that they take seconds.
fn moments() -> u32 {
    std::env::var("UNMIXEL_MOMENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// How long it may take from the signal to the end: a second on a machine of its own, with all
/// pictures of a small scene; test machines do other things at the same time.
const PATIENCE: Duration = Duration::from_secs(15);

/// The program as it runs, with the lines that it says.
struct Running {
    child: std::process::Child,
    lines: Receiver<(Instant, String)>,
    begin: Instant,
}

impl Running {
    fn start(bench: &Bench, line: &str) -> Self {
        let begin = Instant::now();
        let mut child = Command::new(PROGRAM)
            .current_dir(bench.at("."))
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if tell.send((Instant::now(), line)).is_err() {
                    break;
                }
            }
        });
        Running { child, lines, begin }
    }

    /// Waits for the line that begins a stage; false where the program ends before.
    fn reach(&self, stage: &str, seen: &mut Vec<String>) -> bool {
        while !stage.is_empty() {
            let Ok((_, line)) = self.lines.recv_timeout(Duration::from_secs(300)) else {
                return false;
            };
            let here = line.starts_with(stage);
            seen.push(line);
            if here {
                break;
            }
        }
        true
    }
}

/// A command, the lines that begin its stages, the folder that it writes, and the line from which
/// on there must be results.
struct Case {
    line: &'static str,
    stages: &'static [&'static str],
    results: Option<&'static str>,
    from: &'static str,
}

const FIT: [&str; 5] = ["", "scene: ", "effective bands: ", "start: ", "fit: "];

/// Seconds that each stage takes in a run that nobody interrupts.
fn lengths(bench: &Bench, case: &Case) -> Vec<f64> {
    let mut run = Running::start(bench, case.line);
    let mut begins = Vec::new();
    for stage in case.stages {
        assert!(run.reach(stage, &mut Vec::new()), "{}: no line `{stage}`", case.line);
        begins.push(run.begin.elapsed().as_secs_f64());
    }
    while run.lines.recv().is_ok() {}
    assert!(run.child.wait().unwrap().success(), "{}", case.line);
    begins[0] = 0.0;
    begins.push(run.begin.elapsed().as_secs_f64());
    begins.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Interrupts one run; the seconds until it ended, and whether it came in time.
fn interrupt(bench: &Bench, case: &Case, stage: &str, wait: f64, signal: &str) -> Option<f64> {
    if let Some(folder) = case.results {
        let _ = std::fs::remove_dir_all(bench.at(folder));
    }
    let mut run = Running::start(bench, case.line);
    let mut seen = Vec::new();
    assert!(run.reach(stage, &mut seen), "{}: no line `{stage}`: {seen:?}", case.line);
    std::thread::sleep(Duration::from_secs_f64(wait));
    let kill = format!("kill -{signal} {} 2>&-", run.child.id());
    let sent = Command::new("sh").args(["-c", &kill]).status().unwrap().success();
    let begin = Instant::now();
    seen.extend(run.lines.iter().map(|(_, line)| line));
    let code = run.child.wait().unwrap().code();
    let took = begin.elapsed();
    let what = format!("{} in {stage:?} after {wait:.3} s: {code:?}, {seen:#?}", case.line);
    assert!(took < PATIENCE, "{took:?}: {what}");
    let heard = seen.iter().position(|line| line.starts_with("interrupted: "));
    // Before the program listens a signal does what it does to any program: nothing is there yet.
    assert!(matches!(code, Some(0 | 130)) || code.is_none() && seen.is_empty(), "{what}");
    let has = case.results.is_some_and(|folder| bench.at(folder).join("record.json").exists());
    if let (Some(heard), Some(folder)) = (heard, case.results) {
        let due = seen[..heard].iter().any(|line| line.starts_with(case.from));
        assert!(has || !due && code == Some(130), "no results: {what}");
        let told = seen.iter().any(|line| line.contains("before there was a result"));
        assert_eq!(told, !has, "{what}");
        assert!(!bench.at(&format!(".{folder}.unmixel")).exists(), "{what}");
        if has {
            unmixel::rooms::results::check(&bench.at(folder), &[]).unwrap();
        }
    }
    (sent && heard.is_some()).then_some(took.as_secs_f64())
}

fn at_random_moments(cases: &[Case], bench: &Bench) {
    let mut chance = Chance(11);
    for case in cases {
        let lengths = lengths(bench, case);
        for (stage, length) in case.stages.iter().zip(lengths) {
            let mut took = Vec::new();
            for n in 0..moments() {
                let signal = ["INT", "TERM", "HUP"][n as usize % 3];
                took.extend(interrupt(bench, case, stage, length * chance.next(), signal));
            }
            let most = took.iter().copied().fold(0.0, f64::max);
            let (count, command) = (took.len(), case.line.split(" --out").next().unwrap());
            eprintln!("{command}: {stage:?} ({length:.2} s): {count} heard, at most {most:.2} s");
        }
    }
}

#[test]
fn a_fit_that_is_interrupted_at_any_moment_leaves_its_results() {
    let bench = Bench::new();
    bench.ok("simulate --out s --rows 60 --cols 70 --bands 80");
    bench.ok("simulate --out wide --rows 10 --cols 10 --bands 2000");
    let case = |line, stages| Case { line, stages, results: Some("o"), from: "device: " };
    at_random_moments(
        &[
            case(
                "fit s/scene.npz -k 3 --device cpu --restarts 2 --posterior exact --out o --force",
                &["", "scene: ", "effective bands: ", "start: ", "fit: ", "exact posterior: "],
            ),
            case("fit wide/scene.npz -k 3 --device cpu --restarts 2 --out o --force", &FIT),
            case(
                "fit s/scene.npz -k 3 --device cpu --brightness off --init vca --out o --force",
                &FIT,
            ),
        ],
        &bench,
    );
}

#[test]
fn other_commands_that_are_interrupted_leave_what_they_have_or_nothing() {
    let bench = Bench::new();
    bench.ok("simulate --out s --rows 60 --cols 70 --bands 80");
    let case = |line, stages, from| Case { line, stages, results: Some("o"), from };
    at_random_moments(
        &[
            case(
                "compare s/scene.npz -k 3 --truth s/truth.npz --device cpu --restarts 2 --out o \
                 --force",
                &["", "scene: ", "VCA + FCLS", "effective bands: ", "start: ", "fit: "],
                "VCA + FCLS",
            ),
            // Numbers that were tried are a result; before that there is none.
            case(
                "count s/scene.npz --device cpu --out o --force",
                &["", "scene: ", "  1 endmembers: "],
                "  1 endmembers: ",
            ),
            case(
                "calibrate --scenes 1 --steps 5 --guide mean-field --device cpu --out o --force",
                &["", "1 of 16: "],
                "1 of 16: ",
            ),
            case(
                "simulate --rows 300 --cols 300 --bands 100 --out o --force",
                &[""],
                "no such line",
            ),
        ],
        &bench,
    );
}
