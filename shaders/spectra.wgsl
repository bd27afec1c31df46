// Everything that a pixel's spectrum is read for: mixing, likelihood, its sums over bands for each
// row, and its sums over the chunk's rows for each band (equations 6, 7, 9, 13).
// Grid: one workgroup a chunk of the minibatch and particle. A lane holds four bands of endmembers,
// variances and sums in registers and goes down the chunk's rows; the sums over bands of a few rows
// at a time meet in workgroup memory, where one lane adds up each. The particles of a chunk are
// neighbours in the grid, so that the spectra are in a cache when the second one reads them. A
// spectrum is asked for one row ahead of its use. The number of endmembers and whether they vary
// is known when the pipeline is made, so that loops over them unroll, arrays of them are registers,
// and what is not needed is left out.
@group(0) @binding(1) var<storage, read> cube: array<vec4u>;
@group(0) @binding(2) var<storage, read> theta: array<vec4f>;
@group(0) @binding(3) var<storage, read> pixel_of: array<u32>;
@group(0) @binding(4) var<storage, read> draws: array<f32>;
@group(0) @binding(5) var<storage, read_write> row_grads: array<f32>;
@group(0) @binding(6) var<storage, read_write> partials: array<vec4f>;

override ENDMEMBERS: u32 = 3u;
override VARIES: bool = true;
const MOST_ENDMEMBERS = 31u;
// A row of lanes and one more: lanes that each add up a row then read different banks.
const PITCH = 65u;
// 16 KiB, which every device has, hold so many sums.
const MOST_SUMS = 63u;

var<workgroup> terms: array<f32, PITCH * MOST_SUMS>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    fit = group.z;
    let at = group.y * GROUPS_X + group.x;
    if (at >= p.chunks * p.particles) {
        return;
    }
    let chunk = at / p.particles;
    let particle = at % p.particles;
    let first = chunk * p.chunk_rows;
    let last = min(first + p.chunk_rows, p.batch);
    let sums = 2u * ENDMEMBERS + 1u;
    // Without variability its sums are zero, as they were when the buffer was made.
    let live = select(ENDMEMBERS + 1u, sums, VARIES);
    let together = MOST_SUMS / live;
    for (var slot = 0u; slot < p.quads; slot += WORKGROUP) {
        let quad = slot + lane;
        let own = quad < p.quads;
        let read = min(quad, p.quads - 1u);
        let row = theta_at(particle) / 4u + read;
        var endmember: array<vec4f, MOST_ENDMEMBERS>;
        var varies: array<vec4f, MOST_ENDMEMBERS>;
        var sum_mean: array<vec4f, MOST_ENDMEMBERS>;
        var sum_varies: array<vec4f, MOST_ENDMEMBERS>;
        var sum_variance = vec4f(0.0);
        let noise = theta[row + ENDMEMBERS * p.quads];
        var inverse = theta[row + (ENDMEMBERS + 1u) * p.quads];
        var log_variance = log(noise);
        for (var k = 0u; k < ENDMEMBERS; k++) {
            endmember[k] = theta[row + k * p.quads];
            sum_mean[k] = vec4f(0.0);
            varies[k] = vec4f(0.0);
            sum_varies[k] = vec4f(0.0);
            if (VARIES) {
                varies[k] = theta[row + (ENDMEMBERS + 1u + k) * p.quads];
            }
        }
        var y = observed(pixel_of[first] * p.quads + read);
        for (var start = first; start < last; start += together) {
            let end = min(start + together, last);
            for (var place = start; place < end; place++) {
                let next = observed(pixel_of[min(place + 1u, last - 1u)] * p.quads + read);
                let draw = row_at(particle, place, draw_stride());
                let brightness = draws[draw + ROW_GROUP * 2u * ENDMEMBERS];
                var mixed = vec4f(0.0);
                var variance = noise;
                for (var k = 0u; k < ENDMEMBERS; k++) {
                    let w = draws[draw + ROW_GROUP * k];
                    mixed += w * endmember[k];
                    if (VARIES) {
                        variance += w * w * varies[k];
                    }
                }
                if (VARIES) {
                    inverse = 1.0 / variance;
                    log_variance = log(variance);
                }
                let mean = brightness * mixed;
                let normal = normal_of_bands(y, mean, inverse, log_variance, quad);
                let term = (place - start) * live * PITCH + lane;
                sum_variance += normal.by_variance;
                terms[term + ENDMEMBERS * PITCH] = normal.density;
                for (var k = 0u; k < ENDMEMBERS; k++) {
                    let w = draws[draw + ROW_GROUP * k];
                    sum_mean[k] += brightness * w * normal.by_mean;
                    terms[term + k * PITCH] = dot(normal.by_mean, endmember[k]);
                    if (VARIES) {
                        sum_varies[k] += w * w * normal.by_variance;
                        terms[term + (ENDMEMBERS + 1u + k) * PITCH] =
                            dot(normal.by_variance, varies[k]);
                    }
                }
                y = next;
            }
            workgroupBarrier();
            if (lane < (end - start) * live) {
                let place = start + lane / live;
                let out = row_at(particle, place, sums) + ROW_GROUP * column(lane % live);
                var sum = 0.0;
                // Bands come in groups of four quads.
                for (var i = 0u; i < min(WORKGROUP, p.quads - slot); i += 4u) {
                    let four = lane * PITCH + i;
                    sum += terms[four] + terms[four + 1u] + terms[four + 2u] + terms[four + 3u];
                }
                if (slot > 0u) {
                    sum += row_grads[out];
                }
                row_grads[out] = sum;
            }
            workgroupBarrier();
        }
        if (own) {
            let out = partials_at(chunk, particle) + quad;
            partials[out + ENDMEMBERS * p.quads] = sum_variance;
            for (var k = 0u; k < ENDMEMBERS; k++) {
                partials[out + k * p.quads] = sum_mean[k];
                if (VARIES) {
                    partials[out + (ENDMEMBERS + 1u + k) * p.quads] = sum_varies[k];
                }
            }
        }
    }
}

// Where a sum stands in the row: by mean (K), by variance (K), density; here the density comes
// before what only variability has.
fn column(sum: u32) -> u32 {
    if (sum < ENDMEMBERS) {
        return sum;
    }
    return select(sum - 1u, 2u * ENDMEMBERS, sum == ENDMEMBERS);
}
