// The partial sums over chunks of rows, added in a fixed order: first those of the bands, four at a
// time, then those of the pixels. Grid: particles x (columns x quads + scalars).
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read> row_sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> totals: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    let quads = columns() * p.quads;
    let others = scalars();
    if (at >= p.particles * (quads + others)) {
        return;
    }
    let particle = at / (quads + others);
    let i = at % (quads + others);
    let out = particle * totals_stride();
    if (i < quads) {
        var sum = vec4f(0.0);
        for (var chunk = 0u; chunk < p.chunks; chunk++) {
            sum += partials[(chunk * p.particles + particle) * quads + i];
        }
        // A particle's totals need not begin with a whole vector.
        totals[out + 4u * i] = sum.x;
        totals[out + 4u * i + 1u] = sum.y;
        totals[out + 4u * i + 2u] = sum.z;
        totals[out + 4u * i + 3u] = sum.w;
    } else {
        let j = i - quads;
        var sum = 0.0;
        for (var chunk = 0u; chunk < p.chunks; chunk++) {
            sum += row_sums[(particle * p.chunks + chunk) * others + j];
        }
        totals[out + 4u * quads + j] = sum;
    }
}
