// Normal log density of four bands and its derivatives by mean and variance (equation 7), each
// times the likelihood's weight. The residual is formed, never expanded: y'y - 2 y'mu + mu'mu loses
// the digits that matter. Padding is no data.
struct Normal {
    by_mean: vec4f,
    by_variance: vec4f,
    density: f32,
}

fn normal_of_bands(y: vec4f, mu: vec4f, inverse: vec4f, log_variance: vec4f, quad: u32) -> Normal {
    let r = y - mu;
    let a = r * inverse;
    let b = 0.5 * (a * a - inverse);
    let density = -0.5 * (r * a + log_variance);
    let counts = 4u * quad + vec4u(0u, 1u, 2u, 3u) < vec4u(p.bands);
    let used = p.weight * select(vec4f(0.0), vec4f(1.0), counts);
    return Normal(used * a, used * b, dot(used, density));
}
