// The partial sums over chunks of rows, added in a fixed order: first those of the bands, then those
// of the pixels. Grid: particles x totals_stride.
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read> row_sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> totals: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= p.particles * totals_stride()) {
        return;
    }
    let particle = at / totals_stride();
    let i = at % totals_stride();
    let bands = columns() * stride();
    var sum = 0.0;
    for (var chunk = 0u; chunk < p.chunks; chunk++) {
        if (i < bands) {
            sum += partials[(chunk * p.particles + particle) * bands + i];
        } else {
            sum += row_sums[(particle * p.chunks + chunk) * (p.endmembers + 1u) + i - bands];
        }
    }
    totals[at] = sum;
}
