//! Whether a run fits the machine's memory, asked before it allocates: systems that promise more
//! than they have end a program later, without a word.

use crate::engine::ground::error::{Error, Result};
use crate::engine::layout::{Buf, Params};

/// Bytes of a run's buffers without the cube, which is in memory already.
pub(crate) fn needed(params: &Params) -> u64 {
    let words = |buf: Buf| params.len(buf) as u64;
    4 * Buf::ALL.into_iter().filter(|buf| *buf != Buf::Cube).map(words).sum::<u64>()
}

/// Bytes that this program may still take, by what the machine has, what a limit of the process
/// leaves (`ulimit -v`), and what one of its container does; known on Linux only.
pub(crate) fn available() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let of_machine = read("/proc/meminfo").and_then(|info| kilobytes(&info, "MemAvailable:"));
    let of_process = read("/proc/self/limits")
        .zip(read("/proc/self/status"))
        .and_then(|(limits, status)| left_of_process(&limits, &status));
    let group = |name: &str| read(&format!("/sys/fs/cgroup/{name}"));
    let of_group = group("memory.max")
        .zip(group("memory.current"))
        .zip(group("memory.stat"))
        .and_then(|((most, now), stat)| left_of_group(&most, &now, &stat));
    [of_machine, of_process, of_group].into_iter().flatten().min()
}

/// The value in bytes of a line such as `MemAvailable:  1234 kB`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let value: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    value.checked_mul(1024)
}

/// What a limit of the address space leaves; none without a limit.
fn left_of_process(limits: &str, status: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let most: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(most.saturating_sub(kilobytes(status, "VmSize:")?))
}

/// What the limit of a control group leaves, its file cache apart, which gives way; none without a
/// limit.
fn left_of_group(most: &str, now: &str, stat: &str) -> Option<u64> {
    let (most, now): (u64, u64) = (most.trim().parse().ok()?, now.trim().parse().ok()?);
    let cache = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let cache: u64 = cache.and_then(|value| value.trim().parse().ok()).unwrap_or(0);
    Some(most.saturating_sub(now.saturating_sub(cache)))
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
    fn limits_of_machine_process_and_group_are_read_as_they_are_written() {
        assert_eq!(
            kilobytes("MemFree: 1 kB\nMemAvailable:   23 kB\n", "MemAvailable:"),
            Some(23552)
        );
        assert_eq!(kilobytes("MemFree: 1 kB\n", "MemAvailable:"), None);
        let limits =
            |most| format!("Max locked memory  8 8 bytes\nMax address space  {most}  9 bytes\n");
        let status = "Name:\tunmixel\nVmSize:\t    4 kB\n";
        assert_eq!(left_of_process(&limits("10000"), status), Some(10_000 - 4096));
        assert_eq!(left_of_process(&limits("100"), status), Some(0));
        assert_eq!(left_of_process(&limits("unlimited"), status), None);
        assert_eq!(left_of_group("1000\n", "700\n", "anon 1\ninactive_file 200\n"), Some(500));
        assert_eq!(left_of_group("max\n", "700\n", ""), None);
        if cfg!(target_os = "linux") {
            assert!(available().is_some());
        }
    }

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
