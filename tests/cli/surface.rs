//! What the program says of itself: devices, help, completions, and readers that go away.

use std::process::{Command, Stdio};

use super::bench::{Bench, PROGRAM, Ran};

/// The Vulkan loader as on a machine without any driver.
#[cfg(target_os = "linux")]
fn without_driver(bench: &Bench, line: &str) -> Ran {
    let mut command = bench.command(line.split_whitespace());
    Ran::of(command.env("VK_DRIVER_FILES", "/nonexistent").env("VK_ICD_FILENAMES", "/nonexistent"))
}

#[test]
#[cfg(target_os = "linux")]
fn a_machine_without_a_gpu_has_its_cpu() {
    let bench = Bench::with_scene();
    let table = without_driver(&bench, "devices");
    assert_eq!(table.code, Some(0), "{table:?}");
    assert!(table.stdout.contains("* CPU") && table.stdout.contains("no GPU was found"));
    assert_eq!(table.stderr, "");

    let json = without_driver(&bench, "devices --json");
    let devices: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let devices = devices.as_array().unwrap();
    assert_eq!(devices.len(), 1, "{devices:?}");
    assert_eq!(devices[0]["kind"], "cpu");
    assert_eq!(devices[0]["chosen_by_auto"], true);

    let fit = "fit s/scene.npz -k 3 --out o --steps 5";
    let ran = without_driver(&bench, &format!("{fit} --device auto"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let says = |line: &str| line.starts_with("device: CPU") && line.contains("no GPU was found");
    assert!(ran.stderr.lines().any(says), "{}", ran.stderr);
    assert_eq!(bench.report("o")["device"]["reason"], "no GPU was found");

    for device in ["gpu", "nosuchdevice"] {
        let ran = without_driver(&bench, &format!("{fit} --force --device {device}"));
        let last = ran.stderr.lines().last().unwrap();
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(last.starts_with(&format!("error: --device {device}: no ")), "{last}");
        assert!(last.contains("cpu") && last.contains("no adapter"), "{last}");
    }
}

#[test]
fn devices_lists_one_that_auto_takes() {
    let bench = Bench::new();
    let json = bench.ok("devices --json").stdout;
    let devices: serde_json::Value = serde_json::from_str(&json).unwrap();
    let devices = devices.as_array().unwrap();
    let taken: Vec<_> = devices.iter().filter(|d| d["chosen_by_auto"] == true).collect();
    assert_eq!(taken.len(), 1, "{json}");
    // Auto never takes a software adapter.
    assert_ne!(taken[0]["kind"], "software");
    let table = bench.ok("devices").stdout;
    for device in devices {
        // Long names are broken over lines; their first word is not.
        let word = device["name"].as_str().unwrap().split_whitespace().next().unwrap();
        assert!(table.contains(word), "{word}: {table}");
    }
}

const RUN: [&str; 29] = [
    "--cube",
    "--outliers-aside",
    "--common-mixture",
    "--learn-shade",
    "--draws",
    "--save",
    "--library",
    "--format",
    "--restarts",
    "--search",
    "--spectra",
    "--out",
    "--force",
    "--device",
    "--seed",
    "--steps",
    "--batch-size",
    "--learning-rate",
    "--particles",
    "--no-early-stop",
    "--noise",
    "--concentration",
    "--brightness",
    "--variability",
    "--effective-bands",
    "--guide",
    "--rank",
    "--posterior",
    "--convention",
];
const LAYOUT: [&str; 11] = [
    "--rows",
    "--cols",
    "--variable",
    "--axes",
    "--pixel-order",
    "--scale",
    "--no-data",
    "--drop-bands",
    "--drop-wavelengths",
    "--mask",
    "--window",
];
const FIT: [&str; 4] = ["--endmembers", "--init", "--names", "--truth"];
const SCORE: [&str; 9] = [
    "--truth",
    "--endmembers",
    "--convention",
    "--names",
    "--rows",
    "--cols",
    "--out",
    "--force",
    "--json",
];
const COUNT: [&str; 5] = ["--out", "--force", "--json", "--device", "--seed"];
const INFO: [&str; 3] = ["--json", "--out", "--force"];
const CALIBRATE: [&str; 8] =
    ["--out", "--force", "--device", "--seed", "--scenes", "--steps", "--world", "--guide"];
const SIMULATE: [&str; 22] = [
    "--out",
    "--force",
    "--rows",
    "--cols",
    "--bands",
    "--endmembers",
    "--noise",
    "--maps",
    "--no-pure-pixels",
    "--brightness",
    "--variability",
    "--band-correlation",
    "--no-data",
    "--rare",
    "--close",
    "--seed",
    "--shared-variability",
    "--mixing",
    "--signal-noise",
    "--outliers",
    "--least-abundance",
    "--dark",
];

/// Flags in a help page, and whether text stands beside or below each.
fn flags(help: &str) -> Vec<(&str, bool)> {
    let lines: Vec<&str> = help.lines().collect();
    let mut found = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let entry = line.trim_start();
        // Flags are indented by 2 or, without a short form, by 6; texts by more.
        if !entry.starts_with('-') || line.len() - entry.len() > 6 {
            continue;
        }
        let flag = entry.split([' ', ',']).find(|word| word.starts_with("--")).unwrap();
        let beside = entry.split_once("  ").is_some_and(|(_, text)| !text.trim().is_empty());
        let below = lines.get(i + 1).map(|next| next.trim());
        let below = below.is_some_and(|next| !next.is_empty() && !next.starts_with('-'));
        found.push((flag, beside || below));
    }
    found
}

#[test]
fn help_has_a_text_for_every_flag() {
    const KEPT: [&str; 4] = ["--checkpoint", "--checkpoint-every", "--memory", "--device-memory"];
    const APPLY: [&str; 7] =
        ["--out", "--force", "--library", "--format", "--device", "--names", "--memory"];
    let bench = Bench::new();
    let own = ["--help"];
    for (command, lists) in [
        ("fit", vec![&FIT[..], &KEPT, &RUN, &LAYOUT, &own]),
        ("apply", vec![&APPLY[..], &LAYOUT, &own]),
        ("mosaic", vec![&["--out", "--force", "--format", "--memory"][..], &own]),
        ("resume", vec![&own[..]]),
        ("demo", vec![&RUN[..], &own]),
        ("simulate", vec![&SIMULATE[..], &own]),
        ("score", vec![&SCORE[..], &own]),
        ("count", vec![&COUNT[..], &LAYOUT, &own]),
        ("info", vec![&INFO[..], &LAYOUT, &own]),
        ("compare", vec![&["--endmembers", "--truth", "--names"][..], &RUN, &LAYOUT, &own]),
        ("calibrate", vec![&CALIBRATE[..], &own]),
        ("devices", vec![&["--json"][..], &own]),
        ("completions", vec![&own[..]]),
        ("", vec![&["--version"][..], &own]),
    ] {
        let help = bench.ok(&format!("{command} --help")).stdout;
        assert!(!help.contains('\u{1b}'), "{command}: colours in a pipe");
        let found = flags(&help);
        for (flag, text) in &found {
            assert!(text, "{command} {flag} has no text:\n{help}");
        }
        let mut found: Vec<&str> = found.into_iter().map(|(flag, _)| flag).collect();
        let mut wanted: Vec<&str> = lists.concat();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{command}");
    }
    let help = bench.ok("--help").stdout;
    for command in [
        "fit",
        "demo",
        "simulate",
        "score",
        "count",
        "compare",
        "calibrate",
        "devices",
        "completions",
    ] {
        let text = help.lines().find_map(|l| l.trim().strip_prefix(command));
        assert!(text.is_some_and(|t| t.trim().len() > 10), "{command}: {help}");
    }
    let version = bench.ok("--version").stdout;
    assert_eq!(version.trim(), format!("unmixel {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_for_each_shell_know_the_flags() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = bench.ok(&format!("completions {shell}")).stdout;
        for word in ["unmixel", "simulate", "batch-size"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let bench = Bench::new();
    for line in ["devices", "devices --json", "--help", "fit --help", "completions bash"] {
        // The reading end is closed before the program starts: every write finds a broken pipe.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(PROGRAM)
            .current_dir(bench.at("."))
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
    }
}

#[test]
fn results_are_written_for_readers_that_have_gone_away() {
    let bench = Bench::with_scene();
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    // As in `unmixel fit ... 2>&1 | head -1`: both streams break.
    let status = Command::new(PROGRAM)
        .current_dir(bench.at("."))
        .args("fit s/scene.npz -k 2 --out o --device cpu --steps 5".split_whitespace())
        .stdout(gone())
        .stderr(gone())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(bench.report("o")["steps_run"], 5);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_a_failure_and_no_bad_input() {
    let full = std::fs::File::create("/dev/full").unwrap();
    let output = Command::new(PROGRAM).arg("devices").stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("error: standard output: "), "{stderr}");
}
