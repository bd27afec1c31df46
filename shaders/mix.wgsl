// Mixes: mu = exp(g) sum_k W_k c_k (equation 6).
// Grid: rows x quads, neighbours in bands, so that reads and writes are whole cache lines.
@group(0) @binding(1) var<storage, read> theta: array<vec4f>;
@group(0) @binding(2) var<storage, read> draws: array<f32>;
@group(0) @binding(3) var<storage, read_write> mu: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= rows() * p.quads) {
        return;
    }
    let row = at / p.quads;
    let quad = at % p.quads;
    let endmembers = (row / p.batch) * (theta_stride() / 4u);
    let draw = row_at(row / p.batch, row % p.batch, draw_stride());
    var sum = vec4f(0.0);
    for (var k = 0u; k < p.endmembers; k++) {
        sum += draws[draw + ROW_GROUP * k] * theta[endmembers + k * p.quads + quad];
    }
    mu[at] = draws[draw + ROW_GROUP * 2u * p.endmembers] * sum;
}
