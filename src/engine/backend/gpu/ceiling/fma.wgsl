// Fused multiply-adds: eight independent chains of four lanes, 64 operations a round.
@group(0) @binding(0) var<uniform> size: vec4u;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> target_: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * groups.x * 64u + id.x;
    // From memory, so that no compiler knows the result. Near a fixed point: no overflow.
    let a = source[0];
    let b = source[1];
    var x0 = source[2];
    var x1 = source[3];
    var x2 = source[4];
    var x3 = source[5];
    var x4 = source[6];
    var x5 = source[7];
    var x6 = source[8];
    var x7 = source[9];
    for (var round = 0u; round < size.y; round++) {
        x0 = fma(x0, a, b);
        x1 = fma(x1, a, b);
        x2 = fma(x2, a, b);
        x3 = fma(x3, a, b);
        x4 = fma(x4, a, b);
        x5 = fma(x5, a, b);
        x6 = fma(x6, a, b);
        x7 = fma(x7, a, b);
    }
    if (i < size.x) {
        target_[i] = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7;
    }
}
