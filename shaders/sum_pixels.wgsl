// Sums over a chunk of rows, in a fixed order: the log abundances, which the mean abundance needs,
// once more as far as rows have a common mixture, the squares of log brightness, and the rows' part
// of the ELBO (equation 14). Grid: one workgroup for four chunks of particles. Sixteen lanes share
// the rows of a chunk, and meet in workgroup memory with sixteen sums at a time.
@group(0) @binding(1) var<storage, read> theta: array<f32>;
@group(0) @binding(2) var<storage, read> draws: array<f32>;
@group(0) @binding(3) var<storage, read> row_grads: array<f32>;
@group(0) @binding(4) var<storage, read_write> row_sums: array<f32>;

// Lanes that share a chunk, and sums that meet at a time; one more spreads them over the banks.
const TOGETHER = 16u;
const PITCH = 17u;

var<workgroup> terms: array<f32, WORKGROUP * PITCH>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    fit = group.z;
    let all = p.particles * p.chunks;
    let own = (group.y * GROUPS_X + group.x) * (WORKGROUP / TOGETHER) + lane / TOGETHER;
    // A workgroup that is not full does the last chunk once more and writes nothing.
    let at = min(own, all - 1u);
    let particle = at / p.chunks;
    let chunk = at % p.chunks;
    let first = chunk * p.chunk_rows + lane % TOGETHER;
    let last = min((chunk + 1u) * p.chunk_rows, p.batch);
    for (var block = 0u; block < scalars(); block += TOGETHER) {
        let count = min(TOGETHER, scalars() - block);
        for (var i = 0u; i < count; i++) {
            let column = block + i;
            var sum = 0.0;
            for (var place = first; place < last; place += TOGETHER) {
                if (column + 1u == scalars()) {
                    sum += local_elbo(particle, place);
                } else {
                    sum += scalar(row_at(particle, place, draw_stride()), column);
                }
            }
            terms[lane * PITCH + i] = sum;
        }
        workgroupBarrier();
        let i = lane % TOGETHER;
        if (i < count && own < all) {
            var sum = 0.0;
            for (var other = 0u; other < TOGETHER; other++) {
                sum += terms[(lane - i + other) * PITCH + i];
            }
            row_sums[(fit * all + at) * scalars() + block + i] = sum;
        }
        workgroupBarrier();
    }
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
    let a = theta_at(particle) + dirichlet_at();
    let g = draws[draw + ROW_GROUP * (2u * p.endmembers + 1u)];
    let sums = row_at(particle, place, row_grad_stride());
    let entropy = draws[draw + ROW_GROUP * (2u * p.endmembers + 2u)];
    var sum = row_grads[sums + ROW_GROUP * 2u * p.endmembers]
        - 0.5 * theta[theta_at(particle) + precision_at()] * g * g + entropy;
    for (var k = 0u; k < p.endmembers; k++) {
        sum += theta[a + k] * draws[draw + ROW_GROUP * (p.endmembers + k)];
    }
    if (has(COMMON)) {
        sum += draws[draw + ROW_GROUP * (2u * p.endmembers + 4u)];
    }
    return sum;
}
