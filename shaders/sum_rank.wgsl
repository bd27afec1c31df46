// Partial sums of the products of loadings (equation 28), in a fixed order: over scene latents,
// then over the minibatch's pixels as they stand before the update.
// Grid: (scene_chunks + chunks) x rank x rank; above the diagonal they have nothing to do.
@group(0) @binding(1) var<storage, read> globals: array<f32>;
@group(0) @binding(2) var<storage, read> locals: array<f32>;
@group(0) @binding(3) var<storage, read> pixel_of: array<u32>;
@group(0) @binding(4) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= (scene_chunks() + p.chunks) * p.rank * p.rank) {
        return;
    }
    let m = at % p.rank;
    let l = (at / p.rank) % p.rank;
    let chunk = at / (p.rank * p.rank);
    if (m > l) {
        return;
    }
    var sum = 0.0;
    if (chunk < scene_chunks()) {
        let first = chunk * scene_chunk();
        for (var j = first; j < min(first + scene_chunk(), p.globals); j++) {
            let row = 2u * p.globals + j * p.rank;
            sum += globals[row + l] * globals[row + m];
        }
    } else {
        let first = (chunk - scene_chunks()) * p.chunk_rows;
        for (var place = first; place < min(first + p.chunk_rows, p.batch); place++) {
            let loadings = pixel_at(pixel_of[place], p.local_stride) + ROW_GROUP * loadings_at();
            for (var j = 0u; j < p.latents; j++) {
                let row = loadings + ROW_GROUP * j * p.rank;
                sum += locals[row + ROW_GROUP * l] * locals[row + ROW_GROUP * m];
            }
        }
    }
    partials[at] = sum;
}
