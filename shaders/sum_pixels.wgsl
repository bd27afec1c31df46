// Sums over a chunk of rows, in a fixed order: the log abundances, which the mean abundance needs,
// and the rows' part of the ELBO (equation 14).
// Grid: particles x chunks x (K + 1).
@group(0) @binding(1) var<storage, read> theta: array<f32>;
@group(0) @binding(2) var<storage, read> draws: array<f32>;
@group(0) @binding(3) var<storage, read> row_grads: array<f32>;
@group(0) @binding(4) var<storage, read_write> row_sums: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= p.particles * p.chunks * (p.endmembers + 1u)) {
        return;
    }
    let column = at % (p.endmembers + 1u);
    let chunk = (at / (p.endmembers + 1u)) % p.chunks;
    let particle = at / ((p.endmembers + 1u) * p.chunks);
    let first = chunk * p.chunk_rows;
    let last = min(first + p.chunk_rows, p.batch);
    var sum = 0.0;
    for (var place = first; place < last; place++) {
        if (column < p.endmembers) {
            let draw = row_at(particle, place, draw_stride());
            sum += draws[draw + ROW_GROUP * (p.endmembers + column)];
        } else {
            sum += local_elbo(particle, place);
        }
    }
    row_sums[at] = sum;
}

// Log density of spectrum and latents, and the entropy of the pixel's guide, without constants.
fn local_elbo(particle: u32, place: u32) -> f32 {
    let draw = row_at(particle, place, draw_stride());
    let a = particle * theta_stride() + dirichlet_at();
    let g = draws[draw + ROW_GROUP * (2u * p.endmembers + 1u)];
    let sums = row_at(particle, place, row_grad_stride());
    let entropy = draws[draw + ROW_GROUP * (2u * p.endmembers + 2u)];
    var sum = row_grads[sums + ROW_GROUP * 2u * p.endmembers]
        - 0.5 * p.brightness_precision * g * g + entropy;
    for (var k = 0u; k < p.endmembers; k++) {
        sum += theta[a + k] * draws[draw + ROW_GROUP * (p.endmembers + k)];
    }
    return sum;
}
