//! Drives a fit block by block, keeps a checkpoint, goes on from it, and stops when it likes:
//! `cargo run --release --example drive`.
#![allow(clippy::print_stdout)]

use unmixel::{Checkpoint, Result, Unmixing, simulate};

fn main() -> Result<()> {
    let small = simulate::Settings { rows: 40, cols: 50, bands: 60, ..Default::default() };
    let scene = simulate::simulate(&small)?.scene("simulated")?;
    let path = std::env::temp_dir().join(format!("unmixel-{}.ckpt", std::process::id()));
    let unmixing = Unmixing::new(3).seed(7).early_stop(false);
    let mut run = unmixing.start(&scene)?;
    while let Some(progress) = run.advance()? {
        if progress.step >= 500 {
            run.checkpoint()?.save(&path)?;
            break;
        }
    }
    // Another process, another day.
    let mut run = unmixing.resume(&scene, Checkpoint::load(&path)?)?;
    let (mut best, mut since) = (f64::NEG_INFINITY, 0);
    while let Some(progress) = run.advance()? {
        println!("step {}: {:.3} nats a pixel", progress.step, progress.elbo);
        since = if progress.elbo > best + 0.01 { 0 } else { since + 1 };
        best = best.max(progress.elbo);
        if since == 10 {
            break;
        }
    }
    let fit = run.finish()?;
    println!("{} steps, ELBO {:?}", fit.record().trace.len(), fit.record().elbo());
    std::fs::remove_file(&path).map_err(|error| unmixel::Error::io(&path, error))
}
