//! Whether a run fits the machine's memory, asked before it allocates: systems that promise more
//! than they have end a program later, without a word.

use crate::engine::ground::error::{Error, Result};
use crate::engine::layout::{Buf, Params};

/// Bytes of a run's buffers without the cube, which is in memory already.
fn needed(params: &Params) -> u64 {
    let words = |buf: Buf| params.len(buf) as u64;
    4 * Buf::ALL.into_iter().filter(|buf| *buf != Buf::Cube).map(words).sum::<u64>()
}

/// Bytes that programs may still take; known on Linux only.
pub(crate) fn available() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Refuses a run on the CPU whose buffers are more than there is.
pub(super) fn check(params: &Params) -> Result<()> {
    check_against(params, available())
}

fn check_against(params: &Params, available: Option<u64>) -> Result<()> {
    let needed = needed(params);
    match available {
        Some(available) if needed > available => Err(Error::Scene(format!(
            "the fit needs {} MiB of memory beside the scene, and {} MiB are free; use a smaller \
             batch size, fewer particles, or do without a noise covariance, the low-rank guide or \
             variability",
            needed.div_ceil(1 << 20),
            available >> 20
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::{Model, Noise};

    #[test]
    fn what_does_not_fit_is_refused_with_its_size() {
        let model = Model { noise: Noise::Covariance, ..Model::new(3) };
        let params = Params::new(&model, 9025, 300, 9025, 16, 0).unwrap();
        // Five rows of 300 bands for each pixel and draw, and little else: 0.8 GiB.
        let bytes = needed(&params);
        assert!((850_000_000..1_100_000_000).contains(&bytes), "{bytes}");
        check_against(&params, Some(bytes)).unwrap();
        check_against(&params, None).unwrap();
        let text = check_against(&params, Some(bytes - 1)).unwrap_err().to_string();
        let size = format!("{} MiB", bytes.div_ceil(1 << 20));
        assert!(text.contains(&size) && text.contains("noise covariance"), "{text}");
    }
}
