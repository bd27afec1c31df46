"""The HDF5 files beside this one: nothing in the project writes HDF5. Takes h5py.

    python tests/fuzz/seeds/make.py
"""

import pathlib

import h5py
import numpy as np

FOLDER = pathlib.Path(__file__).parent
CUBE = (0.1 + 0.01 * np.arange(60)).reshape(3, 4, 5).astype("f4")
SUMS = {"shuffle": True, "fletcher32": True}
FILES = {
    "contiguous-earliest": ("earliest", {}),
    "chunked-latest": ("latest", {"chunks": (2, 2, 5), "compression": "gzip", **SUMS}),
    "lzf-latest": ("latest", {"chunks": (3, 4, 5), "compression": "lzf"}),
}

for name, (version, how) in FILES.items():
    with h5py.File(FOLDER / f"{name}.h5", "w", libver=version) as file:
        cube = file.create_dataset("reflectance", data=CUBE, **how)
        cube.attrs["units"] = "1"
        cube.attrs["_FillValue"] = np.float32(-9999)
        file.create_dataset("wavelength", data=np.linspace(400, 800, 5))
