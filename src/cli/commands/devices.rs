//! `unmixel devices`.

use unmixel::Result;
use unmixel::engine::backend::{Choice, DeviceInfo, device};

use crate::cli::args::DevicesArgs;
use crate::cli::{Done, print};

/// One device with what bears on the size of a fit.
#[derive(serde::Serialize)]
struct Listed {
    #[serde(flatten)]
    info: DeviceInfo,
    limits: Vec<(&'static str, u64)>,
    chosen_by_auto: bool,
}

/// Lists every device.
pub fn run(args: &DevicesArgs) -> Result<Done> {
    let auto = device::choose(&Choice::Auto)?.info;
    let listed = all(&auto);
    if args.json {
        let json = serde_json::to_string_pretty(&listed)
            .map_err(|e| unmixel::Error::Fit(e.to_string()))?;
        print(&json)?;
        return Ok(Done::Whole);
    }
    let mut table = crate::cli::tables::table(&["device", "kind", "interface", "driver", "limits"]);
    for device in &listed {
        let limits: Vec<String> =
            device.limits.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let name = if device.chosen_by_auto {
            format!("* {}", device.info.name)
        } else {
            device.info.name.clone()
        };
        table.add_row([
            &name,
            &device.info.kind,
            &device.info.backend,
            &device.info.driver,
            &limits.join("\n"),
        ]);
    }
    print(&table.to_string())?;
    print(&format!(
        "* taken by --device auto: {}. Any part of a name or driver can be given as --device.",
        auto.reason
    ))?;
    Ok(Done::Whole)
}

fn all(auto: &DeviceInfo) -> Vec<Listed> {
    let cpu = device::cpu("").info;
    let cpu = Listed { chosen_by_auto: auto.backend == "cpu", info: cpu, limits: Vec::new() };
    #[cfg(feature = "gpu")]
    let gpus = unmixel::engine::wait::block_on(unmixel::engine::backend::gpu::adapters())
        .into_iter()
        .map(|adapter| {
            let info = adapter.info().clone();
            let limits =
                adapter.limits().into_iter().map(|limit| (limit.name, limit.value)).collect();
            let chosen_by_auto = info.name == auto.name && info.backend == auto.backend;
            Listed { chosen_by_auto, info, limits }
        });
    #[cfg(not(feature = "gpu"))]
    let gpus = std::iter::empty();
    std::iter::once(cpu).chain(gpus).collect()
}
