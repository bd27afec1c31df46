"""Scenes from arrays and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import unmixel as ux


def reflectance(cube, **options):
    return ux.Scene(cube, axes="rows,columns,bands", keep_water_bands=True, **options).reflectance()


def test_any_type_and_stride_gives_the_values(simulated):
    cube = np.nan_to_num(simulated.cube)
    plain = ux.Scene(cube, axes="rows,columns,bands", keep_water_bands=True, scale=1.0)
    wanted = plain.reflectance()
    counts = np.round(cube * 10_000)
    for kind in ("u2", "i2", "u4", "i4", "i8", "u8", "f4", "f8", ">i2", ">f4", "<f8"):
        found = reflectance(np.maximum(counts, 0).astype(kind), scale=10_000.0)
        # Counts are rounded to 1e-4, and no count is negative.
        assert np.allclose(found, np.maximum(wanted, 0), atol=6e-5, equal_nan=True), kind
    half = reflectance(cube.astype(np.float16), scale=1.0)
    assert np.allclose(half, wanted, atol=1e-3, equal_nan=True)  # ten bits
    for turned in (
        np.asfortranarray(cube),
        cube[:, ::-1][:, ::-1],
        cube.transpose(2, 0, 1).copy().transpose(1, 2, 0),
    ):
        assert np.array_equal(reflectance(turned, scale=1.0), wanted, equal_nan=True)
    odd = np.zeros(cube.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(cube.shape)
    odd[...] = cube
    assert not odd.flags.aligned
    assert np.array_equal(reflectance(odd, scale=1.0), wanted, equal_nan=True)
    flipped = reflectance(cube[::-1, ::2, ::-1], scale=1.0)
    assert np.array_equal(flipped, wanted[::-1, ::2, ::-1], equal_nan=True)
    masked = np.ma.masked_array(cube, mask=np.zeros_like(cube, bool))
    masked.mask[3, 4] = True
    assert np.isnan(reflectance(masked, scale=1.0)[3, 4]).all()


def test_a_scene_is_read_where_it_lies(simulated):
    cube = simulated.cube.copy()
    before = cube.tobytes()
    cube.flags.writeable = False
    scene = ux.Scene(cube, simulated.wavelengths, scale=1.0)
    assert cube.tobytes() == before
    assert scene.shape[:2] == (24, 30) and "24 x 30 pixels" in repr(scene)


def test_axes_are_found_or_asked_for(simulated):
    cube = np.nan_to_num(simulated.cube)
    bsq = cube.transpose(2, 0, 1)
    found = ux.Scene(bsq, simulated.wavelengths)
    assert found.shape[:2] == (24, 30)
    told = ux.Scene(bsq, axes=["bands", "rows", "columns"])
    assert told.shape[:2] == (24, 30)
    assert ux.Scene(bsq[np.newaxis], simulated.wavelengths).shape[:2] == (24, 30)
    with pytest.raises(ValueError, match="2 axes"):
        ux.Scene(cube[0])
    with pytest.raises(ValueError, match="no order of axes"):
        ux.Scene(cube, axes="a,b,c")
    with pytest.raises(ValueError, match="39 for 40 bands"):
        ux.Scene(cube, simulated.wavelengths[:-1], axes="rows,columns,bands")


def test_what_is_said_of_a_scene_holds(simulated):
    cube = np.nan_to_num(simulated.cube)
    good = np.ones(40, bool)
    good[5] = False
    scene = ux.Scene(
        cube,
        simulated.wavelengths / 1000,
        wavelength_unit="um",
        good_bands=good,
        fwhm=np.full(40, 9.0),
        drop_bands=[1, 40],
        drop_wavelengths=[(1300, 1500)],
        mask=np.arange(720).reshape(24, 30) >= 300,
        crs=32633,
        transform=(500_000, 30, 0, 5_000_000, 0, -30),
        name="field",
        scale=1.0,
        axes="rows,columns,bands",
        keep_water_bands=True,
    )
    gone = {0, 5, 39} | set(
        np.flatnonzero((simulated.wavelengths >= 1300) & (simulated.wavelengths <= 1500))
    )
    assert set(scene.band_indices) == set(range(40)) - gone
    assert np.allclose(scene.wavelengths, simulated.wavelengths[scene.band_indices])
    assert scene.fwhm[0] == 9.0 and scene.name == "field"
    assert np.isnan(scene.reflectance()[:10]).all()
    place = scene.georeference
    assert place["epsg"] == 32633 and place["transform"][1] == 30 and "UTM zone 33N" in place["wkt"]
    assert any("mask" in note for note in scene.notes) and scene.scaling[0] == 1.0
    code = cube.copy()
    code[2, 2] = 0.9375
    assert np.isnan(reflectance(code, scale=1.0, no_data=0.9375)[2, 2]).all()
    assert not np.isnan(reflectance(code, scale=1.0, no_data=[])[2, 2]).all()


def test_wrong_things_are_sentences(simulated, tmp_path):
    cube = np.nan_to_num(simulated.cube)
    for wrong, error, says in [
        (lambda: ux.Scene(np.full((3, 3, 4), "a")), TypeError, "real numbers"),
        (lambda: ux.Scene(cube.astype(complex)), TypeError, "complex"),
        (lambda: ux.Scene(np.zeros((4, 5, 6))), ValueError, "no data"),
        (lambda: ux.Scene(cube, scale=-1, axes="rows,columns,bands"), ValueError, "above 0"),
        (lambda: ux.Scene(cube, drop_bands=[0], axes="rows,columns,bands"), ValueError, "band"),
        (lambda: ux.Scene(cube, drop_bands=[-1], axes="rows,columns,bands"), ValueError, "from 1"),
        (
            lambda: ux.Scene(cube, mask=np.ones((2, 2)), axes="rows,columns,bands"),
            ValueError,
            "2 rows",
        ),
        (lambda: ux.Scene(cube, mask=np.ones(3), axes="rows,columns,bands"), ValueError, "1 axes"),
        (lambda: ux.Scene(cube, crs=4326), ValueError, "transform"),
        (
            lambda: ux.Scene(cube, crs="no", transform=(0, 1, 0, 0, 0, 1)),
            ValueError,
            "coordinate system",
        ),
        (lambda: ux.Scene(cube, transform=(0, 0, 0, 0, 0, 0)), ValueError, "to a line"),
        (lambda: ux.Scene(cube, transform=(0, 1)), ValueError, "2 numbers"),
        (lambda: ux.Scene(cube, wavelength_unit="nm"), ValueError, "goes with"),
        (lambda: ux.open(tmp_path / "none.hdr"), FileNotFoundError, "none.hdr"),
    ]:
        with pytest.raises(error, match=says):
            wrong()
    (tmp_path / "junk.npy").write_bytes(b"\x93NUMPY\x01\x00junk")
    with pytest.raises(ValueError, match="junk.npy"):
        ux.open(tmp_path / "junk.npy")
    with pytest.raises(TypeError, match="bands_to_drop"):
        ux.Scene(cube, bands_to_drop=[1])


def test_files_are_read_as_the_program_reads_them(npz, simulated):
    scene = ux.open(npz)
    assert scene.name == "field" and scene.shape[:2] == (24, 30)
    part = ux.open(npz, window=np.s_[4:20, :25], mask=np.ones((24, 30)))
    assert part.shape[:2] == (16, 25)
    want = scene.reflectance()[4:20, :25]
    if part.shape == (*want.shape,):
        assert np.array_equal(part.reflectance(), want, equal_nan=True)
    for wrong, says in [
        ({"window": np.s_[::2, :]}, "no steps"),
        ({"window": (1, 2)}, "two slices"),
        ({"window": np.s_[-4:, :]}, "count from the first"),
        ({"window": np.s_[30:40, :]}, "window"),
        ({"rows": 7}, "7"),
        ({"pixel_order": "x"}, "row or column"),
        ({"variable": "nothing"}, "nothing"),
    ]:
        with pytest.raises(ValueError, match=says):
            ux.open(npz, **wrong)
    assert ux.open(str(npz)).pixels == scene.pixels == ux.open(Path(npz)).pixels


def test_pieces_are_the_whole_to_the_last_bit(fit, simulated):
    cube = simulated.cube.copy()
    cube[1, 2, 7] = np.nan  # a single gap
    whole = fit.apply(fit.read(cube, axes="rows,columns,bands"))
    for rows, cols in [
        (slice(0, 7), slice(0, 30)),
        (slice(1, 2), slice(2, 3)),
        (slice(20, 24), slice(5, 9)),
    ]:
        piece = fit.apply(fit.read(cube[rows, cols], axes="rows,columns,bands"))
        for what in ("abundances", "abundances_sd", "abundances_q05", "residual"):
            assert piece.numpy(what).tobytes() == whole.numpy(what)[rows, cols].tobytes(), what
    empty = fit.apply(fit.read(np.full((2, 3, 40), np.nan), axes="rows,columns,bands"))
    assert np.isnan(empty.numpy()).all() and empty.numpy().shape == (2, 3, 3)
    with pytest.raises(ValueError, match="39 bands"):
        fit.read(cube[..., :39], axes="rows,columns,bands")
