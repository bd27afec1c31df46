// By how much the update changed the minibatch's sums of products of loadings (equation 28). Where
// the step changed nothing, the sums before and after are equal to the bit.
// Grid: chunks x rank x rank; above the diagonal they have nothing to do.
@group(0) @binding(1) var<storage, read> locals: array<f32>;
@group(0) @binding(2) var<storage, read> pixel_of: array<u32>;
@group(0) @binding(3) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= p.chunks * p.rank * p.rank) {
        return;
    }
    let m = at % p.rank;
    let l = (at / p.rank) % p.rank;
    if (m > l) {
        return;
    }
    let first = at / (p.rank * p.rank) * p.chunk_rows;
    var sum = 0.0;
    for (var place = first; place < min(first + p.chunk_rows, p.batch); place++) {
        let loadings = pixel_at(pixel_of[place], p.local_stride) + ROW_GROUP * loadings_at();
        for (var j = 0u; j < p.latents; j++) {
            let row = loadings + ROW_GROUP * j * p.rank;
            sum += locals[row + ROW_GROUP * l] * locals[row + ROW_GROUP * m];
        }
    }
    let out = scene_chunks() * p.rank * p.rank + at;
    partials[out] = sum - partials[out];
}
