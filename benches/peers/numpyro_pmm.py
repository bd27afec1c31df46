"""One peer of the engine: the mixture model in NumPyro, fitted by SVI as its users would.

Abundances of a pixel are Dirichlet(K w), w is Dirichlet(1), spectra are HalfNormal(1) a band, the
noise is LogNormal(-3, 1) a band. The guide is AutoNormal with the pixels in a subsampled plate; one
particle, Adam(0.02). Several steps run in one `lax.scan`, which spares NumPyro the calls between
steps; without it (`--scan 1`) every step is one call, as in `SVI.run` of a notebook.

    python3 numpyro_pmm.py --pixels 9025 --bands 156 --endmembers 3 --batch 500 --steps 2000
    python3 numpyro_pmm.py --scene scene.npz ...      an array `cube` (rows, columns, bands)

Prints one line of JSON: the device, seconds until the first step is done (compilation included),
seconds a step afterwards, and of the whole process. Needs numpyro (and jax[cuda13] for a GPU).
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
    parser.add_argument("--endmembers", type=int, default=3)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--scan", type=int, default=1, help="steps a call")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def scene(args):
    """Spectra (pixels, bands) and a start of the endmembers (endmembers, bands)."""
    import numpy as np

    rng = np.random.default_rng(args.seed)
    if args.scene:
        cube = np.load(args.scene)["cube"].astype(np.float32)
        spectra = cube.reshape(-1, cube.shape[-1])
        return spectra, spectra[rng.choice(len(spectra), args.endmembers, replace=False)]
    steps = rng.normal(0.0, 0.03, (args.endmembers, args.bands)).cumsum(axis=1)
    endmembers = np.clip(rng.uniform(0.2, 0.7, (args.endmembers, 1)) + steps, 0.02, 1.0)
    amounts = rng.dirichlet(np.ones(args.endmembers), args.pixels)
    noise = rng.normal(0.0, 0.01, (args.pixels, args.bands))
    return (amounts @ endmembers + noise).astype(np.float32), endmembers.astype(np.float32)


def main():
    args = arguments()
    spectra, start = scene(args)
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import SVI, Trace_ELBO
    from numpyro.infer.autoguide import AutoNormal
    from numpyro.infer.initialization import init_to_value

    pixels, bands = spectra.shape
    count, batch = len(start), min(args.batch, pixels)

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
    svi = SVI(model, guide, numpyro.optim.Adam(0.02), Trace_ELBO())
    data = jnp.asarray(spectra)
    state = svi.init(jax.random.PRNGKey(args.seed), data)

    def several(state, data):
        return jax.lax.scan(lambda s, _: svi.update(s, data), state, None, length=args.scan)

    call = jax.jit(several)
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
    print(json.dumps(dict(
        peer="numpyro", device=str(jax.devices()[0]), pixels=pixels, bands=bands,
        endmembers=count, batch=batch, steps=calls * args.scan, scan=args.scan,
        first_call_s=round(first, 4), step_ms=1e3 * seconds / (calls * args.scan),
        process_s=round(time.perf_counter() - BEGIN, 3), loss=float(losses[-1]) / pixels)))


if __name__ == "__main__":
    main()
