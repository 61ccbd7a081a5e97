"""
What can go wrong with the engine itself, as opposed to the workload it tries.

    CrashEngineError
    ├── TracingRefused     this machine does not let a process trace its own child
    ├── ManyThreads        the calling process has threads, which a fork would lose
    ├── Escaped            a change of the folder was made in a way the engine does not see
    └── WorkloadBroken     the workload fails although nobody hurts it
"""


class CrashEngineError(Exception):
    """The crash engine cannot give an answer that means anything."""


class TracingRefused(CrashEngineError):
    """The kernel does not let this process trace its child, so no operation can be seen."""


class ManyThreads(CrashEngineError):
    """The calling process has more than one thread, and a fork would leave the locks of the others held for ever."""


class Escaped(CrashEngineError):
    """The folder was changed by something that the engine did not see, so its sweep would prove nothing."""


class WorkloadBroken(CrashEngineError):
    """The workload does not finish, or is judged wrong, without any fault."""
