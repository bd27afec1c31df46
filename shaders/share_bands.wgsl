// What bands share in a pixel at the amounts that fit best: with precisions P of the bands and D u,
// the shapes times the amounts of their endmembers, the covariance 1/P + D u u D' has the inverse
// P - F F', where F = P D u R'^-1 and R R' = 1 + u D'P D u (equation 38 and Woodbury's identity).
// Grid: one workgroup a pixel. Lanes share the elements of R, then the bands.
@group(0) @binding(1) var<storage, read> scene: array<f32>;
// Precision of each band, then what `place_amounts` needs beside it, (N, 2, L).
@group(0) @binding(2) var<storage, read> bands: array<f32>;
// Amounts, then endmembers in their order, (N, 2, K).
@group(0) @binding(3) var<storage, read> placed: array<f32>;
// F, eight shapes of a band side by side, (N, blocks, L, 2).
@group(0) @binding(4) var<storage, read_write> factors: array<vec4f>;

// u, and the lower half of R row by row.
var<workgroup> amounts: array<f32, MOST_SHAPES>;
var<workgroup> root: array<f32, MOST_SHAPES * (MOST_SHAPES + 1u) / 2u>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let pixel = group.y * GROUPS_X + group.x;
    if (pixel >= p.count) {
        return;
    }
    for (var a = lane; a < p.shapes; a += WORKGROUP) {
        let endmember = bitcast<u32>(scene[shape_of_at() + a]);
        // Noise is there whatever the pixel holds.
        var amount = 1.0;
        if (endmember < ENDMEMBERS) {
            amount = placed[2u * ENDMEMBERS * pixel + endmember];
        }
        amounts[a] = amount;
    }
    workgroupBarrier();
    multiply(2u * p.bands * pixel, lane);
    factorise(lane);
    for (var l = lane; l < p.bands; l += WORKGROUP) {
        solve(pixel, l);
    }
}

fn row(a: u32) -> u32 {
    return a * (a + 1u) / 2u;
}

// 1 + u D'P D u. A short row of the lower half and a long one make a line, so that no lane idles.
fn multiply(own: u32, lane: u32) {
    let line = p.shapes + 1u;
    let lines = line / 2u;
    for (var at = lane; at < lines * line; at += WORKGROUP) {
        let short = at / line;
        let column = at % line;
        let long = p.shapes - 1u - short;
        let in_long = column <= long;
        let a = select(short, long, in_long);
        let b = select(column - long - 1u, column, in_long);
        if (in_long || short < long) {
            var sum = 0.0;
            for (var l = 0u; l < p.bands; l++) {
                let d = shapes_at() + l * p.shapes;
                sum += bands[own + l] * scene[d + a] * scene[d + b];
            }
            root[row(a) + b] = sum * amounts[a] * amounts[b] + select(0.0, 1.0, a == b);
        }
    }
    workgroupBarrier();
}

// R of the matrix that it multiplies to, in its place, column by column.
fn factorise(lane: u32) {
    for (var b = 0u; b < p.shapes; b++) {
        for (var a = b + lane; a < p.shapes; a += WORKGROUP) {
            var rest = root[row(a) + b];
            for (var c = 0u; c < b; c++) {
                rest -= root[row(a) + c] * root[row(b) + c];
            }
            root[row(a) + b] = rest;
        }
        workgroupBarrier();
        // No eigenvalue is below 1: rounding, and values that are no numbers.
        let pivot = sqrt(max(root[row(b) + b], 1.0));
        workgroupBarrier();
        for (var a = b + lane; a < p.shapes; a += WORKGROUP) {
            root[row(a) + b] = select(root[row(a) + b] / pivot, pivot, a == b);
        }
        workgroupBarrier();
    }
}

// A band's row of F: that of P D u is its product with R'.
fn solve(pixel: u32, band: u32) {
    var f: array<f32, MOST_SHAPES>;
    let weight = bands[2u * p.bands * pixel + band];
    let d = shapes_at() + band * p.shapes;
    for (var a = 0u; a < p.shapes; a++) {
        var rest = weight * scene[d + a] * amounts[a];
        for (var b = 0u; b < a; b++) {
            rest -= root[row(a) + b] * f[b];
        }
        f[a] = rest / root[row(a) + a];
    }
    for (var block = 0u; block < shape_blocks(); block++) {
        var low = vec4f(0.0);
        var high = vec4f(0.0);
        for (var c = 0u; c < 4u; c++) {
            let a = block * SHAPE_BLOCK + c;
            if (a < p.shapes) {
                low[c] = f[a];
            }
            if (a + 4u < p.shapes) {
                high[c] = f[a + 4u];
            }
        }
        let to = factor_at(pixel, block, band);
        factors[to] = low;
        factors[to + 1u] = high;
    }
}
