"""Writes elbo.json beside it: the ELBO of docs/model.md at fixed latents, by other programs.

    python tests/golden/elbo.py [--jax FILE --numpyro FILE]        (pip install numpyro)

1. `model`: equations (1) to (7) with everything switched off, written in NumPyro here. NumPyro
   gives every density with its constants and the factor N / B of the minibatch; Jacobians come
   from automatic differentiation, entropies from NumPyro's normals.
2. `jax`: the function `neg_elbo` inside the function `fit` of an implementation in JAX alone.
3. `numpyro`: the function `model` of a NumPyro program with other priors.

The last two were written apart from this project. Their functions are taken out of the files as
they are and given the same latents and draws. Without the flags the recorded values of 2 and 3
stay.
tests/golden.rs puts the latents and draws through the passes.
"""

import argparse
import ast
import json
import pathlib
import types

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import gammaln
from numpyro.handlers import seed
from numpyro.infer.util import log_density

jax.config.update("jax_enable_x64", True)
HERE = pathlib.Path(__file__).parent
# As in `Model::new`; alpha is not its default, so that a factor K or a missing one shows.
ENDMEMBER_SD, NOISE_SCALE, NOISE_FLOOR, ALPHA = 0.3, 0.05, 1e-4, 1.7
# The implementation in JAX adds this to every variance.
JAX_FLOOR = 2e-3
LOG_2PI = float(np.log(2 * np.pi))


def case(name, pixels, bands, k, batch, number):
    """A scene, a guide and draws. Rounded to f32, which both sides read exactly."""
    rng = np.random.default_rng(number)
    spectra = 0.1 + 0.6 * rng.random((k, bands))
    shares = rng.dirichlet(np.full(k, 0.6), pixels)
    cube = shares @ spectra + 0.02 * rng.standard_normal((pixels, bands))
    logits = np.log(np.clip(shares, 0.02, None))
    logits = (logits[:, :-1] - logits[:, -1:]) + 0.3 * rng.standard_normal((pixels, k - 1))
    normal = rng.standard_normal
    arrays = dict(
        cube=cube,
        start=np.clip(spectra + 0.05 * normal((k, bands)), 1e-3, None),
        endmember_loc=np.log(np.expm1(spectra)) + 0.1 * normal((k, bands)),
        endmember_log_scale=-3 + 0.3 * normal((k, bands)),
        noise_loc=np.log(0.03) + 0.2 * normal(bands),
        noise_log_scale=-2 + 0.3 * normal(bands),
        mean_loc=0.5 * normal(k - 1),
        mean_log_scale=-1.5 + 0.3 * normal(k - 1),
        pixel_loc=logits,
        pixel_log_scale=-1 + 0.3 * normal((pixels, k - 1)),
        endmember_draw=normal((k, bands)),
        noise_draw=normal(bands),
        mean_draw=normal(k - 1),
        pixel_draw=normal((batch, k - 1)),
    )
    arrays = {key: np.asarray(value, np.float32) for key, value in arrays.items()}
    minibatch = np.sort(rng.choice(pixels, batch, replace=False))
    return dict(name=name, concentration=ALPHA, minibatch=minibatch, **arrays)


def latents(c):
    """The unconstrained latents of the draw."""
    f = {key: np.asarray(v, np.float64) for key, v in c.items() if isinstance(v, np.ndarray)}
    at = lambda what, rows=...: (
        f[what + "_loc"][rows] + np.exp(f[what + "_log_scale"][rows]) * f[what + "_draw"]
    )
    return (
        jnp.asarray(at("endmember")),
        jnp.asarray(at("noise")),
        jnp.asarray(at("mean")),
        jnp.asarray(at("pixel", c["minibatch"])),
    )


def simplex(z):
    return jax.nn.softmax(jnp.concatenate([z, jnp.zeros(1)]))


def log_jacobian(transform, x):
    """log |det| of x -> transform(x); the last share of a simplex is no coordinate of its own."""
    return jnp.linalg.slogdet(jax.jacfwd(lambda x: transform(x)[: len(x)])(x))[1]


def entropy(c, what, rows=...):
    scale = jnp.exp(jnp.asarray(c[what + "_log_scale"][rows], jnp.float64))
    return float(dist.Normal(0.0, scale).entropy().sum())


def elbo(c, model, names):
    """log joint of a NumPyro model at the draw + log Jacobians + entropies. `names` are the model's
    names of endmembers, noise sds, mean abundance, abundances and plate."""
    u, log_s, logits, z = latents(c)
    factor = len(c["cube"]) / len(c["minibatch"])
    values = dict(
        zip(
            names,
            (
                jax.nn.softplus(u),
                jnp.exp(log_s),
                simplex(logits),
                jax.vmap(simplex)(z),
                jnp.asarray(c["minibatch"]),
            ),
        )
    )
    joint, _ = log_density(
        seed(model, jax.random.PRNGKey(0)), (jnp.asarray(c["cube"], jnp.float64),), {}, values
    )
    jacobian = (
        log_jacobian(jax.nn.softplus, u.ravel())
        + log_jacobian(jnp.exp, log_s)
        + log_jacobian(simplex, logits)
    )
    local = jax.vmap(lambda row: log_jacobian(simplex, row))(z).sum() + entropy(
        c, "pixel", c["minibatch"]
    )
    return float(joint + jacobian + factor * local) + sum(
        entropy(c, what) for what in ("endmember", "noise", "mean")
    )


def by_model(c):
    start, k = jnp.asarray(c["start"], jnp.float64), len(c["start"])

    def model(cube):
        pi = numpyro.sample("pi", dist.Dirichlet(jnp.ones(k)))
        endmembers = numpyro.sample(
            "c", dist.TruncatedNormal(start, ENDMEMBER_SD, low=0.0).to_event(2)
        )
        s = numpyro.sample("s", dist.HalfNormal(NOISE_SCALE).expand([cube.shape[1]]).to_event(1))
        with numpyro.plate("pixels", len(cube), subsample_size=len(c["minibatch"])):
            y = numpyro.subsample(cube, event_dim=1)
            w = numpyro.sample("w", dist.Dirichlet(ALPHA * pi))
            numpyro.sample(
                "y", dist.Normal(w @ endmembers, jnp.sqrt(s**2 + NOISE_FLOOR**2)).to_event(1), obs=y
            )

    return elbo(c, model, ("c", "s", "pi", "w", "pixels"))


def function(path, *names):
    """The source of a function in a file, or of one inside of it, as code to run."""
    body = ast.parse(pathlib.Path(path).read_text()).body
    for name in names:
        found = next(
            node for node in body if isinstance(node, ast.FunctionDef) and node.name == name
        )
        body = found.body
    return compile(ast.Module([found], []), str(path), "exec")


def by_jax(c, path):
    u, log_s, logits, z = latents(c)
    (k, bands), pixels = c["start"].shape, len(c["cube"])
    draws = iter(
        (jnp.asarray(c["pixel_draw"], jnp.float64), jnp.asarray(c["endmember_draw"], jnp.float64))
    )
    given = types.SimpleNamespace(
        nn=jax.nn,
        random=types.SimpleNamespace(split=lambda _: (0, 0), normal=lambda *_: next(draws)),
    )
    log_v = -60.0  # no variability
    space = dict(
        jax=given,
        jnp=jnp,
        gammaln=gammaln,
        K=k,
        L=bands,
        N=pixels,
        share=1.0,
        tau=1.0,
        alpha=ALPHA / k,
    )
    space["simplex"] = lambda z: jax.nn.log_softmax(
        jnp.concatenate([z, jnp.zeros(z.shape[:-1] + (1,))], -1)
    )
    exec(function(path, "fit", "neg_elbo"), space)
    f = lambda key: jnp.asarray(c[key], jnp.float64)
    guide = dict(
        z_loc=f("pixel_loc"),
        z_ls=f("pixel_log_scale"),
        u_loc=f("endmember_loc"),
        u_ls=f("endmember_log_scale"),
        s=log_s,
        v=jnp.full((k, bands), log_v),
        pi=logits,
        g=jnp.zeros((pixels, 1)),
    )
    batch = c["minibatch"]
    raw = -float(space["neg_elbo"](guide, f("cube")[batch], batch, f("start"), None)) * pixels
    # What it leaves out, as it has no gradient, and what belongs to latents that are points there.
    start = f("start")
    constants = dict(
        endmember_prior=float(
            (dist.TruncatedNormal(start, ENDMEMBER_SD, low=0.0).log_prob(start)).sum()
        ),
        noise_prior=float(bands * (jnp.log(2.0) + dist.Normal(0.0, NOISE_SCALE).log_prob(0.0))),
        mean_prior=float(gammaln(k)),
        variability_prior=-k * bands * log_v,
        entropy_of_points=entropy(c, "noise") + entropy(c, "mean"),
        standard_entropies=0.5 * (1 + LOG_2PI) * (k * bands + pixels * (k - 1)),
    )
    return dict(elbo=raw + sum(constants.values()), as_given=raw, constants=constants)


def by_numpyro(c, path):
    k, pixels = len(c["start"]), len(c["cube"])
    space = dict(numpyro=numpyro, dist=dist, jnp=jnp, N=pixels, L=c["cube"].shape[1], K=k)
    space["a"] = types.SimpleNamespace(batch=len(c["minibatch"]), alpha=ALPHA / k)
    exec(function(path, "model"), space)
    return dict(elbo=elbo(c, space["model"], ("C", "s", "w_global", "W", "pixels")))


NOTES = dict(
    model="Equations (1) to (7) in NumPyro; entropies are exact, as in (14).",
    jax=f"neg_elbo times -N, with its noise floor of {JAX_FLOOR} in place of {NOISE_FLOOR}. "
    "Noise, mean abundance and brightness are points there: they get the latents of the draw. "
    "Variability cannot be switched off: it gets a log sd of -60. `elbo` is `as_given` plus "
    "`constants`: normalisers that it leaves out, and entropies of points.",
    numpyro="HalfNormal(1) endmembers, LogNormal(-3, 1) noise, no floor: in place of (3) and (4). "
    "Its model function at the same latents; guide and entropies are this project's, because "
    "AutoNormal has other coordinates on the simplex (stick-breaking).",
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--jax", metavar="FILE")
    parser.add_argument("--numpyro", metavar="FILE")
    args = parser.parse_args()
    file = HERE / "elbo.json"
    old = json.loads(file.read_text())["cases"] if file.exists() else []
    cases = [
        case("minibatch", 12, 6, 3, 5, 1),
        case("all pixels", 9, 5, 4, 9, 2),
        case("two endmembers, one band", 7, 1, 2, 3, 3),
    ]
    for i, c in enumerate(cases):
        kept = old[i]["values"] if i < len(old) else {}
        c["values"] = dict(model=dict(elbo=by_model(c)))
        for name, path, by in (("jax", args.jax, by_jax), ("numpyro", args.numpyro, by_numpyro)):
            c["values"][name] = by(c, path) if path else kept[name]
    written = [
        {key: v.tolist() if isinstance(v, np.ndarray) else v for key, v in c.items()} for c in cases
    ]
    versions = {m.__name__: m.__version__ for m in (jax, numpyro, np)}
    head = dict(program="tests/golden/elbo.py", versions=versions, jax_floor=JAX_FLOOR, notes=NOTES)
    lines = ",\n".join(json.dumps(c) for c in written)
    file.write_text(json.dumps(head, indent=1)[:-2] + ',\n "cases": [\n' + lines + "\n]}\n")
    for c in cases:
        print(c["name"], {name: value["elbo"] for name, value in c["values"].items()})
