"""One peer of the engine: the mixture model in NumPyro, fitted by SVI as its users would.

Abundances of a pixel are Dirichlet(K w), w is Dirichlet(1), spectra are HalfNormal(1) a band, the
noise is LogNormal(-3, 1) a band. The guide is AutoNormal with the pixels in a subsampled plate; one
particle, Adam(0.02). Several steps run in one `lax.scan`, which spares NumPyro the calls between
steps; without it (`--scan 1`) every step is one call, as in `SVI.run` of a notebook.

    python3 numpyro_pmm.py --pixels 9025 --bands 156 --endmembers 3 --batch 500 --steps 2000
    python3 numpyro_pmm.py --scene scene.npz ...      an array `cube` (rows, columns, bands)
    python3 numpyro_pmm.py --scene scene.npz -k 3 --out result.npz

Prints one line of JSON: the device, seconds until the first step is done (compilation included),
seconds a step afterwards, and of the whole process. Needs numpyro (and jax[cuda13] for a GPU).

With `--out` it is fitted until it has converged: from the spectra of VCA, all pixels a step unless
`--batch` is given, at rates of 0.02, 0.005 and 0.001, each until 500 steps gain less than 0.01 nats
a pixel or `--steps` are made. Means and 5 and 95 % quantiles of 400 draws of the guide are written,
as `common.py` says.
"""
import argparse
import json
import time

BEGIN = time.perf_counter()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scene", help=".npz with an array `cube`; else a scene is simulated")
    parser.add_argument("--pixels", type=int, default=9025)
    parser.add_argument("--bands", type=int, default=156)
    parser.add_argument("-k", "--endmembers", type=int, default=3)
    parser.add_argument("--batch", type=int, help="pixels a step: 500, with --out all")
    parser.add_argument("--steps", type=int, help="2000; with --out at most 20000")
    parser.add_argument("--scan", type=int, default=1, help="steps a call")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help=".npz for what is found: fits until it has converged")
    args = parser.parse_args()
    if args.out and not args.scene:
        parser.error("--out needs --scene")
    args.steps = args.steps or (20000 if args.out else 2000)
    args.batch = args.batch or (10 ** 9 if args.out else 500)
    return args


def scene(args):
    """Spectra (pixels, bands) and a start of the endmembers (endmembers, bands)."""
    import numpy as np

    rng = np.random.default_rng(args.seed)
    if args.scene:
        cube = np.load(args.scene)["cube"].astype(np.float32)
        spectra = cube.reshape(-1, cube.shape[-1])
        if args.out:
            import common

            return spectra, common.vca(spectra.astype(np.float64), args.endmembers, rng)
        return spectra, spectra[rng.choice(len(spectra), args.endmembers, replace=False)]
    steps = rng.normal(0.0, 0.03, (args.endmembers, args.bands)).cumsum(axis=1)
    endmembers = np.clip(rng.uniform(0.2, 0.7, (args.endmembers, 1)) + steps, 0.02, 1.0)
    amounts = rng.dirichlet(np.ones(args.endmembers), args.pixels)
    noise = rng.normal(0.0, 0.01, (args.pixels, args.bands))
    return (amounts @ endmembers + noise).astype(np.float32), endmembers.astype(np.float32)


def parts(args, spectra, start):
    """`svi_at(rate)` of the model and its guide; the data; pixels a step."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import SVI, Trace_ELBO
    from numpyro.infer.autoguide import AutoNormal
    from numpyro.infer.initialization import init_to_value

    pixels, bands = spectra.shape
    count, batch = len(start), min(args.batch, len(spectra))

    def plate():
        return numpyro.plate("pixels", pixels, subsample_size=batch)

    def model(data):
        mean = numpyro.sample("mean_abundance", dist.Dirichlet(jnp.ones(count)))
        endmembers = numpyro.sample(
            "endmembers", dist.HalfNormal(1.0).expand([count, bands]).to_event(2))
        noise = numpyro.sample("noise", dist.LogNormal(-3.0, 1.0).expand([bands]).to_event(1))
        with plate():
            observed = numpyro.subsample(data, event_dim=1)
            amounts = numpyro.sample("abundances", dist.Dirichlet(count * mean))
            mixed = dist.Normal(amounts @ endmembers, noise).to_event(1)
            numpyro.sample("spectra", mixed, obs=observed)

    at_start = init_to_value(values={"endmembers": jnp.maximum(jnp.asarray(start), 1e-3)})
    guide = AutoNormal(model, init_loc_fn=at_start, create_plates=lambda data: plate())

    def svi_at(rate):
        return SVI(model, guide, numpyro.optim.Adam(rate), Trace_ELBO())

    return svi_at, jnp.asarray(spectra), batch


def several(svi, length):
    """A compiled call that makes `length` steps of `svi`."""
    import jax

    return jax.jit(lambda state, data: jax.lax.scan(
        lambda one, _: svi.update(one, data), state, None, length=length))


def speed(args, spectra, start):
    """Times steps at the settings of the head of this file."""
    import jax

    svi_at, data, batch = parts(args, spectra, start)
    svi = svi_at(0.02)
    state = svi.init(jax.random.PRNGKey(args.seed), data)
    call = several(svi, args.scan)
    began = time.perf_counter()
    state, losses = call(state, data)
    jax.block_until_ready(losses)
    first = time.perf_counter() - began
    calls = max(args.steps // args.scan, 1)
    began = time.perf_counter()
    for _ in range(calls):
        state, losses = call(state, data)
    jax.block_until_ready(losses)
    seconds = time.perf_counter() - began
    pixels, bands = spectra.shape
    print(json.dumps(dict(
        peer="numpyro", device=str(jax.devices()[0]), pixels=pixels, bands=bands,
        endmembers=len(start), batch=batch, steps=calls * args.scan, scan=args.scan,
        first_call_s=round(first, 4), step_ms=1e3 * seconds / (calls * args.scan),
        process_s=round(time.perf_counter() - BEGIN, 3), loss=float(losses[-1]) / pixels)))


def converge(args, spectra, start):
    """The guide's parameters once no rate gains any more, the steps it took, and the loss."""
    import jax

    svi_at, data, _ = parts(args, spectra, start)
    params, steps, loss = None, 0, float("inf")
    for rate in (0.02, 0.005, 0.001):
        svi, before = svi_at(rate), float("inf")
        state = svi.init(jax.random.PRNGKey(args.seed), data, init_params=params)
        call = several(svi, 500)
        while steps < args.steps:
            state, losses = call(state, data)
            steps += 500
            loss = float(losses.mean()) / len(spectra)
            if not before - loss > 0.01:
                break
            before = loss
        params = svi.get_params(state)
    return params, steps, loss


def fit(args, spectra, start):
    """Fits, draws from the guide and writes."""
    import common
    import jax
    import numpy as np
    from numpyro.distributions import biject_to, constraints

    stages = common.Stages()
    params, steps, loss = converge(args, spectra, start)
    stages.done("fit")
    rng, draws = np.random.default_rng(args.seed), 400

    def drawn(name, constraint):
        loc, scale = (np.asarray(params[f"{name}_auto_{part}"]) for part in ("loc", "scale"))
        noise = rng.standard_normal((draws, *loc.shape), dtype=np.float32)
        return np.asarray(biject_to(constraint)(loc + scale * noise))

    endmembers = drawn("endmembers", constraints.positive)
    amounts = drawn("abundances", constraints.simplex)
    shares = common.to_peak(amounts, endmembers[:, None])
    rows, columns = np.load(args.scene)["cube"].shape[:2]
    low, high = (np.quantile(shares, at, axis=0).reshape(rows, columns, -1).astype(np.float32)
                 for at in (0.05, 0.95))
    stages.done("draws")
    common.write(args, "numpyro", stages, endmembers.mean(axis=0),
                 shares.mean(axis=0).reshape(rows, columns, -1), str(jax.devices()[0]),
                 dict(steps=steps, loss=loss), abundances_q05=low, abundances_q95=high,
                 convention="peak")


def main():
    args = arguments()
    spectra, start = scene(args)
    (fit if args.out else speed)(args, spectra, start)


if __name__ == "__main__":
    main()
