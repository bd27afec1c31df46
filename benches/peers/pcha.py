#!/usr/bin/env python3
"""Archetypal analysis by the package py_pcha (Morup & Hansen, Neurocomputing 80, 2012), defaults.

    pcha.py --scene scene.npz -k 3 --out result.npz [--seed 0]

Spectra are mixtures of pixels, pixels mixtures of those spectra; it begins from the pixels that
are furthest from each other. The package needs a NumPy before 2 (requirements-old.txt).
"""
import numpy as np

import common


def main():
    args = common.parser(__doc__).parse_args()
    stages = common.Stages()
    from py_pcha import PCHA

    stages.done("import")
    cube = common.read(args.scene)
    np.random.seed(args.seed)
    spectra, shares, _, _, explained = PCHA(cube.reshape(-1, cube.shape[-1]).T, args.endmembers)
    stages.done("fit")
    abundances = np.asarray(shares).T.reshape(*cube.shape[:2], -1)
    common.write(args, "pcha", stages, np.asarray(spectra).T, abundances,
                 said=dict(explained=float(explained)))


if __name__ == "__main__":
    main()
