#!/usr/bin/env python3
"""VCA + FCLS, the usual pair of textbook methods: our implementation in NumPy and SciPy.

    classics.py --scene scene.npz -k 3 --out result.npz [--seed 0]

Vertex component analysis (Nascimento & Bioucas-Dias 2005) takes pixels for spectra, fully
constrained least squares (Heinz & Chang 2001) gives the shares.
"""
import numpy as np

import common


def main():
    args = common.parser(__doc__).parse_args()
    stages = common.Stages()
    cube = common.read(args.scene)
    spectra = cube.reshape(-1, cube.shape[-1])
    stages.done("read")
    endmembers = common.vca(spectra, args.endmembers, np.random.default_rng(args.seed))
    stages.done("VCA")
    abundances = common.fcls(spectra, endmembers).reshape(*cube.shape[:2], -1)
    stages.done("FCLS")
    common.write(args, "classics", stages, endmembers, abundances)


if __name__ == "__main__":
    main()
