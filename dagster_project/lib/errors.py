"""Errors that a user can act on, and the exit codes that tell them apart."""


class DeleverError(Exception):
    """An error whose text is written for a user: what is wrong, where, and what to do.

    The command line prints the text without a traceback and leaves with ``exit_code``.
    """

    exit_code = 1


class UsageError(DeleverError):
    """The call itself cannot work: wrong option, missing folder, two profiles in one home."""

    exit_code = 2


class DataError(DeleverError):
    """Data that was given or fetched breaks its contract."""

    exit_code = 3


class PipelineError(DeleverError):
    """A run ended without publishing: a step or a blocking check failed."""

    exit_code = 4
