"""Run a program as a container of docker-compose.yml would: ``python confined.py PROFILE USER PROGRAM ARGUMENT...``.

No root, no capability, no way to gain one, and the system calls of a seccomp profile refused.
"""

import ctypes
import json
import os
import sys

ALLOW, REFUSE_EPERM = 0x7FFF0000, 0x00050001  # seccomp.h: SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(EPERM)
UNKNOWN = -1  # a system call that this machine's libseccomp does not know


def refuse(names: list[str]) -> None:
    """Have the kernel refuse these system calls from here on, in this process and all that it starts."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(seccomp.seccomp_init(ALLOW))
    for name in names:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number != UNKNOWN and seccomp.seccomp_rule_add(rules, REFUSE_EPERM, number, 0) != 0:
            raise OSError(f"no rule for {name}")
    if seccomp.seccomp_load(rules) != 0:
        raise OSError("the profile cannot be loaded")


def main() -> None:
    """Confine this process and become the program."""
    profile, user, *command = sys.argv[1:]
    with open(profile) as file:  # noqa: PTH123  runs by itself, with as few imports as can be
        rules = json.load(file)["syscalls"]
    refuse([name for rule in rules for name in rule["names"]])
    confine = ["setpriv", "--no-new-privs"]
    if os.geteuid() == 0:
        confine += ["--bounding-set=-all", "--inh-caps=-all", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    os.execvp(confine[0], [*confine, *command])  # noqa: S606


if __name__ == "__main__":
    main()
