// Where the amounts of a pixel lie: those that fit best, none of them negative, with the variance
// at them (equations 7 and 30); and their order from the smallest to the largest. Where spectra
// vary along shapes that bands share, `share_bands` follows each round, and the next one goes on
// from it (equation 38).
// Grid: one workgroup a pixel. Lanes share the bands; sums over bands meet in workgroup memory, and
// one lane descends, for its problem has K numbers.
@group(0) @binding(1) var<storage, read> spectra: array<f32>;
@group(0) @binding(2) var<storage, read> scene: array<f32>;
// Precision of each band, then precision times what is left of the spectrum, (N, 2, L).
@group(0) @binding(3) var<storage, read_write> bands: array<f32>;
// Amounts, then endmembers in their order, (N, 2, K).
@group(0) @binding(4) var<storage, read_write> placed: array<f32>;
// What `share_bands` found, for rounds after the first, (N, blocks, L, 2).
@group(0) @binding(5) var<storage, read> factors: array<vec4f>;

// Sweeps over the amounts for one variance: see `posterior/nested/descend.rs`.
const SWEEPS = 12u;
const ENOUGH = 1e-4;
const LEAST = 1.1754944e-38;
// Sums over bands that meet at a time; a row of lanes and one more spreads them over the banks.
const TOGETHER = 32u;
const PITCH = 65u;

var<workgroup> around: array<f32, MOST_ENDMEMBERS>;
var<workgroup> slope: array<f32, MOST_ENDMEMBERS>;
var<workgroup> square: array<f32, MOST_ENDMEMBERS * MOST_ENDMEMBERS>;
var<workgroup> terms: array<f32, TOGETHER * PITCH>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let pixel = group.y * GROUPS_X + group.x;
    if (pixel >= p.count) {
        return;
    }
    for (var k = lane; k < ENDMEMBERS; k += WORKGROUP) {
        around[k] = scene[mean_at() + k];
        if (p.begun > 0u) {
            around[k] = placed[2u * ENDMEMBERS * pixel + k];
        }
    }
    workgroupBarrier();
    if (p.begun == 0u) {
        weigh(pixel, lane);
    }
    for (var round = 0u; round < p.rounds; round++) {
        forms(pixel, lane);
        // The first amounts are found as if bands shared nothing: no shape varies without them.
        if (SHAPED && p.begun > 0u) {
            share(pixel, lane);
        }
        if (lane == 0u) {
            descend();
        }
        workgroupBarrier();
        if (VARIES) {
            weigh(pixel, lane);
        }
    }
    if (lane == 0u) {
        sort(2u * ENDMEMBERS * pixel);
    }
}

// Precision of the lane's bands at the abundances that the amounts stand for.
fn weigh(pixel: u32, lane: u32) {
    var total = LEAST;
    for (var k = 0u; k < ENDMEMBERS; k++) {
        total += around[k];
    }
    for (var l = lane; l < p.bands; l += WORKGROUP) {
        var variance = scene[l];
        if (VARIES) {
            for (var k = 0u; k < ENDMEMBERS; k++) {
                let w = around[k] / total;
                variance += w * w * scene[variability_at() + l * ENDMEMBERS + k];
            }
        }
        bands[2u * p.bands * pixel + l] = p.weight / variance;
    }
}

// The log likelihood around the amounts: its slope, and minus its curvature.
fn forms(pixel: u32, lane: u32) {
    let own = 2u * p.bands * pixel;
    for (var l = lane; l < p.bands; l += WORKGROUP) {
        var rest = spectra[pixel * p.stride + l];
        for (var k = 0u; k < ENDMEMBERS; k++) {
            rest -= scene[centre_at() + l * ENDMEMBERS + k] * around[k];
        }
        bands[own + p.bands + l] = rest * bands[own + l];
    }
    // A block of the square's lower half at a time: some of a row's columns, and at column K the
    // slope.
    for (var i = 0u; i < ENDMEMBERS; i++) {
        for (var first = 0u; first < i + 2u; first += TOGETHER) {
            let count = min(TOGETHER, i + 2u - first);
            for (var c = 0u; c < count; c++) {
                terms[c * PITCH + lane] = sum_of_lane(own, lane, i, first + c);
            }
            workgroupBarrier();
            if (lane < count) {
                var sum = 0.0;
                for (var other = 0u; other < WORKGROUP; other++) {
                    sum += terms[lane * PITCH + other];
                }
                let j = first + lane;
                if (j > i) {
                    slope[i] = sum;
                } else {
                    square[i * ENDMEMBERS + j] = sum;
                    square[j * ENDMEMBERS + i] = sum;
                }
            }
            workgroupBarrier();
        }
    }
}

// A lane's bands of row i and column j of the square; of the slope where j is beyond i.
fn sum_of_lane(own: u32, lane: u32, i: u32, j: u32) -> f32 {
    var sum = 0.0;
    for (var l = lane; l < p.bands; l += WORKGROUP) {
        let c = centre_at() + l * ENDMEMBERS;
        if (j > i) {
            sum += scene[c + i] * bands[own + p.bands + l];
        } else {
            sum += scene[c + i] * bands[own + l] * scene[c + j];
        }
    }
    return sum;
}

// Takes out of slope and square what the shapes may explain: with the inverse covariance P - F F'
// that is what F' makes of the spectra, and of the rest, times itself.
fn share(pixel: u32, lane: u32) {
    let own = 2u * p.bands * pixel;
    let columns = shape_blocks() * SHAPE_BLOCK;
    for (var at = lane; at < (ENDMEMBERS + 1u) * shape_blocks(); at += WORKGROUP) {
        let i = at / shape_blocks();
        let block = at % shape_blocks();
        var low = vec4f(0.0);
        var high = vec4f(0.0);
        for (var l = 0u; l < p.bands; l++) {
            var value = 0.0;
            if (i < ENDMEMBERS) {
                value = scene[centre_at() + l * ENDMEMBERS + i];
            } else {
                value = bands[own + p.bands + l] / bands[own + l];
            }
            let factor = factor_at(pixel, block, l);
            low += factors[factor] * value;
            high += factors[factor + 1u] * value;
        }
        let to = i * columns + block * SHAPE_BLOCK;
        for (var c = 0u; c < 4u; c++) {
            terms[to + c] = low[c];
            terms[to + 4u + c] = high[c];
        }
    }
    workgroupBarrier();
    for (var at = lane; at < ENDMEMBERS * (ENDMEMBERS + 1u); at += WORKGROUP) {
        let i = at / (ENDMEMBERS + 1u);
        let j = at % (ENDMEMBERS + 1u);
        var sum = 0.0;
        for (var c = 0u; c < columns; c++) {
            sum += terms[i * columns + c] * terms[j * columns + c];
        }
        if (j < ENDMEMBERS) {
            square[i * ENDMEMBERS + j] -= sum;
        } else {
            slope[i] -= sum;
        }
    }
    workgroupBarrier();
}

// Takes the amounts to the highest likelihood: one after the other in turn, unless they have sum 1,
// and then each two in turn, of which one takes what the other gives.
fn descend() {
    var gain = 1.0;
    for (var sweep = 0u; sweep < SWEEPS && gain > 2.0 * ENOUGH; sweep++) {
        gain = 0.0;
        if (BRIGHT) {
            for (var i = 0u; i < ENDMEMBERS; i++) {
                let u = around[i];
                let bend = max(square[i * ENDMEMBERS + i], LEAST);
                let to = max(u + slope[i] / bend, 0.0);
                around[i] = to;
                gain += (to - u) * (to - u) * bend;
                for (var m = 0u; m < ENDMEMBERS; m++) {
                    slope[m] -= square[m * ENDMEMBERS + i] * (to - u);
                }
            }
        }
        for (var i = 1u; i < ENDMEMBERS; i++) {
            for (var j = 0u; j < i; j++) {
                gain += exchange(i, j);
            }
        }
    }
    var total = 0.0;
    for (var k = 0u; k < ENDMEMBERS; k++) {
        total += around[k];
    }
    // A pixel without light, or that is no number, has no amounts to tell apart.
    let sound = total > 0.0 && finite(total);
    for (var k = 0u; k < ENDMEMBERS; k++) {
        var u = around[k];
        if (!BRIGHT) {
            u /= total;
        }
        around[k] = select(select(1.0 / f32(ENDMEMBERS), 1e-6, BRIGHT), u, sound);
    }
}

// Moves what fits best from amount j to amount i, or back; none of them becomes negative. Gives
// twice what that gains, nats.
fn exchange(i: u32, j: u32) -> f32 {
    let u = around[i];
    let v = around[j];
    let bend = max(square[i * ENDMEMBERS + i] + square[j * ENDMEMBERS + j]
        - 2.0 * square[i * ENDMEMBERS + j], LEAST);
    let step = min(max((slope[i] - slope[j]) / bend, -u), v);
    around[i] = u + step;
    around[j] = v - step;
    for (var m = 0u; m < ENDMEMBERS; m++) {
        slope[m] -= (square[m * ENDMEMBERS + i] - square[m * ENDMEMBERS + j]) * step;
    }
    return step * step * bend;
}

// Writes the amounts, and the endmembers from the smallest amount to the largest; of two that are
// alike the first one is the smaller.
fn sort(out: u32) {
    for (var k = 0u; k < ENDMEMBERS; k++) {
        let u = around[k];
        placed[out + k] = u;
        var below = 0u;
        for (var j = 0u; j < ENDMEMBERS; j++) {
            below += select(0u, 1u, around[j] < u || (around[j] == u && j < k));
        }
        placed[out + ENDMEMBERS + below] = f32(k);
    }
}
