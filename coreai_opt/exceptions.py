"""The errors of this package that are no plain ``ValueError`` or ``TypeError``."""


class BackendMismatchError(AssertionError):
    """The native backend and the reference gave different bytes: a bug, please report it."""


class QualityError(Exception):
    """An output is further from its reference than it may be."""
