//! The step's ELBO, constants left to the host, and its verdict: a step whose ELBO or gradient is
//! not finite changes nothing and is counted. Equations 14 and 28.

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::ground::math::{Real, ln_dirichlet};
use crate::engine::layout::limits::WORKGROUP;
use crate::engine::layout::{Buf, COMMON, Params};
use crate::engine::passes::buffers::Buffers;

/// One workgroup.
pub static PASS: Pass = Pass {
    name: "elbo",
    shader: shader!("elbo", "math", "finite"),
    bindings: &[
        (Buf::Theta, Access::Read),
        (Buf::Totals, Access::Read),
        (Buf::GlobalTerms, Access::Read),
        (Buf::GlobalGrads, Access::Read),
        (Buf::Trace, Access::Write),
        (Buf::Status, Access::Write),
        (Buf::RankInverse, Access::Read),
    ],
    grid: |_| Grid::OneGroup,
    trips: |p| {
        let group = u64::from(WORKGROUP);
        let fours = u64::from(p.globals).div_ceil(4 * group);
        let sums = u64::from(p.particles).div_ceil(group) + 5 * fours;
        let constants = u64::from(p.particles) * (u64::from(p.endmembers) + 1);
        // Each of a lane's constants has a loop of six in ln_gamma, or sums the parameters.
        let of_dirichlet = constants.div_ceil(group) * (7 + u64::from(p.endmembers));
        sums + u64::from(group.ilog2()) + of_dirichlet
    },
};

/// Sums the ELBO on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (k, particles) = (p.k(), p.particles as usize);
    let g = p.globals as usize;
    let rows: T = (1..=particles).map(|particle| b.totals[particle * p.totals_stride() - 1]).sum();
    let terms: T = b.global_terms[..g].iter().copied().sum();
    // With a common mixture they are in the sums over rows.
    let constants: T = (0..if p.has(COMMON) { 0 } else { particles })
        .map(|particle| {
            let a = &b.theta[particle * p.theta_stride() + p.dirichlet_at()..][..k];
            ln_dirichlet(a)
        })
        .sum();
    let share = T::one() / T::of(f64::from(p.particles));
    // Half the log determinant of M, or zero without a low-rank guide.
    let shared = b.rank_inverse[(p.rank * p.rank) as usize];
    let total = (rows * T::of(f64::from(p.scale)) + constants * T::of(f64::from(p.pixels))) * share
        + terms
        + shared;
    b.trace[p.trace_slot as usize] = total;
    let finite = total.is_finite() && b.global_grads[..2 * g].iter().all(|x| x.is_finite());
    b.status[0] |= u32::from(!finite);
    b.status[1] += u32::from(b.status[0] != 0);
}
