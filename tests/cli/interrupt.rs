//! Ctrl-C.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::bench::{BANDS, Bench, COLS, PROGRAM, ROWS, assert_shares};

#[test]
fn an_interrupted_fit_writes_what_there_is() {
    // Ctrl-C, what schedulers send, and what a terminal sends that is closed.
    for signal in ["INT", "TERM", "HUP"] {
        ends_with_results(signal);
    }
}

fn ends_with_results(signal: &str) {
    let bench = Bench::with_scene();
    let args = "fit s/scene.npz -k 3 --truth s/truth.npz --out o --device cpu --init vca \
        --no-early-stop \
                --steps 10000000";
    let mut child = Command::new(PROGRAM)
        .current_dir(bench.at("."))
        .args(args.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("step ") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended before its first step");
    }
    let rest = std::thread::spawn(move || {
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        rest
    });
    // A shell has `kill` built in, also where there is no program of that name.
    let kill = format!("kill -{signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());

    // It has to finish one step and a few pictures; ten million steps take many minutes.
    let deadline = Instant::now() + Duration::from_secs(60);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it did not end after SIG{signal}");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let rest = rest.join().unwrap();
    assert_eq!(status.code(), Some(130), "{rest}");
    assert!(rest.lines().any(|line| line.starts_with("interrupted: ")), "{rest}");
    assert!(!rest.contains("error: "), "{rest}");

    let report = bench.report("o");
    assert_eq!(report["interrupted"], true);
    assert_eq!(report["stop_reason"], "it was interrupted");
    let steps = report["steps_run"].as_u64().unwrap();
    assert!((50..10_000_000).contains(&steps), "{steps}");
    assert_eq!(report["elbo"]["trace"].as_array().unwrap().len() as u64, steps);
    assert!(report["scores"]["peak"]["abundance_rmse"].is_f64());
    // All that a whole run writes, and nothing beside.
    bench.ok(
        "fit s/scene.npz -k 3 --truth s/truth.npz --out whole --device cpu --init vca --steps 60",
    );
    assert_eq!(bench.names_in("o"), bench.names_in("whole"));
    let maps = bench.abundances("o");
    assert_eq!(maps.dim(), (ROWS, COLS, 3));
    assert_shares(&maps, ROWS * COLS);
    let table = std::fs::read_to_string(bench.at("o/endmembers.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + BANDS);
}
