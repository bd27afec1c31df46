//! How many bytes each pass must move and how much it must compute in a step, by count. Every
//! buffer counts once a pass, in 4-byte words with its padding, however often it is touched: what
//! lies in a cache costs nothing here. Additions, multiplications, divisions, square roots,
//! exponentials and logarithms of f32 count as one operation each, a fused multiply-add as two;
//! padded bands and integer work (random numbers, exponents) do not count, so the sampling passes
//! look idler than they are.

use crate::engine::layout::{FULL_RANK, Params, VARIABILITY};

/// Bytes and operations of a pass in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Bytes read and written.
    pub bytes: u64,
    /// Operations of f32.
    pub operations: u64,
}

/// Operations of a normal number out of a random word: two polynomials of nine terms, a logarithm,
/// a square root.
const NORMAL: u64 = 40;

impl Cost {
    /// The count of a pass; none for the passes of covariance noise and the low-rank guide, which
    /// the standard models do not run.
    pub fn of(pass: &str, p: &Params) -> Option<Cost> {
        let (b, s, k) = (u64::from(p.batch), u64::from(p.particles), u64::from(p.endmembers));
        let (stride, columns) = (p.stride() as u64, p.columns() as u64);
        let (latents, own) = (u64::from(p.latents), u64::from(p.local_stride));
        let (globals, chunks) = (u64::from(p.globals), u64::from(p.chunks));
        let (draw, sums) = (p.draw_stride() as u64, p.row_grad_stride() as u64);
        let (theta, totals) = (p.theta_stride() as u64, p.totals_stride() as u64);
        let rows = b * s;
        let off_diagonal = if p.has(FULL_RANK) { latents * (latents.max(1) - 1) / 2 } else { 0 };
        let (words, operations) = match pass {
            // Guide (loc, scale) read; normals and their meaning written.
            "sample_globals" => (2 * globals + s * (globals + theta), s * globals * (NORMAL + 8)),
            // A pixel's guide read; its place, normals and draw written.
            "sample_pixels" => (
                b * (own + 1) + rows * (latents + draw),
                rows * (latents * (NORMAL + 3) + 2 * off_diagonal + 5 * k + 2),
            ),
            // Spectrum and place once; draws in, sums over bands out; sums over pixels once a
            // chunk.
            "spectra" => {
                let each = if p.has(VARIABILITY) { 12 * k + 8 } else { 6 * k + 5 };
                (
                    b * (stride + 1)
                        + rows * (draw + sums)
                        + s * (theta + chunks * columns * stride),
                    rows * u64::from(p.bands) * each,
                )
            }
            // The two halves of that, each with the residuals.
            "spectra_rows" => {
                let each = if p.has(VARIABILITY) { 8 * k + 8 } else { 4 * k + 4 };
                (
                    b * (stride + 1) + rows * (draw + sums) + s * theta,
                    rows * u64::from(p.bands) * each,
                )
            }
            "spectra_bands" => {
                let each = if p.has(VARIABILITY) { 8 * k + 6 } else { 4 * k + 5 };
                (
                    b * (stride + 1) + rows * (k + 1) + s * (theta + chunks * columns * stride),
                    rows * u64::from(p.bands) * each,
                )
            }
            "gradient_pixels" => (
                b * (2 * own + 1) + rows * (2 * latents + draw + sums),
                rows * (6 * k + 10 * latents + 4 * off_diagonal) + b * own,
            ),
            "sum_pixels" => (rows * (draw + sums) + s * chunks * (k + 1), rows * (3 * k + 5)),
            "sum_chunks" => (
                s * (chunks * (columns * stride + k + 1) + totals),
                s * chunks * (columns * stride + k + 1),
            ),
            // Guide, normals, totals and theta read; gradient (loc, scale) and terms written.
            "gradient_globals" => {
                (5 * globals + s * (globals + theta + totals), globals * (3 + 20 * s))
            }
            "elbo" => (3 * globals + s * (k + 2), globals + s * (10 * k + 10)),
            // Gradient read; guide and two moments read and written.
            "update_pixels" => (b * (7 * own + 1), b * (11 * own + 2 * latents)),
            "update_globals" => (7 * 2 * globals, 13 * 2 * globals),
            _ => return None,
        };
        Some(Cost { bytes: 4 * words, operations })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::Model;

    fn spectra(batch: usize, bands: usize, particles: usize, varies: bool) -> Cost {
        let model = Model { variability: varies.then_some(0.02), ..Model::new(3) };
        let p = Params::new(&model, 1000, bands, batch, particles, 0).unwrap();
        Cost::of("spectra", &p).unwrap()
    }

    #[test]
    fn spectra_by_hand() {
        // 160 bands with padding, K = 3, 512 pixels in 32 chunks, one draw.
        let cost = spectra(512, 156, 1, false);
        assert_eq!(cost.operations, 512 * 156 * 23);
        let words = 512 * (160 + 1 + 9 + 7) + (7 * 160 + 16) + 32 * 4 * 160;
        assert_eq!(cost.bytes, 4 * words);
        assert_eq!(spectra(512, 156, 1, true).operations, 512 * 156 * 44);
        // A second draw computes twice as much and reads no spectrum again.
        let two = spectra(512, 156, 2, false);
        assert_eq!(two.operations, 2 * cost.operations);
        assert_eq!(2 * cost.bytes - two.bytes, 4 * 512 * (160 + 1));
    }

    #[test]
    fn other_models_passes_have_none() {
        let p = Params::new(&Model::new(2), 10, 4, 10, 1, 0).unwrap();
        assert_eq!(Cost::of("likelihood_covariance", &p), None);
        assert_eq!(Cost::of("nosuch", &p), None);
    }
}
