// The inverse and half the log determinant of M = I + sum V'V over all latents (equation 28), by
// Gauss and Jordan's elimination in place: M has no eigenvalue below 1, so every pivot is at least
// 1 and none is sought; their logarithms add up to the log determinant.
// Grid: one workgroup, a lane a column. Ranks above 64 have neither the lanes nor the memory.
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read> sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> inverse: array<f32>;

const MOST_RANK = 64u;
var<workgroup> m: array<f32, 4096>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
    let used = lane < p.rank;
    for (var i = lane; i < p.rank; i++) {
        let at = i * p.rank + lane;
        var sum = 0.0;
        for (var chunk = 0u; chunk < scene_chunks(); chunk++) {
            sum += partials[chunk * p.rank * p.rank + at];
        }
        sum += select(0.0, 1.0, i == lane) + sums[at];
        m[i * MOST_RANK + lane] = sum;
        m[lane * MOST_RANK + i] = sum;
    }
    workgroupBarrier();
    var log_det = 0.0;
    for (var k = 0u; k < p.rank; k++) {
        let pivot = m[k * MOST_RANK + k];
        log_det += log(pivot);
        if (used && lane != k) {
            let share = m[k * MOST_RANK + lane] / pivot;
            m[k * MOST_RANK + lane] = share;
            for (var row = 0u; row < p.rank; row++) {
                if (row != k) {
                    m[row * MOST_RANK + lane] -= m[row * MOST_RANK + k] * share;
                }
            }
        }
        workgroupBarrier();
        if (used) {
            let at = lane * MOST_RANK + k;
            m[at] = select(-m[at], 1.0, lane == k) / pivot;
        }
        workgroupBarrier();
    }
    if (used) {
        for (var row = 0u; row < p.rank; row++) {
            inverse[row * p.rank + lane] = m[row * MOST_RANK + lane];
        }
    }
    if (lane == 0u) {
        inverse[p.rank * p.rank] = 0.5 * log_det;
    }
}
