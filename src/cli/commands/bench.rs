//! `unmixel bench`: how fast the engine runs here, and several machines' answers side by side.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use comfy_table::{ContentArrangement, Table, presets};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};
use unmixel::engine::backend::{Choice, device};
use unmixel::engine::wait::block_on;
use unmixel::rooms::bench::{self, Case, DeviceReport, Host, Options, PassReport, Report, SCENES};
use unmixel::rooms::figures::{BenchBar, BenchGroup, bench_png};
use unmixel::rooms::results::OutputFolder;
use unmixel::{Error, Result};

use crate::cli::args::BenchArgs;
use crate::cli::{Done, commit, print, tables};

const UNIT: &str = "pixel-steps/s (bars, a scale of powers of ten)";

/// Measures or compares.
pub fn run(args: &BenchArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    if !args.compare.is_empty() {
        return compare(args);
    }
    let options = Options {
        scenes: scenes(args)?,
        repeats: args.repeats.unwrap_or(if args.quick { 5 } else { 15 }),
        steps: args.steps,
        seconds: if args.quick { 0.05 } else { 0.1 },
        quick: args.quick,
    };
    bench::check(&options)?;
    let devices = match &args.device {
        Some(name) => vec![device::choose(&name.parse::<Choice>()?)?],
        None => device::all(),
    };
    let folder = OutputFolder::prepare(&args.out, args.force)?;
    let stop = || interrupted.load(Ordering::Relaxed);
    let (mut report, whole) =
        block_on(bench::run(&devices, host(), &options, &mut |line| tell!("{line}"), &stop))?;
    report.ended_unix = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|t| t.as_secs());
    let report = report;

    folder.write("bench.json", |to| {
        serde_json::to_writer_pretty(&mut *to, &report)?;
        to.write_all(b"\n")
    })?;
    let column = report.devices.iter().map(|device| (device.device.name.clone(), device));
    let png = bench_png(&report.host.cpu, UNIT, &groups(&column.collect::<Vec<_>>()))?;
    folder.write("bench.png", |to| to.write_all(&png))?;
    commit(&folder, "bench")?;
    for device in &report.devices {
        print_device(device)?;
    }
    let host = &report.host;
    print(&format!(
        "{}, {} threads, {}, {}; unmixel {}",
        host.cpu, host.threads, host.vectors, host.os, report.unmixel
    ))?;
    print(&format!("bench.json, bench.png in {}", folder.path().display()))?;
    Ok(if whole { Done::Whole } else { Done::Interrupted })
}

fn scenes(args: &BenchArgs) -> Result<Vec<bench::Standard>> {
    let default: &[&str] = if args.quick { &["small", "full"] } else { &[] };
    let given: Vec<&str> = args.scene.iter().map(String::as_str).collect();
    let names = if given.is_empty() { default } else { &given };
    for name in names {
        if !SCENES.iter().any(|scene| scene.name == *name) {
            let known: Vec<&str> = SCENES.iter().map(|scene| scene.name).collect();
            return Err(Error::option(
                format!("--scene {name}"),
                format!("no such scene; there are {}", known.join(", ")),
            ));
        }
    }
    let wanted = |name| names.is_empty() || names.contains(&name);
    Ok(SCENES.iter().filter(|scene| wanted(scene.name)).cloned().collect())
}

/// This machine.
fn host() -> Host {
    let system = System::new_with_specifics(
        RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram()),
    );
    let known = Host::of_program();
    let cpu = system.as_ref().ok().and_then(|system| system.cpus().first());
    let cpu = cpu.map(|cpu| cpu.brand().trim().to_owned()).filter(|name| !name.is_empty());
    Host {
        os: System::long_os_version().ok().unwrap_or(known.os),
        kernel: System::kernel_version().ok().unwrap_or_default(),
        cpu: cpu.unwrap_or_else(|| known.arch.clone()),
        cores: System::physical_core_count().ok(),
        memory_bytes: system.as_ref().map_or(0, System::total_memory),
        ..Host::of_program()
    }
}

/// The tables of one device.
fn print_device(report: &DeviceReport) -> Result<()> {
    let info = &report.device;
    let driver = [&*info.name, &info.driver].join(", ");
    print(&format!("\n{} ({})", driver.trim_end_matches([',', ' ']), info.backend))?;
    if let Some(reason) = &report.failure {
        return print(&format!("not measured: {reason}"));
    }
    let copies: Vec<String> = report
        .copies
        .iter()
        .map(|(bytes, speed)| format!("{:.1} GB/s over {} MiB", speed * 1e-9, bytes >> 20))
        .collect();
    print(&format!(
        "reaches {:.1} GFLOP/s in multiply-adds; copies {}",
        report.fma_per_second * 1e-9,
        copies.join(", ")
    ))?;
    let mut table =
        tables::table(&["case", "steps/s", "pixel-steps/s", "step", "open", "first step"]);
    for case in &report.cases {
        let Some(m) = &case.measured else {
            table.add_row([case.line()]);
            continue;
        };
        table.add_row([
            case.name(),
            speed(case),
            format!("{:.3e}", m.pixel_steps_per_second),
            time(m.step_seconds.median),
            time(m.open_seconds),
            time(m.first_step_seconds),
        ]);
    }
    print(&table.to_string())?;
    let timed: Vec<&Case> = report
        .cases
        .iter()
        .filter(|case| case.measured.as_ref().is_some_and(|m| !m.passes.is_empty()))
        .collect();
    if timed.is_empty() {
        return print("no times of single passes: the device has no clock of its own");
    }
    let mut table =
        tables::table(&["case", "pass", "time a step", "share", "GB/s", "GFLOP/s", "of its limit"]);
    for case in timed {
        let Some(m) = &case.measured else { continue };
        let sum: f64 = m.passes.iter().map(|pass| pass.seconds.median).sum();
        let column = |cell: &dyn Fn(&PassReport) -> String| {
            m.passes.iter().map(cell).collect::<Vec<_>>().join("\n")
        };
        let rate = |pass: &PassReport, count: Option<u64>| {
            count.map_or("-".into(), |n| format!("{:.2}", 1e-9 * n as f64 / pass.seconds.median))
        };
        table.add_row([
            case.name().replace(", ", "\n"),
            column(&|pass| pass.name.clone()),
            column(&|pass| time(pass.seconds.median)),
            column(&|pass| format!("{:.1} %", 100.0 * pass.seconds.median / sum.max(1e-12))),
            column(&|pass| rate(pass, pass.bytes)),
            column(&|pass| rate(pass, pass.operations)),
            column(&|pass| {
                pass.limit()
                    .map_or("-".into(), |(what, share)| format!("{:.0} % of {what}", 100.0 * share))
            }),
        ]);
    }
    print(&table.to_string())
}

/// Seconds in the unit that suits them.
fn time(seconds: f64) -> String {
    let (factor, unit) = match seconds {
        s if s < 1e-3 => (1e6, "µs"),
        s if s < 1.0 => (1e3, "ms"),
        _ => (1.0, "s"),
    };
    format!("{:.1} {unit}", seconds * factor)
}

fn speed(case: &Case) -> String {
    case.measured.as_ref().map_or("-".into(), |m| {
        format!("{:.1} ± {:.0} %", m.steps_per_second.median, m.steps_per_second.percent())
    })
}

/// Reports of several machines in one table and one picture.
fn compare(args: &BenchArgs) -> Result<Done> {
    let reports: Result<Vec<(&PathBuf, Report)>> =
        args.compare.iter().map(|path| Ok((path, Report::read(path)?))).collect();
    let reports = reports?;
    let folder = OutputFolder::prepare(&args.out, args.force)?;
    let columns: Vec<(String, &DeviceReport)> = reports
        .iter()
        .flat_map(|(path, report)| {
            report.devices.iter().map(move |device| {
                let from = if device.device.kind == "cpu" { &report.host.cpu } else { "" };
                let name = [&*device.device.name, from].join(" ");
                (format!("{} ({})", name.trim_end(), path.display()), device)
            })
        })
        .collect();
    let mut table = comparison(&columns);
    print(&table.to_string())?;
    table.load_style(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    folder.write("comparison.md", |to| writeln!(to, "{table}"))?;
    let png = bench_png("unmixel bench", UNIT, &groups(&columns))?;
    folder.write("comparison.png", |to| to.write_all(&png))?;
    args.compare.iter().for_each(|path| folder.protect(path));
    commit(&folder, "bench --compare")?;
    print(&format!("comparison.md, comparison.png in {}", folder.path().display()))?;
    Ok(Done::Whole)
}

/// Scenes with models of all devices, in the order in which they first come.
fn cases(columns: &[(String, &DeviceReport)]) -> Vec<String> {
    let mut names = Vec::new();
    for case in columns.iter().flat_map(|(_, device)| &device.cases) {
        if !names.contains(&case.name()) {
            names.push(case.name());
        }
    }
    names
}

fn find<'a>(device: &'a DeviceReport, name: &str) -> Option<&'a Case> {
    device.cases.iter().find(|case| case.name() == name && case.measured.is_some())
}

fn comparison(columns: &[(String, &DeviceReport)]) -> Table {
    let names = cases(columns);
    let header: Vec<String> =
        ["device, steps/s"].into_iter().map(String::from).chain(names.iter().cloned()).collect();
    let mut table = tables::table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    for (title, device) in columns {
        let cells = names.iter().map(|name| find(device, name).map_or("-".into(), speed));
        table.add_row(std::iter::once(title.clone()).chain(cells));
    }
    table
}

fn groups(columns: &[(String, &DeviceReport)]) -> Vec<BenchGroup> {
    let bar = |name: &str, at: usize, title: &str, device: &DeviceReport| {
        let case = find(device, name)?;
        Some(BenchBar {
            device: at,
            name: title.to_owned(),
            speed: case.measured.as_ref()?.pixel_steps_per_second,
            label: format!("{} steps/s", speed(case)),
        })
    };
    let group = |name: &String| {
        let of =
            |(at, (title, device)): (usize, &(String, &DeviceReport))| bar(name, at, title, device);
        let bars = columns.iter().enumerate().filter_map(of).collect();
        BenchGroup { title: name.clone(), bars }
    };
    cases(columns).iter().map(group).collect()
}
