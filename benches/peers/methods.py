"""The methods that are compared: ours, and what people use instead."""
import dataclasses

# The model and the guide of NumPyro's program, from the same kind of start.
PLAIN = ["--init", "vca", "--brightness", "off", "--variability", "off", "--guide", "mean-field",
         "--effective-bands", "all", "--noise", "band"]


@dataclasses.dataclass(frozen=True)
class Method:
    """One row: its title, what it is, and how it is run."""
    title: str
    about: str
    program: str = ""
    environment: str = ""
    on_gpu: bool = False


OURS = ["unmixel", "unmixel-plain"]
METHODS = {
    "unmixel": Method(
        "unmixel", "`unmixel fit` with all defaults, search included", on_gpu=True),
    "unmixel-plain": Method(
        "unmixel, NumPyro's model", "the model, guide and start of the next row in our engine, "
        "which ends by its own rule and then has the exact posterior", on_gpu=True),
    "numpyro": Method(
        "NumPyro", "`AutoNormal`, from VCA, until it has converged", "numpyro_pmm.py", "main",
        True),
    "daeu": Method(
        "DAEU (network)", "autoencoder of Palsson et al. 2018 in PyTorch: our implementation, the "
        "settings of the code they have published (for Urban), shares by softmax", "daeu.py",
        "network", True),
    "edaa": Method(
        "EDAA (archetypal)", "entropic descent archetypal analysis of Zouaoui et al. 2023: our "
        "implementation, the paper's settings", "edaa.py", "main"),
    "archetypes": Method(
        "archetypes", "archetypal analysis, package `archetypes` 0.12.2, from `furthest_sum`",
        "archetypes_aa.py", "main"),
    "pcha": Method(
        "py_pcha", "archetypal analysis, package `py_pcha` 0.1.3, defaults", "pcha.py", "old"),
    "pysptools": Method(
        "pysptools", "N-FINDR + FCLS, package `pysptools` 0.15.0", "pysptools_nfindr.py", "old"),
    "classics": Method(
        "VCA + FCLS", "textbook, our implementation in NumPy and SciPy", "classics.py", "main"),
}
