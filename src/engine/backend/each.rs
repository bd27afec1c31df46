//! Several fits that a device does: side by side on the CPU, each by a thread; as one piece of work
//! on a GPU, or piece by piece.

use rayon::prelude::*;

use super::Device;
use crate::engine::ground::error::Result;
use crate::engine::wait::at_once;

/// Does `one` for every item and gives the results in their order. On the CPU all go side by side,
/// as a small fit does not fill the cores; a GPU takes one after the other, which is awaited.
///
/// # Errors
///
/// The first that `one` gives. On a GPU nothing is begun after it.
pub async fn each<T: Send, R: Send>(
    device: &Device,
    items: Vec<T>,
    one: impl AsyncFn(T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    if device.is_cpu() {
        return items.into_par_iter().with_max_len(1).map(|item| at_once(one(item))).collect();
    }
    let mut done = Vec::with_capacity(items.len());
    for item in items {
        done.push(one(item).await?);
    }
    Ok(done)
}

/// Fits of one kind as the pieces of work that a device takes: each alone on the CPU, where a
/// thread takes it; all of them together on a GPU, for [`fit_all`](crate::engine::svi::fit_all).
pub fn pieces<T>(device: &Device, fits: Vec<T>) -> Vec<Vec<T>> {
    match device.is_cpu() {
        true => fits.into_iter().map(|fit| vec![fit]).collect(),
        false => vec![fits],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::engine::backend::device::cpu;
    use crate::engine::wait::block_on;

    #[test]
    fn results_keep_their_order_and_an_error_is_told() {
        let twice = async |n: i32| match n {
            13 => Err(Error::Fit("thirteen".into())),
            n => Ok(2 * n),
        };
        assert_eq!(block_on(each(&cpu(""), vec![3, 1, 2], twice)).unwrap(), [6, 2, 4]);
        assert!(block_on(each(&cpu(""), vec![3, 13, 2], twice)).is_err());
    }
}
