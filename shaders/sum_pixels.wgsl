// Sums over a chunk of rows, in a fixed order: the log abundances, which the mean abundance needs,
// once more as far as rows have a common mixture, the squares of log brightness, and the rows' part
// of the ELBO (equation 14). Grid: particles x chunks x scalars.
@group(0) @binding(1) var<storage, read> theta: array<f32>;
@group(0) @binding(2) var<storage, read> draws: array<f32>;
@group(0) @binding(3) var<storage, read> row_grads: array<f32>;
@group(0) @binding(4) var<storage, read_write> row_sums: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= p.particles * p.chunks * scalars()) {
        return;
    }
    let column = at % scalars();
    let chunk = (at / scalars()) % p.chunks;
    let particle = at / (scalars() * p.chunks);
    let first = chunk * p.chunk_rows;
    let last = min(first + p.chunk_rows, p.batch);
    var sum = 0.0;
    for (var place = first; place < last; place++) {
        if (column + 1u == scalars()) {
            sum += local_elbo(particle, place);
        } else {
            sum += scalar(row_at(particle, place, draw_stride()), column);
        }
    }
    row_sums[at] = sum;
}

// What a row adds to one of the sums.
fn scalar(draw: u32, column: u32) -> f32 {
    let k = p.endmembers;
    if (column < k) {
        return draws[draw + ROW_GROUP * (k + column)];
    }
    if (has(SPREAD) && column + 2u == scalars()) {
        let g = draws[draw + ROW_GROUP * (2u * k + 1u)];
        return g * g;
    }
    // As far as the row has the common mixture.
    let share = draws[draw + ROW_GROUP * (2u * k + 3u)];
    if (column == 2u * k) {
        return share;
    }
    return share * draws[draw + ROW_GROUP * column];
}

// Log density of spectrum and latents, and the entropy of the pixel's guide, without constants.
fn local_elbo(particle: u32, place: u32) -> f32 {
    let draw = row_at(particle, place, draw_stride());
    let a = particle * theta_stride() + dirichlet_at();
    let g = draws[draw + ROW_GROUP * (2u * p.endmembers + 1u)];
    let sums = row_at(particle, place, row_grad_stride());
    let entropy = draws[draw + ROW_GROUP * (2u * p.endmembers + 2u)];
    var sum = row_grads[sums + ROW_GROUP * 2u * p.endmembers]
        - 0.5 * theta[particle * theta_stride() + precision_at()] * g * g + entropy;
    for (var k = 0u; k < p.endmembers; k++) {
        sum += theta[a + k] * draws[draw + ROW_GROUP * (p.endmembers + k)];
    }
    if (has(COMMON)) {
        sum += draws[draw + ROW_GROUP * (2u * p.endmembers + 4u)];
    }
    return sum;
}
