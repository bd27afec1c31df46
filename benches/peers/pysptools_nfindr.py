#!/usr/bin/env python3
"""N-FINDR + FCLS of the package pysptools, begun from ATGP as its documentation advises.

    pysptools_nfindr.py --scene scene.npz -k 3 --out result.npz [--seed 0]

The package is of 2018 and needs the NumPy and SciPy of that time (requirements-old.txt). All else
is its default.
"""
import random

import numpy as np

import common


def main():
    args = common.parser(__doc__).parse_args()
    stages = common.Stages()
    from pysptools import abundance_maps, eea

    stages.done("import")
    cube = common.read(args.scene)
    random.seed(args.seed)
    np.random.seed(args.seed)
    endmembers = eea.NFINDR().extract(cube, args.endmembers, ATGP_init=True)
    stages.done("N-FINDR")
    abundances = abundance_maps.FCLS().map(cube, endmembers)
    stages.done("FCLS")
    common.write(args, "pysptools", stages, endmembers, abundances)


if __name__ == "__main__":
    main()
