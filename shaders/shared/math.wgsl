// Twins of `src/engine/ground/math.rs`.

fn softplus(x: f32) -> f32 {
    let e = exp(-abs(x));
    // log(1 + e) loses all digits of a small e.
    return max(x, 0.0) + select(log(1.0 + e), e * (1.0 - e * (0.5 - e / 3.0)), e < 0.01);
}

fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

fn digamma(x: f32) -> f32 {
    var shifted = x;
    var below = 0.0;
    for (var i = 0; i < 6; i++) {
        below += 1.0 / shifted;
        shifted += 1.0;
    }
    let r = 1.0 / (shifted * shifted);
    let series = r * (1.0 / 12.0 - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r / 240.0)));
    return log(shifted) - 0.5 / shifted - series - below;
}

fn ln_gamma(x: f32) -> f32 {
    var shifted = x;
    var product = 1.0;
    for (var i = 0; i < 6; i++) {
        product *= shifted;
        shifted += 1.0;
    }
    let r = 1.0 / (shifted * shifted);
    let series = (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r / 1680.0))) / shifted;
    return (shifted - 0.5) * log(shifted) - shifted + 0.91893853 + series - log(product);
}
