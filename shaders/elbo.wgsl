// The step's ELBO (equation 14, constants left to the host) and its verdict: a step whose ELBO or
// gradient is not finite changes nothing and is counted.
// Grid: one workgroup; each lane sums its stride, and the lanes meet by halves, always in the same
// order.
@group(0) @binding(1) var<storage, read> theta: array<f32>;
@group(0) @binding(2) var<storage, read> totals: array<f32>;
@group(0) @binding(3) var<storage, read> terms: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<f32>;
@group(0) @binding(5) var<storage, read_write> trace: array<f32>;
@group(0) @binding(6) var<storage, read_write> status: array<atomic<u32>>;
@group(0) @binding(7) var<storage, read> rank_inverse: array<f32>;

var<workgroup> sums: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    fit = group.z;
    var sum = 0.0;
    for (var particle = lane; particle < p.particles; particle += WORKGROUP) {
        sum += totals[(particle_of_all(particle) + 1u) * totals_stride() - 1u];
    }
    sum *= p.scale / f32(p.particles);
    // Four reads of each on their way at a time, and no branch between them.
    var bad = false;
    for (var first = lane; first < p.globals; first += 4u * WORKGROUP) {
        for (var i = 0u; i < 4u; i++) {
            let j = first + i * WORKGROUP;
            let read = min(j, p.globals - 1u);
            sum += select(0.0, terms[terms_at() + read], j < p.globals);
            let own = globals_at() + read;
            bad = bad | !finite(grads[own]) | !finite(grads[own + p.globals]);
        }
    }
    if (bad) {
        atomicOr(&status[STATUS * fit], 1u);
    }
    sums[lane] = sum + f32(p.pixels) / f32(p.particles) * dirichlet_constants(lane);
    workgroupBarrier();
    storageBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if (lane < half) {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    if (lane == 0u) {
        // Half the log determinant of M, or zero without a low-rank guide, and so among several
        // fits.
        let total = sums[0] + rank_inverse[p.rank * p.rank];
        trace[TRACE_LEN * fit + p.trace_slot] = total;
        if (!finite(total)) {
            atomicOr(&status[STATUS * fit], 1u);
        }
        if (atomicLoad(&status[STATUS * fit]) != 0u) {
            atomicAdd(&status[STATUS * fit + 1u], 1u);
        }
    }
}

// A lane's share of log B(a)^-1 of the pixels' Dirichlet, sum over particles. With a common mixture
// it is in the sums over rows.
fn dirichlet_constants(lane: u32) -> f32 {
    var sum = 0.0;
    if (has(COMMON)) {
        return sum;
    }
    let each = p.endmembers + 1u;
    for (var i = lane; i < p.particles * each; i += WORKGROUP) {
        let a = theta_at(i / each) + dirichlet_at();
        let k = i % each;
        if (k < p.endmembers) {
            sum -= ln_gamma(theta[a + k]);
            continue;
        }
        var total = 0.0;
        for (var l = 0u; l < p.endmembers; l++) {
            total += theta[a + l];
        }
        sum += ln_gamma(total);
    }
    return sum;
}
