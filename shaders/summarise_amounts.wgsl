// Mean, sd and quantiles of a pixel's shares, mean brightness, and how many independent draws its
// weighted draws are worth.
// Grid: one workgroup a pixel. A lane has every 64th draw, all of one draw of the scene; sums meet
// in workgroup memory. The weights of each draw of the scene have the same sum, as the scene's
// posterior has seen the pixel.
@group(0) @binding(1) var<storage, read_write> draws: array<f32>;
@group(0) @binding(2) var<storage, read_write> answers: array<f32>;

// Halvings of the range of a pixel's draws that a quantile is found by.
const HALVINGS = 8u;
const QUANTILES = vec3f(0.05, 0.5, 0.95);

var<workgroup> lanes: array<vec4f, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let entry = group.y * GROUPS_X + group.x;
    if (entry >= p.count) {
        return;
    }
    let rows = p.rounds * ROUND;
    let own = entry * draw_columns() * rows;
    let weights = own + (ENDMEMBERS + 1u) * rows;
    weigh(weights, rows, lane);
    var brightness = vec4f(0.0);
    for (var row = lane; row < rows; row += WORKGROUP) {
        let weight = draws[weights + row];
        brightness += vec4f(weight * draws[own + ENDMEMBERS * rows + row], weight * weight, 0, 0);
    }
    brightness = sum_of(lane, brightness);
    let out = entry * answer_columns();
    for (var k = 0u; k < ENDMEMBERS; k++) {
        summarise(own + k * rows, weights, rows, lane, out + k);
    }
    if (lane == 0u) {
        answers[out + 5u * ENDMEMBERS] = brightness.x;
        answers[out + 5u * ENDMEMBERS + 1u] = 1.0 / brightness.y;
    }
}

// Makes weights of their logarithms; where no draw of a scene is possible all are alike.
fn weigh(weights: u32, rows: u32, lane: u32) {
    var top = NONE;
    for (var row = lane; row < rows; row += WORKGROUP) {
        top = max(top, draws[weights + row]);
    }
    lanes[lane] = vec4f(top, 0.0, 0.0, 0.0);
    workgroupBarrier();
    for (var other = lane % SCENES; other < WORKGROUP; other += SCENES) {
        top = max(top, lanes[other].x);
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var row = lane; row < rows; row += WORKGROUP) {
        let weight = exp(draws[weights + row] - top);
        draws[weights + row] = weight;
        sum += weight;
    }
    lanes[lane] = vec4f(sum, 0.0, 0.0, 0.0);
    workgroupBarrier();
    var all = 0.0;
    for (var other = lane % SCENES; other < WORKGROUP; other += SCENES) {
        all += lanes[other].x;
    }
    workgroupBarrier();
    let share = 1.0 / (f32(SCENES) * all);
    for (var row = lane; row < rows; row += WORKGROUP) {
        draws[weights + row] *= share;
    }
}

// Writes mean, sd and quantiles of the share whose column begins at `shares`.
fn summarise(shares: u32, weights: u32, rows: u32, lane: u32, out: u32) {
    var sums = vec4f(0.0);
    // Draws without weight are none: the least share and minus the most of the others.
    var ends = vec4f(1.0, 0.0, 0.0, 0.0);
    for (var row = lane; row < rows; row += WORKGROUP) {
        let share = draws[shares + row];
        let weight = draws[weights + row];
        sums += vec4f(weight * share, weight, 0.0, 0.0);
        if (weight > 1e-9) {
            ends = min(ends, vec4f(share, -share, 0.0, 0.0));
        }
    }
    sums = sum_of(lane, sums);
    ends = least_of(lane, ends);
    // The sum of the weights is 1, but for its rounding.
    let mean = sums.x / sums.y;
    // Squares, and the weight above the least share and under the most, which many draws may have.
    var square = vec4f(0.0);
    for (var row = lane; row < rows; row += WORKGROUP) {
        let share = draws[shares + row];
        let weight = draws[weights + row];
        let off = share - mean;
        square += weight * vec4f(off * off, f32(share > ends.x), f32(share < -ends.y), 0.0);
    }
    square = sum_of(lane, square);
    var low = vec3f(ends.x);
    var high = vec3f(-ends.y);
    // The weight of the draws up to either end.
    var to_low = vec3f(sums.y - square.y);
    var to_high = vec3f(square.z);
    for (var i = 0u; i < HALVINGS; i++) {
        let middle = 0.5 * (low + high);
        var below = vec3f(0.0);
        for (var row = lane; row < rows; row += WORKGROUP) {
            let counts = vec3f(draws[shares + row]) < middle;
            below += select(vec3f(0.0), vec3f(draws[weights + row]), counts);
        }
        below = sum_of(lane, vec4f(below, 0.0)).xyz;
        let up = below < QUANTILES;
        low = select(low, middle, up);
        to_low = select(to_low, below, up);
        high = select(middle, high, up);
        to_high = select(below, to_high, up);
    }
    if (lane == 0u) {
        let between = (QUANTILES - to_low) / (to_high - to_low);
        let found = select(low, low + between * (high - low), to_low < QUANTILES);
        let quantiles = select(found, high, to_high < QUANTILES);
        answers[out] = mean;
        answers[out + ENDMEMBERS] = sqrt(max(square.x, 0.0));
        answers[out + 2u * ENDMEMBERS] = quantiles.x;
        answers[out + 3u * ENDMEMBERS] = quantiles.y;
        answers[out + 4u * ENDMEMBERS] = quantiles.z;
    }
}

// The sum over lanes, for all of them.
fn sum_of(lane: u32, value: vec4f) -> vec4f {
    lanes[lane] = value;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if (lane < half) {
            lanes[lane] += lanes[lane + half];
        }
        workgroupBarrier();
    }
    let sum = lanes[0];
    workgroupBarrier();
    return sum;
}

// The least of the lanes, for all of them.
fn least_of(lane: u32, value: vec4f) -> vec4f {
    lanes[lane] = value;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if (lane < half) {
            lanes[lane] = min(lanes[lane], lanes[lane + half]);
        }
        workgroupBarrier();
    }
    let least = lanes[0];
    workgroupBarrier();
    return least;
}
