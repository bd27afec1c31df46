//! Unmixes a scene from a file, or a simulated one, and prints what is in it:
//! `cargo run --release --example fit -- [SCENE ENDMEMBERS]`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use unmixel::{Result, Scene, Unmixing, simulate};

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let (scene, k) = match args.next() {
        Some(path) => (Scene::open(path)?, args.next().and_then(|k| k.to_str()?.parse().ok())),
        None => {
            let small = simulate::Settings { rows: 40, cols: 50, bands: 60, ..Default::default() };
            (simulate::simulate(&small)?.scene("simulated")?, Some(3))
        }
    };
    let unmixing = k.map_or_else(Unmixing::auto, Unmixing::new);
    let fit = unmixing.seed(7).on_event(|event| eprintln!("{event}")).fit(&scene)?;
    let (mean, sd) = (fit.abundances().mean(), fit.abundances().sd());
    for (k, share) in fit.posterior().mean_abundance.iter().enumerate() {
        let layer = sd.index_axis(ndarray::Axis(2), k);
        let sure = layer.iter().filter(|sd| **sd < 0.05).count();
        println!("endmember {}: {:.1} % of the scene; {sure} sure pixels", k + 1, 100.0 * share);
    }
    println!("maps of {} x {} pixels", mean.dim().0, mean.dim().1);
    Ok(())
}
