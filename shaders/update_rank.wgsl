// Keeps the sum over all pixels of products of loadings (equation 28), by what the step changed.
// Grid: rank x rank; above the diagonal they have nothing to do.
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= p.rank * p.rank || at % p.rank > at / p.rank) {
        return;
    }
    var change = 0.0;
    for (var chunk = scene_chunks(); chunk < scene_chunks() + p.chunks; chunk++) {
        change += partials[chunk * p.rank * p.rank + at];
    }
    sums[at] += change;
}
