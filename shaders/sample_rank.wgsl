// Draws what all latents have in common in the low-rank guide: eta of equation 26.
// Grid: particles x ceil(rank / 4).
@group(0) @binding(1) var<storage, read_write> eta: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    let blocks = (p.rank + 3u) / 4u;
    if (at >= p.particles * blocks) {
        return;
    }
    let particle = at / blocks;
    let block = at % blocks;
    let four = normals(STREAM_RANK, particle, block, 0u);
    for (var r = 4u * block; r < min(4u * block + 4u, p.rank); r++) {
        eta[particle * p.rank + r] = four[r % 4u];
    }
}
