"""The compiled part of the package: the same Python files, through mypyc, where a C compiler is at hand.

Decides what is compiled, and that all of it is or nothing: the modules share one library, and half of them cannot be
imported. Where the compile fails, what it made is removed, the files run as they are, more than twice as slow, and one
sentence on stderr says why. With TALLY_PURE=1 nothing is compiled. Everything else is in pyproject.toml.
"""

import os
import shlex
import shutil
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

COMPILED = (
    "tally_stream/domain/scalars.py",
    "tally_stream/domain/scopes.py",
    "tally_stream/domain/contest.py",
    "tally_stream/domain/election.py",
    "tally_stream/domain/report.py",
    "tally_stream/domain/rules.py",
    "tally_stream/domain/ledger.py",
    "tally_stream/domain/votes.py",
    "tally_stream/domain/extra_sums.py",
    "tally_stream/domain/tally.py",
    "tally_stream/domain/baselines.py",
    "tally_stream/domain/pages.py",
    "tally_stream/domain/fold.py",
    "tally_stream/domain/counted.py",
    "tally_stream/domain/seats.py",
    "tally_stream/domain/majority.py",
    "tally_stream/domain/referendum.py",
    "tally_stream/domain/outcome.py",
    "tally_stream/domain/rounding.py",
    "tally_stream/domain/extra_standings.py",
    "tally_stream/domain/standings.py",
    "tally_stream/wire/exact.py",
    "tally_stream/wire/reading.py",
    "tally_stream/wire/run.py",
    "tally_stream/wire/changes.py",
)
"""What runs once for each record or change, and what it runs on. `make` reads this list."""

GROUP = "tally_stream.compiled"
"""The library that they share; each module's own file is a shim that asks it."""

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class NotCompiled(Exception):
    """`args[0]` says why, in a few words."""


def _generated() -> list[Extension]:
    """C code of every file in COMPILED. Raises NotCompiled, or whatever the type checker ends with."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if os.name == "posix" and shutil.which(compiler) is None:
        raise NotCompiled(f"there is no C compiler ({compiler})")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        raise NotCompiled("Python's headers are missing (Debian: python3-dev)")
    try:
        from mypyc.build import mypycify  # noqa: PLC0415  (it may be missing, which is said)
    except ImportError as error:
        raise NotCompiled(f"mypyc is missing ({error})") from error
    # One C file a module, so that all cores compile (docs/adr/0007 has the times). They are one library still: no call between
    # modules goes through a capsule.
    found: list[Extension] = mypycify(list(COMPILED), opt_level="3", debug_level="0", group_name=GROUP, multi_file=True)
    for extension in found:
        extension.include_dirs.append(str(Path("build", *GROUP.split(".")[:-1])))  # mypyc puts the group's header there
        # What another compiler warns of is no reason to be slow.
        extension.extra_compile_args = [flag for flag in extension.extra_compile_args if flag != "-Werror"]
    return found


class AllOrNothing(build_ext):
    """Compiles side by side; where anything fails, nothing compiled is left, of this build or an earlier one."""

    def run(self) -> None:
        is_inplace = self.inplace
        begin = time.monotonic()
        self._remove_compiled(is_inplace)
        try:
            self.distribution.ext_modules = _generated()
            self.swig_opts = None  # the one option that cannot be finalized twice
            self.finalize_options()
            super().run()
        except (Exception, SystemExit) as error:  # mypyc ends with SystemExit where a type is wrong
            self._remove_compiled(is_inplace)
            self.extensions = self.distribution.ext_modules = []
            reason = str(error) if isinstance(error, NotCompiled) else f"the compile failed ({_one_line(error)})"
            _say(f"{reason}: what counts runs interpreted, more than twice as slow")
            return
        _say(f"compiled {len(COMPILED)} files in {time.monotonic() - begin:.0f} s")

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "unix":
            self.compiler.compile = self._compile_side_by_side
            self.parallel = CORES
        super().build_extensions()

    def _compile_side_by_side(
        self, sources, output_dir=None, macros=None, include_dirs=None, debug=False, extra_preargs=None, extra_postargs=None,
        depends=None,
    ):  # fmt: skip
        """setuptools' own loop over the files of an extension, the largest first, on all cores."""
        compiler = self.compiler
        macros, objects, extra_postargs, options, build = compiler._setup_compile(
            output_dir, macros, include_dirs, sources, depends, extra_postargs
        )
        arguments = compiler._get_cc_args(options, debug, extra_preargs)

        def compile_one(name: str) -> None:
            source, suffix = build[name]
            compiler._compile(name, source, suffix, arguments, extra_postargs, options)

        largest_first = sorted(build, key=lambda name: -os.path.getsize(build[name][0]))
        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(compile_one, largest_first))
        return objects

    def _remove_compiled(self, is_inplace: bool) -> None:
        folders = [Path(self.build_lib, "tally_stream"), *([Path("tally_stream")] if is_inplace else [])]
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        for folder in folders:
            for path in folder.rglob(f"*{suffix}"):
                path.unlink()


class TaggedWheel(bdist_wheel):
    """A wheel in which nothing is compiled is one for every platform, whatever was tried."""

    def run_command(self, command: str) -> None:
        super().run_command(command)
        if command == "build":
            self.root_is_pure = not self.distribution.has_ext_modules()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _say(line: str) -> None:
    sys.stderr.write(f"tally-stream: {line}\n")


# What will be compiled is known once it is generated, and that takes seconds: until then, that there will be something.
setup(
    ext_modules=[] if os.environ.get("TALLY_PURE") else [Extension(f"{GROUP}__mypyc", [])],
    cmdclass={"build_ext": AllOrNothing, "bdist_wheel": TaggedWheel},
)
