// The likelihood's gradient by the scene latents of each band (equation 13), summed over a chunk of
// rows in a fixed order: sum e^g W_k A (endmembers), sum B (noise), sum W_k^2 B (variability).
// Grid: chunks x particles x columns x quads, neighbours in bands.
@group(0) @binding(1) var<storage, read> draws: array<f32>;
@group(0) @binding(2) var<storage, read> score_mean: array<vec4f>;
@group(0) @binding(3) var<storage, read> score_variance: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= p.particles * p.chunks * columns() * p.quads) {
        return;
    }
    let quad = at % p.quads;
    let column = (at / p.quads) % columns();
    let particle = (at / (p.quads * columns())) % p.particles;
    let chunk = at / (p.quads * columns() * p.particles);
    let first = chunk * p.chunk_rows;
    let last = min(first + p.chunk_rows, p.batch);
    var sum = vec4f(0.0);
    for (var place = first; place < last; place++) {
        let row = particle * p.batch + place;
        let draw = row_at(particle, place, draw_stride());
        if (column < p.endmembers) {
            sum += draws[draw + ROW_GROUP * 2u * p.endmembers] * draws[draw + ROW_GROUP * column]
                * score_mean[row * p.quads + quad];
        } else if (column == p.endmembers) {
            sum += score_variance[row * p.quads + quad];
        } else {
            let w = draws[draw + ROW_GROUP * (column - p.endmembers - 1u)];
            sum += w * w * score_variance[row * p.quads + quad];
        }
    }
    partials[at] = sum;
}
