"""Writes one cube in every format that unmixel reads, with the libraries that people use.

    make.py FOLDER

`expected.npy` holds the values that all files stand for, (rows, columns, bands), as the libraries
themselves read them back: whole numbers from 0 to 9,999, which every number type but the smallest
holds; `expected-f16.npy` and `expected-i1.npy` are a fifth and an eightieth of them, for the types
that hold no more. `manifest.json` says what each file must be understood as.
"""

import json
import shutil
import sys
from pathlib import Path

import h5py
import hdf5storage
import netCDF4
import numpy as np
import rasterio
import scipy.io
from affine import Affine

try:
    import numcodecs
    import xarray
    import zarr
except ImportError:
    zarr = None

ROWS, COLS, BANDS = 37, 53, 12
NM = np.round(np.linspace(420.5, 2380.25, BANDS), 3)
FWHM = np.full(BANDS, 6.5)
CRS = "EPSG:32633"
UPRIGHT = Affine(30.0, 0.0, 366015.0, 0.0, -30.0, 5809965.0)
ROTATED = (
    Affine.translation(366015.0, 5809965.0) * Affine.rotation(20.0) * Affine.scale(30.0, -30.0)
)


def cube():
    """Smooth mixtures of three spectra with noise, so that a fit has something to find."""
    rng = np.random.default_rng(3)
    spectra = np.stack(
        [
            np.linspace(900, 5200, BANDS),
            np.linspace(6400, 700, BANDS),
            2400 + 1900 * np.sin(np.arange(BANDS)),
        ]
    )
    shares = rng.dirichlet([0.6, 0.6, 0.6], size=(ROWS, COLS))
    values = shares @ spectra + rng.normal(0, 15, (ROWS, COLS, BANDS))
    return np.clip(np.rint(values), 1, 9999).astype(np.int16)


def small(values, dtype):
    """Values that the type holds, and the name of their file where they are not those of all."""
    if dtype.endswith(("f2", "float16")):
        return values // 5, "expected-f16.npy"
    if dtype.endswith(("1", "int8")):
        return values // 80, "expected-i1.npy"
    return values, None


def tiffs(folder, values, manifest):
    all_values = values

    def write(name, dtype="int16", crs=CRS, transform=UPRIGHT, scale=None, **options):
        path = folder / f"{name}.tif"
        values, of = small(all_values, "float16" if options.get("NBITS") == 16 else dtype)
        planes = np.moveaxis(values, 2, 0)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=COLS,
            height=ROWS,
            count=BANDS,
            dtype=dtype,
            crs=crs,
            transform=transform,
            **options,
        ) as out:
            out.write(planes.astype(dtype))
            for band in range(BANDS):
                out.update_tags(
                    band + 1,
                    wavelength=str(NM[band]),
                    wavelength_units="Nanometers",
                    fwhm=str(FWHM[band]),
                    bbl="0" if band == 4 else "1",
                )
            if scale:
                out.scales = [scale] * BANDS
        with rasterio.open(path) as back:
            assert np.array_equal(np.moveaxis(back.read(), 0, 2), values), name
        manifest[path.name] = dict(
            place=list(transform.to_gdal()),
            epsg=32633 if crs == CRS else None,
            wavelengths=True,
            fwhm=True,
            bad=[4],
            scale=scale,
            of=of,
        )

    planes = np.moveaxis(values, 2, 0)
    tiled = dict(tiled=True, blockxsize=16, blockysize=32)
    for interleave in ("pixel", "band"):
        for layout, blocks in (("strips", dict(blockysize=5)), ("tiles", tiled)):
            for compress in ("none", "deflate", "lzw", "zstd", "packbits", "lerc"):
                name = f"{interleave}-{layout}-{compress}"
                options = dict(interleave=interleave, compress=compress, **blocks)
                write(name, **options)
                if compress in ("deflate", "lzw", "zstd"):
                    write(name + "-p2", predictor=2, **options)
                    write(name + "-p3", dtype="float32", predictor=3, **options)
    for dtype in (
        "uint8",
        "int8",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "float32",
        "float64",
    ):
        write(f"type-{dtype}", dtype=dtype, compress="deflate")
    for name, options in (
        ("", {}),
        ("-p2", dict(compress="deflate", predictor=2)),
        ("-lzw", dict(compress="lzw")),
        ("-big", dict(ENDIANNESS="BIG")),
        ("-bigtiff", dict(BIGTIFF="YES", **tiled)),
    ):
        write(f"type-float16{name}", dtype="float32", NBITS=16, **options)
    write("bigtiff", BIGTIFF="YES", compress="deflate", **tiled)
    write("big-endian", ENDIANNESS="BIG", compress="lzw")
    write("big-endian-bigtiff", dtype="float64", ENDIANNESS="BIG", BIGTIFF="YES")
    write("nbits", dtype="uint16", NBITS=14)
    write("rotated", transform=ROTATED)
    write("scaled", scale=0.0001)
    write("no-place", crs=None, transform=Affine(2.0, 0.0, 0.0, 0.0, -2.0, 0.0))
    with rasterio.open(
        folder / "imagery.tif",
        "w",
        driver="GTiff",
        width=COLS,
        height=ROWS,
        count=BANDS,
        dtype="int16",
        crs=CRS,
        transform=UPRIGHT,
        nodata=-32768,
    ) as out:
        out.write(planes)
        for band in range(BANDS):
            out.update_tags(
                band + 1, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=str(NM[band] / 1000), FWHM_UM="0.0065"
            )
    manifest["imagery.tif"] = dict(
        place=list(UPRIGHT.to_gdal()), epsg=32633, wavelengths=True, fwhm=True, ignore=-32768
    )


# Every type of numbers, in both orders of bytes.
TYPES = ["u1", "i1"] + [
    order + kind + size
    for order in "<>"
    for kind, sizes in (("u", "248"), ("i", "248"), ("f", "248"))
    for size in sizes
]


def numpys(folder, values, manifest):
    for dtype in TYPES:
        part, of = small(values, dtype)
        for order in "CF":
            name = f"npy-{dtype.replace('<', 'le-').replace('>', 'be-')}-{order}.npz"
            np.savez(folder / name, cube=np.asarray(part.astype(dtype), order=order), wavelength=NM)
            manifest[name] = dict(wavelengths=True, of=of)


def envi_types(folder, values, manifest):
    kinds = {"u1": 1, "i2": 2, "i4": 3, "f4": 4, "f8": 5, "u2": 12, "u4": 13, "i8": 14, "u8": 15}
    axes = dict(bsq=(2, 0, 1), bil=(0, 2, 1), bip=(0, 1, 2))
    for dtype, number in kinds.items():
        part, of = small(values, dtype)
        for byte_order, mark in ((0, "<"), (1, ">")):
            for interleave, order in axes.items():
                name = f"envi-{dtype}-{byte_order}-{interleave}"
                (folder / f"{name}.dat").write_bytes(
                    b"x" * 7 + part.transpose(order).astype(mark + dtype).tobytes()
                )
                (folder / f"{name}.hdr").write_text(
                    f"ENVI\nsamples = {COLS}\nlines = {ROWS}\nbands = {BANDS}\nheader offset = 7\n"
                    f"data type = {number}\ninterleave = {interleave}\nbyte order = {byte_order}\n"
                    "wavelength units = Nanometers\nwavelength = {"
                    + ", ".join(map(str, NM))
                    + "}\n"
                )
                manifest[f"{name}.dat"] = dict(wavelengths=True, of=of)


def envi(folder, values, manifest):
    for transform, name in ((UPRIGHT, "envi"), (ROTATED, "envi-rotated")):
        path = folder / f"{name}.img"
        with rasterio.open(
            path,
            "w",
            driver="ENVI",
            width=COLS,
            height=ROWS,
            count=BANDS,
            dtype="int16",
            crs=CRS,
            transform=transform,
        ) as out:
            out.write(np.moveaxis(values, 2, 0))
        with open(folder / f"{name}.hdr", "a", encoding="ascii") as header:
            header.write(
                "wavelength units = Nanometers\nwavelength = {" + ", ".join(map(str, NM)) + "}\n"
            )
        manifest[path.name] = dict(place=list(transform.to_gdal()), epsg=32633, wavelengths=True)


def plain_hdf5(folder, values, manifest):
    options = dict(
        contiguous={},
        chunked=dict(chunks=(8, 16, 5)),
        gzip=dict(chunks=(8, 16, 5), compression="gzip"),
        shuffle=dict(chunks=(8, 16, 5), compression="gzip", shuffle=True, fletcher32=True),
        lzf=dict(chunks=(8, 16, 5), compression="lzf"),
        szip=None,
    )
    for version in ("earliest", "latest"):
        for name, how in options.items():
            if how is None:
                continue
            path = folder / f"h5-{version}-{name}.h5"
            with h5py.File(path, "w", libver=version) as out:
                out.create_dataset("group/cube", data=values, **how)
                out["group/cube"].attrs["scale_factor"] = np.float64(0.0001)
                out["group/wavelength"] = NM
                out["group/wavelength"].attrs["units"] = "nm"
            with h5py.File(path) as back:
                assert np.array_equal(back["group/cube"][()], values)
            manifest[path.name] = dict(wavelengths=True, scale=0.0001)
    for dtype in TYPES:
        part, of = small(values, dtype)
        path = folder / f"h5-type-{dtype[1:]}-{'be' if dtype[0] == '>' else 'le'}.h5"
        with h5py.File(path, "w", userblock_size=1024) as out:
            out.create_dataset(
                "cube", data=np.moveaxis(part, 2, 0).astype(dtype), chunks=(3, 10, 10)
            )
            out["wavelength"] = NM.astype(">f8")
        manifest[path.name] = dict(wavelengths=True, of=of)


def netcdf(folder, values, manifest):
    for name, order in (
        ("netcdf", ("y", "x", "wavelength")),
        ("netcdf-bsq", ("wavelength", "y", "x")),
    ):
        path = folder / f"{name}.nc"
        with netCDF4.Dataset(path, "w") as out:
            for dimension, length in (("y", ROWS), ("x", COLS), ("wavelength", BANDS)):
                out.createDimension(dimension, length)
            out.createVariable("wavelength", "f8", ("wavelength",))[:] = NM
            out["wavelength"].units = "nm"
            for axis, count in (("y", ROWS), ("x", COLS)):
                at = (np.arange(count) + 0.5) * (-30.0 if axis == "y" else 30.0)
                out.createVariable(axis, "f8", (axis,))[:] = at + (
                    5809965.0 if axis == "y" else 366015.0
                )
                out[axis].units = "m"
                out[axis].standard_name = f"projection_{axis}_coordinate"
            out.createVariable("crs", "i4")
            out["crs"].crs_wkt = rasterio.crs.CRS.from_string(CRS).to_wkt()
            cube = out.createVariable("reflectance", "i2", order, zlib=True, fill_value=-9999)
            cube.set_auto_maskandscale(False)
            cube.scale_factor, cube.grid_mapping = 0.0001, "crs"
            cube[:] = values if order[0] == "y" else np.moveaxis(values, 2, 0)
        manifest[path.name] = dict(
            place=list(UPRIGHT.to_gdal()), epsg=32633, wavelengths=True, scale=0.0001, ignore=-9999
        )


def beside(folder, values, manifest):
    """HDF5 and NetCDF-4 files whose scene lies beside other things, or says little of itself."""
    labels = (values[:, :, 0] > values[:, :, 5]).astype("u1") + 1
    colours = np.repeat(np.repeat(values[:, :, [7, 4, 1]] // 40, 4, axis=0), 4, axis=1).astype("u1")

    def write(name, arrays, attributes=(), **wanted):
        with h5py.File(folder / f"h5-{name}.h5", "w") as out:
            for place, array in arrays.items():
                out[place] = array
            for place, key, value in attributes:
                out[place].attrs[key] = value
        manifest[f"h5-{name}.h5"] = dict(dict(wavelengths=True), **wanted)

    write("labels", dict(x=values, labels=labels, rgb=colours, wl=NM))
    write(
        "radiance",
        {
            "d/radiance": values * 3,
            "d/reflectance": values,
            "d/reflectance_uncertainty": values // 9,
            "wl": NM,
        },
    )
    flat = values.reshape(ROWS * COLS, BANDS)
    write("bands-by-pixels", dict(Y=flat.T, rows=ROWS, cols=COLS, wavelength=NM))
    write(
        "pixels-by-bands",
        dict(spectra=flat, nRow=float(ROWS), nCol=float(COLS), wavelength=NM),
        [("spectra", "_FillValue", -9999.0), ("spectra", "scale_factor", 0.0001)],
        ignore=-9999,
        scale=0.0001,
    )
    write("one-more-axis", dict(cube=values[None], wavelength=NM[:, None]))
    write(
        "attributes",
        dict(cube=values),
        [
            ("cube", "wavelengths", NM),
            ("cube", "bbl", np.arange(BANDS) != 4),
            ("cube", "no_data_value", -1),
        ],
        bad=[4],
        ignore=-1,
    )
    write("texts", dict(cube=values, wavelength=np.array([f"{v} nm".encode() for v in NM])))
    write(
        "long-texts",
        {
            "cube": values,
            "wavelength": np.array([f"{v / 1000:.7f} um" for v in NM], dtype=h5py.string_dtype()),
        },
    )
    write("german", dict(Daten=values, Wellenlaengen=NM))
    with netCDF4.Dataset(folder / "coordinate.nc", "w") as out:
        for dimension, length in (("band", BANDS), ("y", ROWS), ("x", COLS)):
            out.createDimension(dimension, length)
        out.createVariable("band", "f8", ("band",))[:] = NM / 1000
        out["band"].units = "um"
        out.createVariable("rhos", "f4", ("y", "band", "x"))[:] = values.swapaxes(1, 2)
        out.createVariable("angle", "f4", ("y", "x"))[:] = values[:, :, 0]
    manifest["coordinate.nc"] = dict(wavelengths=True)


def emit(folder, values, manifest):
    path = folder / "emit.nc"
    with netCDF4.Dataset(path, "w") as out:
        for dimension, length in (
            ("downtrack", ROWS),
            ("crosstrack", COLS),
            ("bands", BANDS),
            ("ortho_y", ROWS + 2),
            ("ortho_x", COLS + 3),
        ):
            out.createDimension(dimension, length)
        cube = out.createVariable(
            "reflectance", "f4", ("downtrack", "crosstrack", "bands"), zlib=True, fill_value=-9999.0
        )
        cube[:] = values.astype("f4")
        group = out.createGroup("sensor_band_parameters")
        group.createVariable("wavelengths", "f4", ("bands",))[:] = NM
        group["wavelengths"].units = "nm"
        group.createVariable("fwhm", "f4", ("bands",))[:] = FWHM
        good = np.ones(BANDS, "u1")
        good[4] = 0
        group.createVariable("good_wavelengths", "u1", ("bands",))[:] = good
        location = out.createGroup("location")
        x, y = np.zeros((ROWS + 2, COLS + 3), "i4"), np.zeros((ROWS + 2, COLS + 3), "i4")
        rows, cols = np.meshgrid(np.arange(ROWS), np.arange(COLS), indexing="ij")
        x[1:-1, 2:-1], y[1:-1, 2:-1] = cols + 1, rows + 1
        x[3, 5], y[3, 5] = -x[3, 5], -y[3, 5]
        location.createVariable("glt_x", "i4", ("ortho_y", "ortho_x"), fill_value=0)[:] = x
        location.createVariable("glt_y", "i4", ("ortho_y", "ortho_x"), fill_value=0)[:] = y
        out.geotransform = np.array([-115.9, 0.00054, 0.0, 33.4, 0.0, -0.00054])
        out.spatial_ref = rasterio.crs.CRS.from_epsg(4326).to_wkt()
    manifest[path.name] = dict(
        place=[-115.9, 0.00054, 0.0, 33.4, 0.0, -0.00054],
        epsg=4326,
        wavelengths=True,
        fwhm=True,
        bad=[4],
        ignore=-9999,
        grid=[ROWS + 2, COLS + 3],
    )


def prisma(folder, values, manifest):
    path = folder / "prisma.he5"
    split = 5
    low, high = 0.0, 6.5535
    with h5py.File(path, "w") as out:
        fields = "HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields/"
        for name, part in (("Vnir", slice(0, split)), ("Swir", slice(split, BANDS))):
            # Rows, bands from long to short waves, columns; one band that is not in use in front.
            bands = values[:, :, part][:, :, ::-1].swapaxes(1, 2).astype("u2")
            unused = np.zeros((ROWS, 1, COLS), "u2")
            out[fields + name.upper() + "_Cube"] = np.concatenate([bands, unused], axis=1)
            out.attrs[f"List_Cw_{name}"] = np.append(NM[part][::-1], 0).astype("f4")
            out.attrs[f"List_Fwhm_{name}"] = np.append(FWHM[part], 0).astype("f4")
            out.attrs[f"L2Scale{name}Min"] = np.float32(low)
            out.attrs[f"L2Scale{name}Max"] = np.float32(high)
        out.attrs["Epsg_Code"] = np.uint32(32633)
        out.attrs["Product_ULcorner_easting"] = np.float32(366030.0)
        out.attrs["Product_ULcorner_northing"] = np.float64(5809950.0)
        out.attrs["Product_LRcorner_easting"] = np.float32(366030.0 + 30 * (COLS - 1))
        out.attrs["Product_LRcorner_northing"] = np.float64(5809950.0 - 30 * (ROWS - 1))
    manifest[path.name] = dict(
        place=list(UPRIGHT.to_gdal()),
        epsg=32633,
        wavelengths=True,
        ignore=0,
        order=[0, 1, 2, 3, 4, None, 5, 6, 7, 8, 9, 10, 11, None],
        bad=[5, 13],
        scale=0.0001,
    )


def neon(folder, values, manifest):
    path = folder / "neon.h5"
    with h5py.File(path, "w") as out:
        base = "SJER/Reflectance/"
        data = out.create_dataset(
            base + "Reflectance_Data", data=values, chunks=(10, 10, BANDS), compression="gzip"
        )
        data.attrs["Scale_Factor"], data.attrs["Data_Ignore_Value"] = 10000.0, -9999.0
        out[base + "Metadata/Spectral_Data/Wavelength"] = NM
        out[base + "Metadata/Spectral_Data/Wavelength"].attrs["Units"] = "nanometers"
        out[base + "Metadata/Spectral_Data/FWHM"] = FWHM
        where = base + "Metadata/Coordinate_System/"
        out[where + "Map_Info"] = (
            "UTM,  1.000,  1.000, 366015.00, 5809965.0, 30.000, 30.000, 33, North, WGS-84, "
            "units=Meters, 0"
        )
        out[where + "EPSG Code"] = "32633"
        out[where + "Coordinate_System_String"] = rasterio.crs.CRS.from_string(CRS).to_wkt()
    manifest[path.name] = dict(
        place=list(UPRIGHT.to_gdal()),
        epsg=32633,
        wavelengths=True,
        fwhm=True,
        ignore=-9999,
        scale=0.0001,
    )


def matlab(folder, values, manifest):
    flat = values.reshape(ROWS * COLS, BANDS, order="F").T
    schemas = dict(
        cube={"cube": values},
        flat={
            "Y": np.ascontiguousarray(flat),
            "nRow": float(ROWS),
            "nCol": float(COLS),
            "nBand": float(BANDS),
        },
    )
    for name, content in schemas.items():
        content = dict(content, wavelength=NM)
        scipy.io.savemat(folder / f"mat5-{name}.mat", content)
        scipy.io.savemat(folder / f"mat5z-{name}.mat", content, do_compression=True)
        hdf5storage.savemat(
            str(folder / f"mat73-{name}.mat"),
            content,
            format="7.3",
            oned_as="row",
            store_python_metadata=False,
            matlab_compatible=True,
        )
        for kind in ("mat5", "mat5z", "mat73"):
            manifest[f"{kind}-{name}.mat"] = dict(wavelengths=True)


def zarr_array(
    folder, values, manifest, name, dtype="<i2", chunks=(8, 16, 5), consolidated=True, **options
):
    """A store of version 2 or 3 that zarr-python writes, with the conventions of xarray."""
    version = options.pop("zarr_format", 2)
    part, of = small(values, dtype)
    path = folder / f"{name}.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=version)
    dims = ["y", "x", "wavelength"]
    named = dict(dimension_names=dims) if version == 3 else {}
    cube = group.create_array(
        "reflectance",
        shape=part.shape,
        dtype=dtype,
        chunks=chunks,
        fill_value=0,
        **named,
        **options,
    )
    cube[:] = part.astype(dtype)
    cube.attrs["scale_factor"] = 0.0001
    named = dict(dimension_names=["wavelength"]) if version == 3 else {}
    nm = group.create_array("wavelength", shape=NM.shape, dtype="f8", fill_value=0, **named)
    nm[:] = NM
    nm.attrs["units"] = "nm"
    if version == 2:
        cube.attrs["_ARRAY_DIMENSIONS"], nm.attrs["_ARRAY_DIMENSIONS"] = dims, ["wavelength"]
    if consolidated:
        zarr.consolidate_metadata(path)
    assert np.array_equal(zarr.open_group(path, mode="r")["reflectance"][:], part), name
    manifest[path.name] = dict(wavelengths=True, scale=0.0001, of=of)


def zarrs(folder, values, manifest):
    def two(name, **options):
        zarr_array(folder, values, manifest, f"zarr2-{name}", **options)

    def three(name, **options):
        zarr_array(folder, values, manifest, f"zarr3-{name}", zarr_format=3, **options)

    from zarr.codecs import (
        BloscCodec,
        BytesCodec,
        Crc32cCodec,
        GzipCodec,
        TransposeCodec,
        ZstdCodec,
    )

    plain = dict(
        none=None,
        zlib=numcodecs.Zlib(5),
        gzip=numcodecs.GZip(5),
        zstd=numcodecs.Zstd(3),
        lz4=numcodecs.LZ4(),
    )
    for name, codec in plain.items():
        two(name, compressors=codec)
        two(f"{name}-F", compressors=codec, order="F", consolidated=False)
    for method in ("blosclz", "lz4", "lz4hc", "zlib", "zstd"):
        for shuffle in (0, 1, 2):
            codec = numcodecs.Blosc(cname=method, clevel=5, shuffle=shuffle)
            two(f"blosc-{method}-{shuffle}", compressors=codec)
            two(f"blosc-{method}-{shuffle}-f8", compressors=codec, dtype="<f8", chunks=(37, 53, 12))
    for dtype in TYPES:
        two("type-" + dtype.replace("<", "le-").replace(">", "be-"), dtype=dtype)
    two("slash", chunk_key_encoding=dict(name="v2", separator="/"))
    two("one-chunk", chunks=(ROWS, COLS, BANDS))
    two("delta", filters=[numcodecs.Delta("<i2")], compressors=numcodecs.Zlib(3))
    two("shuffle", filters=[numcodecs.Shuffle(2)], compressors=numcodecs.Zlib(3))
    two(
        "fixed",
        dtype="<f4",
        filters=[numcodecs.FixedScaleOffset(0, 1, "<f4", "<i2")],
        compressors=numcodecs.Zlib(3),
    )
    codecs = dict(none=None, gzip=GzipCodec(), zstd=ZstdCodec(), crc=[ZstdCodec(), Crc32cCodec()])
    for name, codec in codecs.items():
        three(name, compressors=codec)
    for shuffle in ("noshuffle", "shuffle", "bitshuffle"):
        three(
            f"blosc-{shuffle}",
            compressors=BloscCodec(cname="zstd", shuffle=shuffle),
            consolidated=False,
        )
    three("transposed", filters=[TransposeCodec(order=(2, 0, 1))])
    three("big", serializer=BytesCodec(endian="big"))
    three("float16", dtype="float16")
    three("sharded", chunks=(4, 8, 6), shards=(16, 24, 12), compressors=ZstdCodec())
    three("sharded-plain", chunks=(5, 7, 3), shards=(20, 28, 6), compressors=None)
    three("dots", chunk_key_encoding=dict(name="default", separator="."))
    # The archive of a store.
    source = folder / "zarr2-zlib.zarr"
    shutil.make_archive(str(folder / "zarr2-archive"), "zip", root_dir=source)
    manifest["zarr2-archive.zip"] = manifest[source.name]
    xarrays(folder, values, manifest)


def xarrays(folder, values, manifest):
    """Stores that xarray writes, with coordinates and a coordinate system as rioxarray has them."""
    y, x = 5809965.0 - 30.0 * (np.arange(ROWS) + 0.5), 366015.0 + 30.0 * (np.arange(COLS) + 0.5)
    crs = rasterio.crs.CRS.from_string(CRS).to_wkt()
    for version in (2, 3):
        for fill in (-9999, None):
            data = values.astype("f8") * 0.0001
            if fill is not None:
                data = xarray.where(data < 0, np.nan, data)
            scene = xarray.Dataset(
                {
                    "reflectance": (
                        ("band", "y", "x"),
                        np.moveaxis(data, 2, 0),
                        {"grid_mapping": "spatial_ref"},
                    )
                },
                coords={
                    "wavelength": ("band", NM, {"units": "nm"}),
                    "y": ("y", y),
                    "x": ("x", x),
                    "spatial_ref": ((), 0, {"crs_wkt": crs}),
                },
            )
            path = folder / f"xarray{version}-{'fill' if fill else 'plain'}.zarr"
            encoding = dict(dtype="int16", scale_factor=0.0001) if fill else dict(dtype="float32")
            if fill:
                encoding["_FillValue"] = fill
            scene.to_zarr(path, zarr_format=version, encoding={"reflectance": encoding}, mode="w")
            wanted = dict(place=list(UPRIGHT.to_gdal()), epsg=32633, wavelengths=True)
            if fill:
                wanted.update(scale=0.0001, ignore=fill)
            else:
                wanted["of"] = "expected-share.npy"
            manifest[path.name] = wanted
    np.save(folder / "expected-share.npy", (values.astype("f8") * 0.0001).astype("f4"))


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    values, manifest = cube(), {}
    np.save(folder / "expected.npy", values.astype("f4"))
    for dtype in ("f2", "i1"):
        part, name = small(values, dtype)
        np.save(folder / name, part.astype("f4"))
    np.savez(folder / "plain.npz", cube=values, wavelength=NM)
    manifest["plain.npz"] = dict(wavelengths=True)
    kinds = [
        tiffs,
        numpys,
        envi,
        envi_types,
        plain_hdf5,
        beside,
        netcdf,
        emit,
        prisma,
        neon,
        matlab,
    ]
    for write in kinds + ([zarrs] if zarr else []):
        write(folder, values, manifest)
    (folder / "manifest.json").write_text(
        json.dumps(dict(files=manifest, wavelengths=list(NM), fwhm=list(FWHM)), indent=1)
    )


main()
