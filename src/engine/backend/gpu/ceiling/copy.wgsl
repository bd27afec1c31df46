// Copies: 16 bytes read and 16 written by each invocation, neighbours beside each other.
@group(0) @binding(0) var<uniform> size: vec4u;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> target_: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * groups.x * 64u + id.x;
    if (i < size.x) {
        target_[i] = source[i];
    }
}
